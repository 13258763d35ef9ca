//! What who moves a tenant asks: of Identity where it lives, of the processes of both
//! shards whether they know, of the configuration how each is reached.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use hilum_contracts::service::ServiceName;
use hilum_platform::config::{Config, Database, ShardAt};
use hilum_platform::db::moving::Moving;
use hilum_platform::remote::Neighbour;
use hilum_platform::remote::moving::place;
use serde_json::{Value, json};

use super::Mover;
use crate::commands::tenants::list::{items, text};
use crate::terminal;

/// How long every process has to learn where the tenant lives now.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);

/// Pause between two questions about that.
const KNOWN_AGAIN: Duration = Duration::from_millis(20);

/// Where a tenant lives, as Identity says.
pub(super) struct Place {
    pub(super) shard: String,
    pub(super) moving_to: Option<String>,
    pub(super) moved_from: Option<String>,
}

impl Mover<'_> {
    /// Waits until every process of both shards knows where the tenant lives, as far as
    /// they answer: who does not is asked nothing by those that do.
    pub(super) async fn all_know(&self, from: &str, to: &str) {
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

    pub(super) async fn place(&self) -> anyhow::Result<Place> {
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

    pub(super) async fn set(
        &self,
        (from, moving): (&str, Option<&str>),
        shard: &str,
        moving_to: Option<&str>,
        moved_from: Option<&str>,
    ) -> anyhow::Result<()> {
        let body = json!({ "from": from, "moving": moving, "shard": shard, "moving_to": moving_to,
            "moved_from": moved_from });
        let (method, path) = (http::Method::PUT, "/api/v1/tenant/shard");
        let set: Option<Value> = self.door.ask(method, path, Some(&body)).await?;
        set.map(drop)
            .with_context(|| format!("there is no tenant {}", self.tenant))
    }

    pub(super) async fn open(&self, from: &str, to: &str) -> anyhow::Result<Moving> {
        let (of_from, of_to) = (database(self.config, from)?, database(self.config, to)?);
        let opened = Moving::open(self.tenant, (from, of_from), (to, of_to)).await;
        opened.context("a shard's database can't be used")
    }

    fn shard(&self, name: &str) -> anyhow::Result<&ShardAt> {
        let shard = self.config.shards.get(name);
        shard.with_context(|| format!("there is no shard {name}: name it in [shards.{name}]"))
    }

    fn addresses(&self, shard: &str) -> Vec<(ServiceName, String)> {
        let at = self.config.shards.get(shard).map(|one| &one.at);
        let at = at.into_iter().flatten();
        at.map(|(service, at)| (*service, at.clone())).collect()
    }

    pub(super) fn imaging(&self, name: &str) -> anyhow::Result<Neighbour> {
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

/// The database of a shard, as its owner reaches it.
pub(super) fn database<'c>(config: &'c Config, name: &str) -> anyhow::Result<&'c Database> {
    let own = config.database.as_ref();
    let own = own.filter(|_| name == config.shard.name);
    let of = config
        .shards
        .get(name)
        .and_then(|one| one.database.as_ref());
    of.or(own).with_context(|| {
        format!("name shards.{name}.database: tenants move between databases of PostgreSQL")
    })
}
