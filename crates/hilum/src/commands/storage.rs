//! `hilum storage`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::own::Own;
use super::running::Connection;
use super::{Doors, Installation};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Storage {
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Storage {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let mut tenants = serde_json::Map::new();
        for tenant in &config.tenants {
            let name = &tenant.name;
            let report: Value = match Connection::of(&config.data, Some(name.as_str())).await? {
                Some(mut running) => {
                    running
                        .ask(http::Method::GET, "/api/v1/storage", None::<&()>)
                        .await?
                }
                None => {
                    let own = Own::open(&config, name).await?;
                    let report = own.imaging.storage_report(&own.scope).await;
                    own.close().await;
                    report?
                }
            };
            tenants.insert(name.as_str().to_owned(), report);
        }
        if self.json {
            terminal::line(json!({ "tenants": tenants }));
            return Ok(ExitCode::SUCCESS);
        }
        for (name, report) in &tenants {
            let number = |field: &str| report.get(field).and_then(Value::as_u64);
            let count = |field: &str| number(field).unwrap_or_default();
            let quota = |field: &str| number(field).map(|most| format!(" of {most}"));
            terminal::line(format_args!(
                "{name}: {}{} bytes in {} objects ({} packs, {} bundles); {} studies, {}{} \
                 instances; quarantine {} items, {} bytes; look-up {} bytes",
                count("bytes"),
                quota("quota_bytes").unwrap_or_default(),
                count("objects"),
                count("packs"),
                count("bundles"),
                count("studies"),
                count("instances"),
                quota("quota_instances").unwrap_or_default(),
                count("quarantine_items"),
                count("quarantine_bytes"),
                count("lookup_bytes"),
            ));
        }
        if let Some((_, report)) = tenants.iter().next() {
            let bytes = |field: &str| {
                report
                    .get(field)
                    .and_then(Value::as_u64)
                    .unwrap_or_default()
            };
            terminal::line(format_args!(
                "All tenants: index {} bytes, keys {} bytes",
                bytes("index_bytes"),
                bytes("key_bytes")
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
