//! `hilum erase`

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::ids::TenantId;
use serde_json::{Value, json};

use super::certificate::{CertificateFile, show_backups};
use super::door::Door;
use super::export::plan::{self, Listed};
use super::{Doors, Installation};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Erase {
    /// Patient ID.
    #[arg(long, value_name = "ID")]
    patient: String,
    /// Issuer of Patient ID [default: studies that name none].
    #[arg(long)]
    issuer: Option<String>,
    /// Whose images they are [default: the first tenant].
    #[arg(long, value_name = "NAME", value_parser = super::tenant_name)]
    tenant: Option<TenantId>,
    /// A new file for the certificate [default: erasure-TIME.json here].
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

impl Erase {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let tenant = super::tenant(&config, self.tenant.as_ref())?;
        anyhow::ensure!(!self.patient.trim().is_empty(), "name the Patient ID");
        anyhow::ensure!(
            self.yes || std::io::stdin().is_terminal(),
            "nobody is there to be asked: say --yes if it is meant"
        );
        let door = Door::open_all(&config, &tenant).await?;
        let ended = self.erase(&door).await;
        door.close().await;
        ended
    }

    async fn erase(&self, door: &Door) -> anyhow::Result<ExitCode> {
        let found = self.found(door).await?;
        if !self.yes && !self.is_meant(&found)? {
            terminal::note("Nothing was erased.");
            return Ok(ExitCode::FAILURE);
        }
        let file = CertificateFile::begin(self.certificate.as_deref(), "erasure")?;
        let body = json!({ "patient_id": self.patient, "issuer": self.issuer });
        let spinner = terminal::spinner("erasing");
        let asked = door
            .ask(http::Method::POST, "/api/v1/erasures", Some(&body))
            .await;
        spinner.finish_and_clear();
        let certificate: Value = match asked {
            Ok(Some(certificate)) => certificate,
            other => {
                file.drop_empty();
                other?;
                anyhow::bail!("there is nothing of this patient");
            }
        };
        let path = file.path().to_owned();
        let kept = file.keep(&certificate);
        if self.json {
            terminal::line(&certificate);
        } else {
            show(&certificate, &path);
        }
        kept.with_context(|| {
            format!(
                "the patient is erased, and the certificate can't be written to {}; the archive \
                 has it: GET /api/v1/erasures",
                path.display()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// The patient's studies. Those of the same ID by another issuer are
    /// another person's.
    async fn found(&self, door: &Door) -> anyhow::Result<Vec<Listed>> {
        let (found, others): (Vec<Listed>, Vec<Listed>) = plan::of_patient(door, &self.patient)
            .await?
            .into_iter()
            .partition(|study| study.patient.issuer == self.issuer.as_deref().unwrap_or_default());
        anyhow::ensure!(
            !found.is_empty() || others.is_empty(),
            "this Patient ID was issued by {}: name the issuer with --issuer",
            plan::issuers(&others).join(", ")
        );
        Ok(found)
    }

    /// Asks the person at the terminal.
    fn is_meant(&self, found: &[Listed]) -> anyhow::Result<bool> {
        let images = found.iter().map(|study| study.instance_count).sum();
        terminal::note(format_args!(
            "{} with {} of this patient, and what the quarantine holds of them, are destroyed for \
             good, with all results, rows, events and keys. Nothing brings them back.",
            terminal::counted(u64::try_from(found.len())?, "study", "studies"),
            terminal::counted(images, "image", "images"),
        ));
        let answer = terminal::asked("Type the Patient ID again to erase the patient: ")?;
        Ok(answer.trim() == self.patient.trim())
    }
}

fn show(certificate: &Value, path: &Path) {
    let count = |field: &str| {
        let value = certificate.get(field).and_then(Value::as_u64);
        value.unwrap_or_default()
    };
    terminal::line(format_args!(
        "Erased: {}, {}, {} of the quarantine.",
        terminal::counted(count("studies"), "study", "studies"),
        terminal::counted(count("instances"), "image", "images"),
        terminal::counted(count("quarantined"), "item", "items"),
    ));
    terminal::line(format_args!("The certificate is in {}.", path.display()));
    show_backups(certificate, "the patient");
}
