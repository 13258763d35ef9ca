//! `hilum tenants move`: a tenant to another shard, while it works. Owns the order of
//! the steps; each may be the last one before a crash, and the same command, run again,
//! goes on from whatever was left. Where the tenant lives is what Identity says: until it
//! says otherwise the shard that is left has everything, and from then on the other one.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_contracts::service::ServiceName;
use hilum_platform::auth;
use hilum_platform::config::{Config, Database, MAIN, ShardAt};
use hilum_platform::db::moving::{Moving, Turn};
use hilum_platform::http_client::HttpClient;
use hilum_platform::remote::Neighbour;
use hilum_platform::remote::moving::{Moves as _, RemoteMoves, place};
use serde_json::{Value, json};

use super::list::{items, text};
use crate::commands::door::Door;
use crate::commands::{Doors, Installation, tenant_name};
use crate::terminal;

/// Times a tenant is held still for the last of its rows.
const ATTEMPTS: u32 = 3;

/// Rounds of catching up before that, unless fewer changes than [`FEW`] are left sooner.
const ROUNDS: u32 = 20;

/// So many changes are carried in a moment.
const FEW: u64 = 200;

/// How long every process has to learn where the tenant lives now.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);

/// Pause between two questions about that.
const KNOWN_AGAIN: Duration = Duration::from_millis(20);

/// How long Identity is asked what became of the switch when it did not say.
const SWITCH_WITHIN: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(super) struct Move {
    /// The tenant.
    #[arg(value_name = "NAME", value_parser = tenant_name)]
    tenant: TenantId,
    /// The shard that it is to live on.
    #[arg(long, value_name = "SHARD", required_unless_present = "abandon")]
    to: Option<String>,
    /// Give up a move that was not finished: the tenant stays where it lives.
    #[arg(long, conflicts_with = "to")]
    abandon: bool,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Where a tenant lives, as Identity says.
struct Place {
    shard: String,
    moving_to: Option<String>,
    moved_from: Option<String>,
}

/// What was done.
struct Moved {
    from: String,
    rows: u64,
    held: Duration,
}

/// Everything that is asked.
struct Mover<'a> {
    config: &'a Config,
    client: HttpClient,
    door: Door,
    scope: TenantScope,
    tenant: &'a TenantId,
}

/// Moves a tenant that was made just now.
pub(super) async fn to(
    tenant: &TenantId,
    shard: &str,
    installation: &Installation,
) -> anyhow::Result<()> {
    let of = Move {
        tenant: tenant.clone(),
        to: Some(shard.to_owned()),
        abandon: false,
        installation: installation.clone(),
        json: false,
    };
    of.carried_out().await.map(drop)
}

impl Move {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let moved = self.carried_out().await?;
        self.tell(moved);
        Ok(ExitCode::SUCCESS)
    }

    async fn carried_out(&self) -> anyhow::Result<Option<Moved>> {
        let config = self.installation.load(&Doors::default())?;
        let neighbours = config
            .neighbours
            .as_ref()
            .filter(|_| !config.shards.is_empty());
        let neighbours = neighbours.context(
            "there is one shard only: name the others in [shards] (docs/operations/shards.md)",
        )?;
        let client = HttpClient::new(Some(&neighbours.ca), Some(&neighbours.tls()))?;
        let door = Door::open_all(&config, &self.tenant).await?;
        anyhow::ensure!(
            matches!(door, Door::Running(_)),
            "nobody serves {}: name the data folder of a Hilum that serves with --data",
            config.data.display()
        );
        let mover = Mover {
            config: &config,
            client,
            door,
            scope: auth::local_operator(&self.tenant),
            tenant: &self.tenant,
        };
        // Everybody who moves takes it on the shard where Identity is.
        let turn = Turn::take(mover.database(MAIN)?, &self.tenant).await?;
        let _turn = turn.context("this tenant is being moved by another command")?;
        let done = mover.carry_out(self.to.as_deref()).await;
        mover.door.close().await;
        done.with_context(|| {
            format!(
                "{} was not moved to its end: run the same command again, or `hilum tenants move \
                 {0} --abandon`",
                self.tenant
            )
        })
    }

    fn tell(&self, moved: Option<Moved>) {
        let to = self.to.as_deref().unwrap_or_default();
        match moved {
            Some(moved) if self.json => terminal::line(json!({ "tenant": self.tenant,
                "from": moved.from, "to": to, "rows": moved.rows,
                "seconds_held": moved.held.as_secs_f64() })),
            None if self.json => terminal::line(json!({ "tenant": self.tenant, "to": to })),
            Some(moved) => terminal::line(format_args!(
                "{} lives on {to} now: {} carried from {}, and no changes taken for {:.1} seconds.",
                self.tenant,
                terminal::counted(moved.rows, "row", "rows"),
                moved.from,
                moved.held.as_secs_f64()
            )),
            None if self.abandon => {
                terminal::line(format_args!("{} stays where it lives.", self.tenant));
            }
            None => terminal::line(format_args!("{} lives on {to}.", self.tenant)),
        }
    }
}

