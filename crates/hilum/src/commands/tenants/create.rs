//! `hilum tenants create`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::ids::TenantId;
use serde_json::{Value, json};

use super::list::text;
use super::moving;
use crate::commands::door::Door;
use crate::commands::{Doors, Installation, tenant_name};
use crate::terminal;

#[derive(Args)]
pub(super) struct Create {
    /// The organisation's name for people.
    display_name: String,
    /// Its name in paths and commands [default: made of the other].
    #[arg(long, value_name = "NAME", value_parser = tenant_name)]
    name: Option<TenantId>,
    /// The AE title that images are sent to [default: made of the name].
    #[arg(long, value_name = "TITLE")]
    ae_title: Option<String>,
    /// The shard that it is to live on [default: the first].
    #[arg(long, value_name = "SHARD")]
    shard: Option<String>,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let door = Door::of_installation(&config).await?;
        let asked = json!({ "display_name": self.display_name, "name": self.name,
            "ae_title": self.ae_title });
        let made = door
            .ask(http::Method::POST, "/api/v1/tenants", Some(&asked))
            .await;
        door.close().await;
        let made: Value = made?.context(
            "there is no tenant yet: the link that `hilum serve` prints makes the first",
        )?;
        let name = text(&made, "name");
        if let Some(shard) = self.shard {
            let tenant = TenantId::new(name)?;
            moving::to(&tenant, &shard, &self.installation).await?;
        }
        if self.json {
            terminal::line(&made);
        } else {
            terminal::line(format_args!(
                "Made {name}, which devices call {}.",
                text(&made, "ae_title")
            ));
            terminal::note(format_args!(
                "Nobody belongs to it yet: make a key with `hilum keys create --tenant {name}`, or \
                 invite somebody with one.",
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
