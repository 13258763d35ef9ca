//! `hilum hold place|list|lift`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hilum_archive::HoldOn;
use hilum_contracts::ids::TenantId;
use serde::Serialize;
use serde_json::{Value, json};

use super::own::Own;
use super::running::Connection;
use super::{Doors, Installation, tenant, tenant_name};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Hold {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Nothing of a study or a patient is deleted until the hold is lifted.
    Place(Place),
    /// Which holds stand.
    List(Shared),
    /// Lift a hold.
    Lift(Lift),
}

#[derive(Args)]
struct Place {
    /// Study Instance UID.
    #[arg(long, value_name = "UID", required_unless_present = "patient")]
    study: Option<String>,
    /// Patient ID: every study of the patient, also those that come later.
    #[arg(long, value_name = "ID", conflicts_with = "study")]
    patient: Option<String>,
    /// Issuer of Patient ID [default: whoever issued it].
    #[arg(long, requires = "patient")]
    issuer: Option<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
struct Lift {
    /// Its number, as `hilum hold list` shows it.
    id: i64,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args)]
struct Shared {
    /// Whose images it is about [default: the first tenant].
    #[arg(long, value_name = "NAME", value_parser = tenant_name)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Hold {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Place(place) => place.run().await?,
            Command::List(shared) => shared.list().await?,
            Command::Lift(lift) => lift.run().await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Who answers: the Hilum that serves, or this process.
enum Door {
    Running(Connection),
    Own(Box<Own>),
}

impl Shared {
    async fn door(&self) -> anyhow::Result<Door> {
        let config = self.installation.load(&Doors::default())?;
        let tenant = tenant(&config, self.tenant.as_ref())?;
        Ok(
            match Connection::of(&config.data, Some(tenant.as_str())).await? {
                Some(running) => Door::Running(running),
                None => {
                    super::archive_is_there(&config)?;
                    Door::Own(Box::new(Own::open(&config, &tenant).await?))
                }
            },
        )
    }

    async fn list(&self) -> anyhow::Result<()> {
        let answer: Value = match self.door().await? {
            Door::Running(mut running) => {
                running
                    .ask(http::Method::GET, "/api/v1/holds", None::<&()>)
                    .await?
            }
            Door::Own(own) => {
                let rows = own.archive.holds(&own.scope, u32::MAX).await?;
                own.close().await;
                let items: Vec<Value> = rows
                    .into_iter()
                    .map(|row| {
                        let (study, patient, issuer) = match row.on {
                            HoldOn::Study { study } => (Some(study), None, None),
                            HoldOn::Patient { issuer, id } => (None, Some(id), issuer),
                        };
                        json!({ "id": row.id, "study_uid": study, "patient_id": patient,
                            "issuer": issuer, "reason": row.reason, "by": row.by })
                    })
                    .collect();
                json!({ "items": items })
            }
        };
        if self.json {
            terminal::line(&answer);
            return Ok(());
        }
        let items = answer.get("items").and_then(Value::as_array);
        if items.is_none_or(Vec::is_empty) {
            terminal::line("No legal hold stands.");
        }
        for hold in items.into_iter().flatten() {
            let text = |field: &str| hold.get(field).and_then(Value::as_str);
            let patient = text("patient_id").unwrap_or("-");
            let on = match (text("study_uid"), text("issuer")) {
                (Some(study), _) => format!("study {study}"),
                (None, Some(issuer)) => format!("patient {patient} of {issuer}"),
                (None, None) => format!("patient {patient}"),
            };
            let id = hold.get("id").and_then(Value::as_i64).unwrap_or_default();
            let reason = text("reason").unwrap_or("-");
            terminal::line(format_args!("{id:>6}  {on}: {reason}"));
        }
        Ok(())
    }

    fn say(&self, answer: &impl Serialize, text: &str) -> anyhow::Result<()> {
        if self.json {
            terminal::line(serde_json::to_string(answer)?);
        } else {
            terminal::line(text);
        }
        Ok(())
    }
}

impl Place {
    async fn run(self) -> anyhow::Result<()> {
        let id = match self.shared.door().await? {
            Door::Running(mut running) => {
                let body = json!({ "study_uid": self.study, "patient_id": self.patient,
                    "issuer": self.issuer, "reason": self.reason });
                let answer: Value = running
                    .ask(http::Method::POST, "/api/v1/holds", Some(&body))
                    .await?;
                answer.get("id").and_then(Value::as_i64).unwrap_or_default()
            }
            Door::Own(own) => {
                let on = match (self.study, self.patient) {
                    (Some(study), _) => HoldOn::Study { study },
                    (None, id) => HoldOn::Patient {
                        issuer: self.issuer,
                        id: id.unwrap_or_default(),
                    },
                };
                let by = "local operator".to_owned();
                let placed = own
                    .archive
                    .place_hold(&own.scope, on, self.reason, by)
                    .await;
                own.close().await;
                placed?
            }
        };
        let text = format!("Hold {id} stands. Nothing that it is on is deleted.");
        self.shared.say(&json!({ "id": id }), &text)
    }
}

impl Lift {
    async fn run(self) -> anyhow::Result<()> {
        match self.shared.door().await? {
            Door::Running(mut running) => {
                let path = format!("/api/v1/holds/{}", self.id);
                let _none: Value = running
                    .ask(http::Method::DELETE, &path, None::<&()>)
                    .await?;
            }
            Door::Own(own) => {
                let by = "local operator".to_owned();
                let lifted = own.archive.lift_hold(&own.scope, self.id, by).await;
                own.close().await;
                lifted?;
            }
        }
        let text = format!("Hold {} is lifted.", self.id);
        self.shared.say(&json!({ "id": self.id }), &text)
    }
}
