//! `hilum tenants end`

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::ids::TenantId;
use serde_json::{Value, json};

use crate::commands::certificate::{CertificateFile, show_backups};
use crate::commands::door::Door;
use crate::commands::{Doors, Installation, tenant_name};
use crate::terminal;

#[derive(Args)]
pub(super) struct End {
    /// The tenant.
    #[arg(value_name = "NAME", value_parser = tenant_name)]
    tenant: TenantId,
    /// Go over legal holds; the certificate says over how many.
    #[arg(long)]
    override_holds: bool,
    /// A new file for the certificate [default: end-of-NAME-TIME.json here].
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    installation: Installation,
    /// Print the certificate, and nothing else.
    #[arg(long)]
    json: bool,
}

impl End {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        anyhow::ensure!(
            self.yes || std::io::stdin().is_terminal(),
            "nobody is there to be asked: say --yes if it is meant"
        );
        let door = Door::open_all(&config, &self.tenant).await?;
        let ended = self.end(&door).await;
        door.close().await;
        ended
    }

    async fn end(&self, door: &Door) -> anyhow::Result<ExitCode> {
        if !self.yes && !self.is_meant(door).await? {
            terminal::note("Nothing was ended.");
            return Ok(ExitCode::FAILURE);
        }
        let of = format!("end-of-{}", self.tenant);
        let file = CertificateFile::begin(self.certificate.as_deref(), &of)?;
        let body = json!({ "confirm": self.tenant, "override_holds": self.override_holds });
        let spinner = terminal::spinner("ending");
        let asked = door
            .ask(http::Method::POST, "/api/v1/tenant/end", Some(&body))
            .await;
        spinner.finish_and_clear();
        let certificate: Value = match asked {
            Ok(Some(certificate)) => certificate,
            other => {
                file.drop_empty();
                other?;
                anyhow::bail!("there is no tenant {}", self.tenant);
            }
        };
        let path = file.path().to_owned();
        let kept = file.keep(&certificate);
        if self.json {
            terminal::line(&certificate);
        } else {
            show(&certificate);
            terminal::line(format_args!("The certificate is in {}.", path.display()));
            show_backups(&certificate, "the tenant");
        }
        kept.with_context(|| {
            format!(
                "the tenant is ended, and the certificate can't be written to {}; `hilum tenants \
                 list --json` has it",
                path.display()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// Asks the person at the terminal.
    async fn is_meant(&self, door: &Door) -> anyhow::Result<bool> {
        let held: Option<Value> = door
            .ask(http::Method::GET, "/api/v1/storage", None::<&()>)
            .await?;
        let held = held.with_context(|| format!("there is no tenant {}", self.tenant))?;
        terminal::note(format_args!(
            "{} with {}, and all results, people, keys, devices and settings of {} are destroyed \
             for good, and its name is never used again. Nothing brings them back. `hilum tenants \
             export` takes them out before.",
            terminal::counted(count(&held, "studies"), "study", "studies"),
            terminal::counted(count(&held, "instances"), "image", "images"),
            self.tenant,
        ));
        let answer = terminal::asked("Type the tenant's name again to end it: ")?;
        Ok(answer.trim() == self.tenant.as_str())
    }
}

fn count(of: &Value, field: &str) -> u64 {
    of.get(field).and_then(Value::as_u64).unwrap_or_default()
}

fn show(certificate: &Value) {
    let count = |field| count(certificate, field);
    terminal::line(format_args!(
        "Ended: {}, {}, {}, {}, {}.",
        terminal::counted(count("studies"), "study", "studies"),
        terminal::counted(count("instances"), "image", "images"),
        terminal::counted(count("people"), "person", "people"),
        terminal::counted(count("api_keys"), "API key", "API keys"),
        terminal::counted(count("devices"), "device", "devices"),
    ));
    let holds = count("overridden_holds");
    if holds > 0 {
        let holds = terminal::counted(holds, "legal hold", "legal holds");
        terminal::line(format_args!("Over {holds}."));
    }
}
