//! `hilum tenants move`: a tenant to another shard, while it works. Owns the order of
//! the steps; each may be the last one before a crash, and the same command, run again,
//! goes on from whatever was left. Where the tenant lives is what Identity says: until it
//! says otherwise the shard that is left has everything, and from then on the other one.

mod asking;
mod left;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_platform::auth;
use hilum_platform::config::{Config, MAIN};
use hilum_platform::db::moving::{Moving, Turn};
use hilum_platform::http_client::HttpClient;
use hilum_platform::remote::Neighbour;
use hilum_platform::remote::moving::{Moves as _, RemoteMoves};
use serde_json::json;

use crate::commands::door::Door;
use crate::commands::{Doors, Installation, random_hex, tenant_name};
use crate::terminal;
use asking::database;

pub(crate) use left::Left;

/// Times a tenant is held still for the last of its rows.
const ATTEMPTS: u32 = 3;

/// Rounds of catching up before that, unless fewer changes than [`FEW`] are left sooner.
const ROUNDS: u32 = 20;

/// So many changes are carried in a moment.
const FEW: u64 = 200;

/// How long Identity is asked what became of the switch when it did not say.
const SWITCH_WITHIN: Duration = Duration::from_secs(60);

/// Pause between two such questions.
const SWITCH_AGAIN: Duration = Duration::from_millis(200);

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

/// What was done.
struct Moved {
    from: String,
    rows: u64,
    held: Duration,
}

/// What became of the switch.
enum Switched {
    Yes,
    No(anyhow::Error),
    Unknown(anyhow::Error),
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
        let turn = Turn::take(database(&config, MAIN)?, &self.tenant).await?;
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
        let mut began = at.moving_to.take();
        if let Some(other) = began.take_if(|one| to != Some(target_of(one))) {
            self.give_up(&at.shard, &other).await?;
        }
        match to {
            Some(to) if to != at.shard => {
                // What the configuration lacks is said before anything is begun.
                for shard in [&*at.shard, to] {
                    self.imaging(shard)?;
                    database(self.config, shard)?;
                }
                // Each attempt has a name of its own: what one before asked of Identity, and
                // what has not come there yet, is void from here on.
                let attempt = format!("{to}.{}", random_hex::<8>()?);
                let known = (&*at.shard, began.as_deref());
                self.set(known, &at.shard, Some(&attempt), None).await?;
                self.make(&at.shard, to, &attempt).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Moves a tenant of which nothing is under way, or what is begins anew.
    async fn make(&self, from: &str, to: &str, attempt: &str) -> anyhow::Result<Moved> {
        let (source, target) = (self.imaging(from)?, self.imaging(to)?);
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
        match self.switch(from, to, attempt).await {
            Switched::Yes => {}
            Switched::No(error) => {
                moving.release().await?;
                return Err(error);
            }
            // Held still: only Identity knows which of the two has it.
            Switched::Unknown(error) => {
                return Err(error.context(format!(
                    "Identity does not say where {} lives, and it takes no changes until it does",
                    self.tenant
                )));
            }
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
                // A statement is ended when the time is over.
                result if result.is_ok() || !in_time => {
                    moving.release().await?;
                    terminal::note("it took too long: the tenant works on, and it is tried again");
                    moving.catch_up().await?;
                }
                result => {
                    moving.release().await?;
                    result?;
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

    /// Has Identity say where the tenant lives. When it does not answer, what was asked may
    /// still be on its way: it is made void before the tenant works on where it was.
    async fn switch(&self, from: &str, to: &str, attempt: &str) -> Switched {
        let known = (from, Some(attempt));
        let Err(error) = self.set(known, to, None, Some(from)).await else {
            return Switched::Yes;
        };
        let since = Instant::now();
        while since.elapsed() < SWITCH_WITHIN {
            if self.set(known, from, None, None).await.is_ok() {
                return Switched::No(error);
            }
            match self.place().await {
                Ok(at) if at.shard == to => return Switched::Yes,
                // Made void by a question whose answer was lost.
                Ok(at) if at.moving_to.as_deref() != Some(attempt) => return Switched::No(error),
                _ => tokio::time::sleep(SWITCH_AGAIN).await,
            }
        }
        Switched::Unknown(error)
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
        self.set((to, None), to, None, None).await?;
        step("done");
        Ok(())
    }

    /// Leaves the tenant where it lives, and nothing where it was to be.
    async fn give_up(&self, shard: &str, attempt: &str) -> anyhow::Result<()> {
        let target = target_of(attempt);
        terminal::note(format_args!("giving up the move to {target}"));
        // What it asked of Identity is void before the tenant works on.
        let given_up = format!("{target}.{}", random_hex::<8>()?);
        self.set((shard, Some(attempt)), shard, Some(&given_up), None)
            .await?;
        Moving::stay(self.tenant, (shard, database(self.config, shard)?)).await?;
        step("stayed");
        self.open(shard, target).await?.clear_target().await?;
        step("target-cleared");
        let known = (shard, Some(&*given_up));
        self.set(known, shard, None, None).await
    }
}

/// The shard that an attempt is to.
fn target_of(attempt: &str) -> &str {
    attempt.split('.').next().unwrap_or(attempt)
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
