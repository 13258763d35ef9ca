//! `hilum export TO`

mod media;
pub(crate) mod plan;
mod state;
mod writing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::ids::TenantId;
use hilum_platform::clock;
use hilum_platform::durable::Draft;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use self::media::Contents;
pub(super) use self::state::REPORT;
use self::state::{Asked, Found, Progress, State};
use self::writing::Writing;
use super::{Doors, Installation};
use crate::commands::door::Door;
use crate::terminal;

/// Files on their way at once, unless somebody says otherwise.
const PARALLEL: u16 = 8;

#[derive(Args)]
#[command(group(clap::ArgGroup::new("wanted").required(true)))]
pub(crate) struct Export {
    /// An empty folder, or that of an export that broke off.
    to: PathBuf,
    /// A study, by its Study Instance UID; may be given several times.
    #[arg(long, value_name = "UID", group = "wanted")]
    study: Vec<String>,
    /// Everything of a patient, by the Patient ID.
    #[arg(long, value_name = "ID", group = "wanted")]
    patient: Option<String>,
    /// Issuer of Patient ID: needed where several issued the same one.
    #[arg(long, requires = "patient")]
    issuer: Option<String>,
    /// Everything of the tenant.
    #[arg(long, group = "wanted")]
    all: bool,
    /// Whose images they are [default: the first tenant].
    #[arg(long, value_name = "NAME", value_parser = super::tenant_name)]
    tenant: Option<TenantId>,
    /// As they were received, without corrections.
    #[arg(long)]
    as_received: bool,
    /// Files on their way at once.
    #[arg(long, value_name = "N", default_value_t = PARALLEL,
        value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Wanted {
    /// Study Instance UIDs.
    Studies(Vec<String>),
    /// Everything of a patient.
    Patient { id: String, issuer: Option<String> },
    /// Everything of the tenant.
    Everything,
}

/// What an export did: `EXPORT.JSON`, and what `--json` prints.
#[derive(Serialize)]
pub(super) struct Report {
    export: Uuid,
    tenant: String,
    as_received: bool,
    #[serde(with = "time::serde::rfc3339")]
    began: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    ended: OffsetDateTime,
    patients: u32,
    studies: usize,
    files: u32,
    bytes: u64,
    /// Instances that could not be given.
    failed: u32,
    #[serde(flatten)]
    contents: Contents,
}

impl Export {
    /// All images of a tenant.
    pub(super) fn everything(to: PathBuf, tenant: TenantId, installation: Installation) -> Self {
        Self {
            to,
            study: Vec::new(),
            patient: None,
            issuer: None,
            all: true,
            tenant: Some(tenant),
            as_received: false,
            parallel: PARALLEL,
            installation,
            json: false,
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let (report, to) = self.make().await?;
        if self.json {
            terminal::line(serde_json::to_string(&report)?);
        } else {
            report.show(&to);
        }
        Ok(match report.is_whole() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    /// Makes the export, or goes on with it; what was done, and where.
    pub(super) async fn make(&self) -> anyhow::Result<(Report, PathBuf)> {
        let config = self.installation.load(&Doors::default())?;
        let tenant = super::tenant(&config, self.tenant.as_ref())?;
        let to = std::path::absolute(&self.to)?;
        outside(&to, &config.data)?;
        let found = state::look(&to)?;
        let door = Door::open(&config, &tenant).await?;
        let ended = self.export(&door, &to, &tenant, found).await;
        door.close().await;
        Ok((ended?, to))
    }

    fn wanted(&self) -> Wanted {
        match (&self.patient, self.all) {
            (Some(id), _) => Wanted::Patient {
                id: id.clone(),
                issuer: self.issuer.clone(),
            },
            (None, true) => Wanted::Everything,
            (None, false) => Wanted::Studies(self.study.clone()),
        }
    }

    async fn export(
        &self,
        door: &Door,
        to: &Path,
        tenant: &TenantId,
        found: Found,
    ) -> anyhow::Result<Report> {
        let (mut state, mut progress) = match found {
            Found::Empty(lock) => {
                let wanted = self.wanted();
                let finding = terminal::spinner("exporting");
                finding.set_message("finding the studies");
                let plan = plan::make(door, &wanted, tenant).await;
                finding.finish_and_clear();
                let plan = match plan {
                    Ok(plan) => plan,
                    Err(error) => {
                        state::leave(to);
                        return Err(error);
                    }
                };
                let all: u64 = plan.iter().map(|study| study.instances).sum();
                let asked = Asked {
                    version: 1,
                    export: Uuid::new_v4(),
                    tenant: tenant.as_str().to_owned(),
                    wanted,
                    as_received: self.as_received,
                    began: clock::system().now(),
                    several: all > u64::from(hilum_media::FILES_MAX),
                };
                let state = State::begin(to, lock, asked, plan);
                (
                    state.with_context(|| cannot_write(to))?,
                    Progress::default(),
                )
            }
            Found::Unfinished(state, progress) => {
                let same = state.asked.wanted == self.wanted()
                    && state.asked.as_received == self.as_received
                    && state.asked.tenant == tenant.as_str();
                anyhow::ensure!(
                    same,
                    "{} holds an unfinished export of something else: name an empty folder",
                    to.display()
                );
                terminal::note(format_args!(
                    "Going on with the export that began {}: {} files are there.",
                    state.asked.began.date(),
                    progress.files
                ));
                (*state, progress)
            }
        };
        self.record(door, &state).await?;
        let all: u64 = state.plan.iter().map(|study| study.instances).sum();
        let bar = terminal::bar(all, "exporting");
        bar.set_position(u64::from(progress.files));
        let parallel = usize::from(self.parallel);
        Writing::new(door, to, (&mut state, &mut progress), parallel, &bar)
            .run()
            .await?;
        bar.finish_and_clear();
        finish(door, to, state, &progress).await
    }

    /// Nothing is taken out that was not recorded before.
    async fn record(&self, door: &Door, state: &State) -> anyhow::Result<()> {
        let mut body = match &state.asked.wanted {
            Wanted::Studies(uids) => json!({ "extent": "studies", "study_uids": uids }),
            Wanted::Patient { id, issuer } => {
                json!({ "extent": "patient", "patient": { "id": id, "issuer": issuer } })
            }
            Wanted::Everything => json!({ "extent": "everything" }),
        };
        if let Some(body) = body.as_object_mut() {
            body.insert("as_received".to_owned(), state.asked.as_received.into());
            body.insert("studies".to_owned(), state.plan.len().into());
        }
        let path = format!("/api/v1/exports/{}", state.asked.export);
        let _none: Option<Value> = door.ask(Method::POST, &path, Some(&body)).await?;
        Ok(())
    }
}

async fn finish(
    door: &Door,
    to: &Path,
    state: State,
    progress: &Progress,
) -> anyhow::Result<Report> {
    let bar = terminal::bar(u64::from(progress.files), "listing");
    let folder = to.to_owned();
    let shown = bar.clone();
    let (state, contents) = tokio::task::spawn_blocking(move || {
        let contents = media::complete(&folder, &state, &shown)?;
        anyhow::Ok((state, contents))
    })
    .await??;
    bar.finish_and_clear();
    let report = Report {
        export: state.asked.export,
        tenant: state.asked.tenant.clone(),
        as_received: state.asked.as_received,
        began: state.asked.began,
        ended: clock::system().now(),
        patients: state.plan.last().map_or(0, |study| study.patient),
        studies: state.plan.len(),
        files: progress.files,
        bytes: progress.bytes,
        failed: progress.failed,
        contents,
    };
    let body = json!({ "files": report.files, "bytes": report.bytes, "failed": report.failed,
        "sha256": report.contents.sha256 });
    let path = format!("/api/v1/exports/{}/end", report.export);
    let _none: Option<Value> = door.ask(Method::POST, &path, Some(&body)).await?;
    let text = serde_json::to_vec_pretty(&report)?;
    let write = || {
        let mut draft = Draft::at(&state.draft(REPORT), &to.join(REPORT))?;
        draft.write_all(&text)?;
        draft.finish()
    };
    write().with_context(|| cannot_write(to))?;
    state.finish().with_context(|| cannot_write(to))?;
    Ok(report)
}

impl Report {
    /// Whether every image was given.
    pub(super) fn is_whole(&self) -> bool {
        self.failed == 0 && self.contents.failures.is_empty()
    }

    pub(super) fn show(&self, to: &Path) {
        terminal::line(format_args!(
            "Exported {} to {}.",
            [
                terminal::counted(self.files.into(), "image", "images"),
                terminal::counted(u64::try_from(self.studies).unwrap_or(0), "study", "studies"),
                terminal::counted(self.patients.into(), "patient", "patients"),
                terminal::bytes(self.bytes),
            ]
            .join(", "),
            to.display()
        ));
        terminal::line(if self.as_received {
            "As received, without corrections. What was exported is in the clear: keep it safe."
        } else {
            "As served, with corrections. What was exported is in the clear: keep it safe."
        });
        terminal::line("Listed in DICOMDIR; checked by `sha256sum --check SHA256.TXT` there.");
        if let [_, _, ..] = self.contents.file_sets.as_slice() {
            terminal::line(format_args!(
                "In {} folders, each with its own DICOMDIR, for one lists at most {} files.",
                self.contents.file_sets.len(),
                terminal::number(hilum_media::FILES_MAX.into())
            ));
        }
        if self.failed > 0 {
            terminal::line(format_args!("{} could not be exported:", self.failed));
        }
        for failure in &self.contents.failures {
            terminal::line(format_args!(
                "FAILED  {}: {}",
                failure.sop_instance_uid, failure.reason
            ));
        }
    }
}

/// An export into the data folder would be backed up with it, in clear.
pub(super) fn outside(to: &Path, data: &Path) -> anyhow::Result<()> {
    let data = std::fs::canonicalize(data)
        .with_context(|| format!("there is no data folder {}", data.display()))?;
    let there = to
        .ancestors()
        .find_map(|one| std::fs::canonicalize(one).ok());
    anyhow::ensure!(
        there.is_none_or(|there| !there.starts_with(&data)),
        "{} is in the data folder: name a folder outside of it",
        to.display()
    );
    Ok(())
}

/// What an error of the disk that is written to begins with.
pub(super) fn cannot_write(to: &Path) -> String {
    format!(
        "can't write to {}; mend that and start the export again to go on",
        to.display()
    )
}
