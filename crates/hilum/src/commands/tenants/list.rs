//! `hilum tenants list`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::commands::door::Door;
use crate::commands::{Doors, Installation};
use crate::terminal;

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let door = Door::of_installation(&config).await?;
        let found = async {
            let tenants = items(&door, "/api/v1/tenants").await?;
            anyhow::Ok((tenants, items(&door, "/api/v1/tenants/ended").await?))
        };
        let found = found.await;
        door.close().await;
        let (tenants, ended) = found?;
        if self.json {
            terminal::line(json!({ "tenants": tenants, "ended": ended }));
            return Ok(ExitCode::SUCCESS);
        }
        for tenant in &tenants {
            let shard = match tenant.get("moving_to").and_then(Value::as_str) {
                Some(to) => {
                    let to = to.split('.').next().unwrap_or(to);
                    format!("{} to {to}", text(tenant, "shard"))
                }
                None => text(tenant, "shard").to_owned(),
            };
            terminal::line(format_args!(
                "{:<32}  {:<16}  {shard:<16}  {}",
                text(tenant, "name"),
                text(tenant, "ae_title"),
                text(tenant, "display_name"),
            ));
        }
        for tenant in &ended {
            let name = text(tenant, "name");
            match tenant.get("ended_at").and_then(Value::as_str) {
                Some(at) => {
                    let certificate = tenant.get("certificate").unwrap_or(&Value::Null);
                    let digest = text(certificate, "sha256");
                    terminal::line(format_args!("{name:<32}  ended {at}, certificate {digest}"));
                }
                None => terminal::line(format_args!("{name:<32}  is being ended")),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The items of a list, none where there is no tenant whose door would answer.
pub(super) async fn items(door: &Door, path: &str) -> anyhow::Result<Vec<Value>> {
    let list: Option<Value> = door.ask(http::Method::GET, path, None::<&()>).await?;
    let items = list.as_ref().and_then(|list| list.get("items"));
    Ok(items.and_then(Value::as_array).cloned().unwrap_or_default())
}

pub(super) fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of.get(field).and_then(Value::as_str).unwrap_or_default()
}