impl Mover<'_> {
    async fn carry_out(&self, to: Option<&str>) -> anyhow::Result<Option<Moved>> {
        let mut at = self.place().await?;
        if let Some(left) = at.moved_from.take() {
            // Identity has said where it lives: there is nothing to give up any more.
            terminal::note(format_args!("finishing the move from {left}"));
            self.finish(&left, &at.shard).await?;
        }
        if let Some(target) = at.moving_to.take()
            && to != Some(&*target)
        {
            self.give_up(&at.shard, &target).await?;
        }
        match to {
            Some(to) if to != at.shard => self.make(&at.shard, to).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Moves a tenant of which nothing is under way, or what is begins anew.
    async fn make(&self, from: &str, to: &str) -> anyhow::Result<Moved> {
        let (source, target) = (self.imaging(from)?, self.imaging(to)?);
        self.set(from, from, Some(to), None).await?;
        step("announced");
        let mut moving = self.open(from, to).await?;
        step("opened");
        moving.clear_target().await?;
        step("cleared");
        moving.begin().await?;
        step("begun");
        let spinner = terminal::spinner("copying");
        let copied = moving.copy(|rows| {
            spinner.set_message(format!(
                "copying: {}",
                terminal::counted(rows, "row", "rows")
            ));
        });
        copied.await?;
        spinner.finish_and_clear();
        step("copied");
        let looked_up = RemoteMoves(target).make_lookup(&self.scope).await;
        looked_up.map_err(told).with_context(|| {
            format!(
                "shard {to} can't read what the tenant has: it needs the same bucket and the same \
                 master key"
            )
        })?;
        step("looked-up");
        for _ in 0..ROUNDS {
            if moving.catch_up().await? <= FEW {
                break;
            }
        }
        step("caught-up");
        let held = self.hold(&mut moving, source).await?;
        let switched = self.switch(from, to).await;
        if let Err(error) = switched {
            // Nobody has switched: the tenant works on.
            moving.release().await?;
            return Err(error);
        }
        step("switched");
        self.all_know(from, to).await;
        step("known");
        moving.arrive().await?;
        let held = held.elapsed();
        step("arrived");
        let rows = moving.rows();
        drop(moving);
        self.finish(from, to).await?;
        Ok(Moved {
            from: from.to_owned(),
            rows,
            held,
        })
    }

    /// Holds the tenant still and carries the last of it; since when.
    async fn hold(&self, moving: &mut Moving, source: Neighbour) -> anyhow::Result<Instant> {
        let source = RemoteMoves(source);
        for _ in 0..ATTEMPTS {
            let since = Instant::now();
            moving.hold().await?;
            step("held");
            let carried = self.carry_last(moving, &source).await;
            // What is left after it is one question to Identity.
            let in_time = since.elapsed() < Moving::held_at_most();
            match carried {
                Ok(true) if in_time => return Ok(since),
                Ok(_) => {
                    moving.release().await?;
                    terminal::note("it took too long: the tenant works on, and it is tried again");
                    moving.catch_up().await?;
                }
                Err(error) => {
                    moving.release().await?;
                    return Err(error);
                }
            }
        }
        anyhow::bail!(
            "the last of its rows were not carried within {} seconds: try again while it does less",
            Moving::held_at_most().as_secs()
        )
    }

    async fn carry_last(&self, moving: &mut Moving, source: &RemoteMoves) -> anyhow::Result<bool> {
        source.come_to_rest(&self.scope).await.map_err(told)?;
        moving.catch_up().await?;
        step("rested");
        if !moving.close().await? {
            return Ok(false);
        }
        step("closed");
        // What was looked at meanwhile stands in its trails.
        moving.catch_up().await?;
        moving.carry_last().await?;
        step("carried");
        moving.compare().await?;
        step("compared");
        Ok(true)
    }

    /// Has Identity say where the tenant lives. When it does not answer, it is asked what
    /// became of that.
    async fn switch(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let Err(error) = self.set(from, to, None, Some(from)).await else {
            return Ok(());
        };
        let since = Instant::now();
        loop {
            match self.place().await {
                Ok(at) if at.shard == to => return Ok(()),
                Ok(_) => return Err(error),
                Err(asked) if since.elapsed() > SWITCH_WITHIN => {
                    return Err(asked.context(format!(
                        "Identity does not say where {} lives, and it takes no changes until it \
                         does",
                        self.tenant
                    )));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Waits until every process of both shards knows where the tenant lives, as far as
    /// they answer: who does not is asked nothing by those that do.
    async fn all_know(&self, from: &str, to: &str) {
        let until = Instant::now() + KNOWN_WITHIN;
        for (service, at) in [from, to].iter().flat_map(|shard| self.addresses(shard)) {
            let Ok(uri) = at.parse() else { continue };
            let neighbour = Neighbour::new(service, uri, self.client.clone());
            loop {
                let known = place(&neighbour, &self.scope).await;
                if known.is_ok_and(|(shard, _)| shard == to) {
                    break;
                }
                if Instant::now() > until {
                    terminal::note(format_args!(
                        "{service} at {at} does not know yet that {} moved",
                        self.tenant
                    ));
                    break;
                }
                tokio::time::sleep(KNOWN_AGAIN).await;
            }
        }
    }

    /// From Identity's word to the end: what is left where the tenant was goes.
    async fn finish(&self, from: &str, to: &str) -> anyhow::Result<()> {
        self.all_know(from, to).await;
        let mut moving = self.open(from, to).await?;
        moving.leave().await?;
        moving.arrive().await?;
        step("left");
        moving.delete_source().await?;
        step("deleted");
        self.set(to, to, None, None).await?;
        step("done");
        Ok(())
    }

    /// Leaves the tenant where it lives, and nothing where it was to be.
    async fn give_up(&self, shard: &str, target: &str) -> anyhow::Result<()> {
        terminal::note(format_args!("giving up the move to {target}"));
        let mut moving = self.open(shard, target).await?;
        moving.clear_target().await?;
        step("target-cleared");
        moving.stay().await?;
        step("stayed");
        self.set(shard, shard, None, None).await
    }

    async fn place(&self) -> anyhow::Result<Place> {
        let all = items(&self.door, "/api/v1/tenants").await?;
        let found = all
            .iter()
            .find(|one| text(one, "name") == self.tenant.as_str());
        let found = found.with_context(|| format!("there is no tenant {}", self.tenant))?;
        let of = |field: &str| found.get(field).and_then(Value::as_str).map(str::to_owned);
        Ok(Place {
            shard: text(found, "shard").to_owned(),
            moving_to: of("moving_to"),
            moved_from: of("moved_from"),
        })
    }

    async fn set(
        &self,
        from: &str,
        shard: &str,
        moving_to: Option<&str>,
        moved_from: Option<&str>,
    ) -> anyhow::Result<()> {
        let body = json!({ "from": from, "shard": shard, "moving_to": moving_to,
            "moved_from": moved_from });
        let (method, path) = (http::Method::PUT, "/api/v1/tenant/shard");
        let set: Option<Value> = self.door.ask(method, path, Some(&body)).await?;
        set.map(drop)
            .with_context(|| format!("there is no tenant {}", self.tenant))
    }

    async fn open(&self, from: &str, to: &str) -> anyhow::Result<Moving> {
        let (of_from, of_to) = (self.database(from)?, self.database(to)?);
        let opened = Moving::open(self.tenant, (from, of_from), (to, of_to)).await;
        opened.context("a shard's database can't be used")
    }

    fn shard(&self, name: &str) -> anyhow::Result<&ShardAt> {
        let shard = self.config.shards.get(name);
        shard.with_context(|| format!("there is no shard {name}: name it in [shards.{name}]"))
    }

    fn database(&self, name: &str) -> anyhow::Result<&Database> {
        let own = self.config.database.as_ref();
        let own = own.filter(|_| name == self.config.shard.name);
        let of = self
            .config
            .shards
            .get(name)
            .and_then(|one| one.database.as_ref());
        of.or(own).with_context(|| {
            format!("name shards.{name}.database: tenants move between databases of PostgreSQL")
        })
    }

    fn addresses(&self, shard: &str) -> Vec<(ServiceName, String)> {
        let at = self.config.shards.get(shard).map(|one| &one.at);
        let at = at.into_iter().flatten();
        at.map(|(service, at)| (*service, at.clone())).collect()
    }

    fn imaging(&self, name: &str) -> anyhow::Result<Neighbour> {
        let at = self.shard(name)?.at.get(&ServiceName::Imaging);
        let at = at.with_context(|| {
            format!(
                "say where imaging of shard {name} is: shards.{name}.at.imaging = \"https://…\""
            )
        })?;
        Ok(Neighbour::new(
            ServiceName::Imaging,
            at.parse()?,
            self.client.clone(),
        ))
    }
}

fn told(error: hilum_contracts::error::ServiceError) -> anyhow::Error {
    anyhow::Error::msg(error.message)
}

/// A step is behind us. A build with debug assertions can be told to be killed there, by
/// whoever tests that the command goes on from it.
fn step(name: &str) {
    tracing::debug!(step = name, "moving");
    #[cfg(debug_assertions)]
    if std::env::var_os("MOVE_DIES_AT").is_some_and(|at| at == name) {
        let _dead =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
