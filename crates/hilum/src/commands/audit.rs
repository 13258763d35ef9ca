//! `hilum audit verify`, `hilum audit list`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hilum_audit::{Content, Seal, Verified};
use hilum_contracts::audit::Act;
use hilum_contracts::ids::TenantId;
use hilum_platform::config::Config;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::door::Door;
use super::{Doors, Installation, tenants};
use crate::terminal;

/// Longest seal that a file may hold: far more than one of full ranges.
const SEAL_MAX: u64 = 64 << 20;
/// Seals asked for at once.
const PAGE: u32 = 100;

#[derive(Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check every entry of the audit trail against its chain and its seals,
    /// also while serving: says which one was changed, removed, reordered or
    /// cut off.
    Verify(Verify),
    /// List entries, the newest first, also while serving.
    List(List),
}

/// Whose trail a command is about.
#[derive(Args)]
struct Whose {
    /// Whose trail [default: the first tenant's].
    #[arg(long, value_name = "NAME", value_parser = super::tenant_name)]
    tenant: Option<TenantId>,
    /// The installation's own: who failed to come in and is nobody's, what was
    /// done to all of it.
    #[arg(long = "installation", conflicts_with = "tenant")]
    of_installation: bool,
}

impl Whose {
    fn tenant(&self, config: &Config) -> anyhow::Result<TenantId> {
        match self.of_installation {
            true => Ok(TenantId::installation()),
            false => super::tenant(config, self.tenant.as_ref()),
        }
    }
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    whose: Whose,
    /// Only this act: `backup`, `sign-in-failed`, `export`.
    #[arg(long, value_name = "ACT")]
    action: Option<Act>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// An entry, as far as a line shows it.
#[derive(Deserialize)]
struct Listed {
    at: String,
    who: String,
    name: Option<String>,
    from: Option<String>,
    action: String,
    outcome: String,
    count: u64,
    details: BTreeMap<String, String>,
}

impl List {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let door = Door::open_all(&config, &self.whose.tenant(&config)?).await?;
        let mut asked = format!("/api/v1/audit/entries?limit={}", self.limit);
        if let Some(action) = self.action {
            asked = format!("{asked}&action={action}");
        }
        let found: anyhow::Result<Option<Value>> = door.ask(Method::GET, &asked, None::<&()>).await;
        door.close().await;
        let found = found?.context("this Hilum keeps no audit trail")?;
        if self.json {
            terminal::line(&found);
            return Ok(ExitCode::SUCCESS);
        }
        let items = found.get("items").cloned().unwrap_or_default();
        for one in serde_json::from_value::<Vec<Listed>>(items)? {
            let who = one.name.unwrap_or(one.who);
            let from = one.from.map(|from| format!(" from {from}"));
            let details = one
                .details
                .iter()
                .map(|(name, value)| format!(" {name}={value}"));
            terminal::line(format_args!(
                "{} {who}{}: {} {} ({}){}",
                one.at,
                from.unwrap_or_default(),
                one.action,
                one.outcome,
                one.count,
                details.collect::<String>()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
struct Verify {
    #[command(flatten)]
    whose: Whose,
    /// A file of seals that was kept elsewhere: what it holds must be there.
    #[arg(long, value_name = "FILE")]
    seals: Option<PathBuf>,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was found, with what a file of seals says.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    verified: Verified,
    /// Seals of the file that were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_seals: Option<u64>,
    /// What is wrong with them, each in a sentence.
    kept_seal_faults: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Shown>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Shown {
    number: u64,
    hash: String,
}

impl Audit {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Verify(command) => command.run().await,
            Command::List(command) => command.run().await,
        }
    }
}

impl Verify {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let tenant = self.whose.tenant(&config)?;
        let mut door = Door::of_installation(&config).await?;
        let is_there = self.whose.of_installation || tenants::names(&door).await?.contains(&tenant);
        if is_there {
            door = door.about(&tenant).await?;
        }
        let report = self.verify(&door, (!is_there).then_some(&tenant)).await;
        door.close().await;
        let report = report?;
        let is_well = report.verified.intact && report.kept_seal_faults.is_empty();
        if self.json {
            terminal::line(serde_json::to_string(&report)?);
        } else {
            show(&report);
        }
        Ok(match is_well {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    /// `ended`: the tenant, where it is not there any more.
    async fn verify(&self, door: &Door, ended: Option<&TenantId>) -> anyhow::Result<Report> {
        let spinner = terminal::spinner("verifying the audit trail");
        let body = ended.map(|tenant| json!({ "ended_tenant": tenant }));
        let verified: Option<Verified> = door
            .ask(Method::POST, "/api/v1/audit/verify", body.as_ref())
            .await?;
        let verified =
            verified.context("there is no such tenant, and none of the name was ended")?;
        let (mut kept_seals, mut kept_seal_faults) = (None, Vec::new());
        if let Some(path) = &self.seals {
            let of = ended.map_or_else(String::new, |tenant| format!("&ended_tenant={tenant}"));
            let (count, faults) = compare(door, &of, path, &verified).await?;
            (kept_seals, kept_seal_faults) = (Some(count), faults);
        }
        spinner.finish_and_clear();
        Ok(Report {
            verified,
            kept_seals,
            kept_seal_faults,
        })
    }
}

/// Holds the seals of a file against those that the installation has, of whom `of`
/// says.
async fn compare(
    door: &Door,
    of: &str,
    path: &Path,
    verified: &Verified,
) -> anyhow::Result<(u64, Vec<String>)> {
    let file = File::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut lines = BufReader::new(file);
    let (mut count, mut faults) = (0, Vec::new());
    let mut before: Option<Seal> = None;
    let (mut served, mut next) = (std::collections::VecDeque::new(), Some(0));
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(SEAL_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        let Ok(seal) = serde_json::from_slice::<Seal>(&line) else {
            faults.push(format!("line {} of the file is no seal", count + 1));
            break;
        };
        count += 1;
        let content = match seal.opened(&verified.key, before.as_ref()) {
            Ok(content) => content,
            Err(fault) => {
                faults.push(format!("seal {count} of the file: {fault}"));
                break;
            }
        };
        anyhow::ensure!(
            content.tenant.as_str() == verified.tenant,
            "the file holds seals of the tenant {}: name it with --tenant",
            content.tenant
        );
        while served.is_empty()
            && let Some(after) = next
        {
            let asked = format!("/api/v1/audit/seals?after={after}&limit={PAGE}{of}");
            let page: Option<Page> = door.ask(Method::GET, &asked, None::<&()>).await?;
            let page = page.context("this Hilum has no seals")?;
            next = page.next;
            served.extend(page.items);
        }
        let Some(Shown { number, hash }) = served.pop_front() else {
            faults.push(format!(
                "seal {} is not there any more: {}",
                content.number,
                held(&content)
            ));
            break;
        };
        if number != content.number || hash != seal.hash() {
            faults.push(format!(
                "seal {} is another one: {}",
                content.number,
                held(&content)
            ));
            break;
        }
        before = Some(seal);
    }
    Ok((count, faults))
}

/// Which entries a seal holds.
fn held(content: &Content) -> String {
    let ranges: Vec<String> = content
        .writers
        .iter()
        .map(|range| {
            format!(
                "entries {} to {} of {}",
                range.first, range.last, range.writer
            )
        })
        .collect();
    format!("it held {}", ranges.join(", "))
}

fn show(report: &Report) {
    let verified = &report.verified;
    for writer in &verified.writers {
        let of = terminal::counted(writer.entries, "entry", "entries");
        terminal::line(format_args!("{}: {of}", writer.writer));
        if writer.removed > 0 {
            let when = writer.removed_at.as_deref().unwrap_or("nobody knows when");
            terminal::line(format_args!(
                "  {}: entries 1 to {} were kept long enough and removed ({when})",
                writer.writer, writer.removed
            ));
        }
        for fault in &writer.faults {
            terminal::line(format_args!("  {}: {fault}", writer.writer));
        }
    }
    let seals = terminal::counted(verified.seals, "seal", "seals");
    terminal::line(format_args!("{seals}, signed with {}", verified.key));
    for fault in verified.seal_faults.iter().chain(&report.kept_seal_faults) {
        terminal::line(format_args!("  {fault}"));
    }
    if let Some(kept) = report.kept_seals {
        let seals = terminal::counted(kept, "seal", "seals");
        terminal::line(format_args!("{seals} of the file were compared."));
    }
    let is_well = verified.intact && report.kept_seal_faults.is_empty();
    terminal::line(match is_well {
        true => "The audit trail is what was written.",
        false => "The audit trail is not what was written.",
    });
}
