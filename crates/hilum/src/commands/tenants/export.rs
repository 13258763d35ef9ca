//! `hilum tenants export`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use aws_lc_rs::digest;
use clap::Args;
use hilum_contracts::ids::TenantId;
use hilum_platform::clock;
use hilum_platform::config::Config;
use hilum_platform::durable::{self, Draft};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::commands::door::Door;
use crate::commands::export::{self, REPORT};
use crate::commands::{Doors, Installation, hex, tenant_name};
use crate::terminal;

/// Written last: its presence says that the export was finished.
const MANIFEST: &str = "manifest.json";
/// Whose export is under way in a folder.
const BEGUN: &str = "tenant.begun";
/// Longest line of records: an overlay with a thousand corrections fits.
const LINE_MAX: usize = 16 << 20;
/// Bytes of a file that are hashed at a time.
const PIECE: usize = 256 << 10;

#[derive(Args)]
pub(super) struct Export {
    /// The tenant.
    #[arg(value_name = "NAME", value_parser = tenant_name)]
    tenant: TenantId,
    /// An empty folder, or that of an export that broke off.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    installation: Installation,
    /// Print the manifest, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What is in the folder.
#[derive(Serialize)]
struct Manifest {
    version: u32,
    tenant: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What the export of the images says; absent where there are none.
    images: Option<Value>,
    files: Vec<Listed>,
}

/// A file with records, or with the digests of the images.
#[derive(Serialize)]
struct Listed {
    path: String,
    bytes: u64,
    lines: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Line {
    service: String,
    table: String,
    row: Value,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let to = std::path::absolute(&self.to)?;
        export::outside(&to, &config.data)?;
        begin(&to, &self.tenant)?;
        let images = self.images(&config, &to).await?;
        let door = Door::open_all(&config, &self.tenant).await?;
        let written = records(&door, &to).await;
        door.close().await;
        let mut files = written?;
        if images.is_some() {
            files.push("images/SHA256.TXT".to_owned());
        }
        let manifest = Manifest {
            version: 1,
            tenant: self.tenant.to_string(),
            at: clock::system().now(),
            images,
            files: files
                .iter()
                .map(|path| listed(&to, path))
                .collect::<anyhow::Result<_>>()?,
        };
        let text = serde_json::to_vec_pretty(&manifest)?;
        durable::replace(&to.join(MANIFEST), &text).with_context(|| export::cannot_write(&to))?;
        std::fs::remove_file(to.join(BEGUN))?;
        if self.json {
            terminal::line(serde_json::to_string(&manifest)?);
        } else {
            show(&manifest, &to);
        }
        let failed = manifest
            .images
            .as_ref()
            .and_then(|images| images.get("failed"));
        Ok(match failed.and_then(Value::as_u64) {
            None | Some(0) => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        })
    }

    /// Makes or completes the export of the images; what it says of itself.
    async fn images(&self, config: &Config, to: &Path) -> anyhow::Result<Option<Value>> {
        let folder = to.join("images");
        if let Ok(report) = std::fs::read(folder.join(REPORT)) {
            return Ok(Some(serde_json::from_slice(&report)?));
        }
        let door = Door::open_all(config, &self.tenant).await?;
        let held: anyhow::Result<Option<Value>> = door
            .ask(http::Method::GET, "/api/v1/storage", None::<&()>)
            .await;
        door.close().await;
        let held = held?.with_context(|| format!("there is no tenant {}", self.tenant))?;
        if held.get("studies").and_then(Value::as_u64) == Some(0) {
            return Ok(None);
        }
        let (tenant, installation) = (self.tenant.clone(), self.installation.clone());
        let images = export::Export::everything(folder, tenant, installation);
        let (report, _) = images.make().await?;
        Ok(Some(serde_json::to_value(&report)?))
    }
}

/// Takes the folder: an empty one, or one that this tenant's export broke off in.
fn begin(to: &Path, tenant: &TenantId) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("can't make {}", to.display()))?;
    anyhow::ensure!(
        !to.join(MANIFEST).exists(),
        "{} holds a finished export: name an empty folder",
        to.display()
    );
    let mark = to.join(BEGUN);
    match std::fs::read_to_string(&mark) {
        Ok(name) => anyhow::ensure!(
            name == tenant.as_str(),
            "{} holds an unfinished export of another tenant: name an empty folder",
            to.display()
        ),
        Err(_) => {
            anyhow::ensure!(
                std::fs::read_dir(to)?.next().is_none(),
                "{} is not empty: name an empty folder, so that nothing in it is written over",
                to.display()
            );
            durable::replace(&mark, tenant.as_str().as_bytes())
                .with_context(|| export::cannot_write(to))?;
        }
    }
    Ok(())
}

/// Writes the records of every service and the audit trail; the files.
async fn records(door: &Door, to: &Path) -> anyhow::Result<Vec<String>> {
    let spinner = terminal::spinner("exporting records");
    let folder = to.join("records");
    std::fs::create_dir_all(&folder).with_context(|| export::cannot_write(to))?;
    let mut tables = Tables {
        folder,
        open: BTreeMap::new(),
    };
    let mut rest = Vec::new();
    each_piece(door, "/api/v1/tenant/records", |piece| {
        rest.extend_from_slice(piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            tables.take(rest.get(..end).unwrap_or_default())?;
            rest.drain(..=end);
        }
        anyhow::ensure!(rest.len() <= LINE_MAX, "a record has no end");
        Ok(())
    })
    .await?;
    anyhow::ensure!(rest.is_empty(), "the records broke off");
    let mut files = tables.finish()?;
    for (form, name) in [("csv", "audit.csv"), ("fhir", "audit.fhir.ndjson")] {
        let path = to.join("records").join(name);
        let mut out = BufWriter::new(Draft::beside(&path)?);
        let address = format!("/api/v1/audit/export?format={form}");
        each_piece(door, &address, |piece| Ok(out.write_all(piece)?)).await?;
        finish(out)?;
        files.push(format!("records/{name}"));
    }
    spinner.finish_and_clear();
    Ok(files)
}

/// Hands on an answer's body as it comes.
async fn each_piece(
    door: &Door,
    path: &str,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut answer = door.fetch(path, "*/*").await?;
    if answer.status != StatusCode::OK {
        anyhow::bail!("{}", answer.detail().await);
    }
    while let Some(piece) = answer.piece().await {
        take(&piece?)?;
    }
    door.done(answer);
    Ok(())
}

/// One file for each table of each service.
struct Tables {
    folder: PathBuf,
    open: BTreeMap<String, BufWriter<Draft>>,
}

impl Tables {
    fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let line: Line = serde_json::from_slice(line)?;
        let is_plain = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            !name.is_empty() && name.bytes().all(plain)
        };
        anyhow::ensure!(
            is_plain(&line.service) && is_plain(&line.table),
            "a record is of no table"
        );
        let name = format!("{}.{}.jsonl", line.service, line.table);
        let out = match self.open.entry(name) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let draft = Draft::beside(&self.folder.join(entry.key()))?;
                entry.insert(BufWriter::new(draft))
            }
        };
        writeln!(out, "{}", line.row)?;
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Vec<String>> {
        let mut files = Vec::with_capacity(self.open.len());
        for (name, out) in self.open {
            finish(out)?;
            files.push(format!("records/{name}"));
        }
        Ok(files)
    }
}

fn finish(out: BufWriter<Draft>) -> anyhow::Result<()> {
    let draft = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    Ok(draft.finish()?)
}

/// A file with its length, lines and digest.
fn listed(to: &Path, path: &str) -> anyhow::Result<Listed> {
    let file = File::open(to.join(path))?;
    let mut file = BufReader::with_capacity(PIECE, file);
    let mut sum = digest::Context::new(&digest::SHA256);
    let (mut bytes, mut lines) = (0, 0);
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        sum.update(piece);
        let length = piece.len();
        bytes += u64::try_from(length)?;
        lines += u64::try_from(piece.iter().filter(|byte| **byte == b'\n').count())?;
        file.consume(length);
    }
    Ok(Listed {
        path: path.to_owned(),
        bytes,
        lines,
        sha256: hex(sum.finish().as_ref()),
    })
}

fn show(manifest: &Manifest, to: &Path) {
    let count = |field: &str| {
        let images = manifest.images.as_ref();
        let count = images.and_then(|images| images.get(field)?.as_u64());
        count.unwrap_or_default()
    };
    let records: u64 = manifest
        .files
        .iter()
        .filter(|file| file.path.ends_with(".jsonl"))
        .map(|file| file.lines)
        .sum();
    terminal::line(format_args!(
        "Exported {} of {} and {} to {}.",
        terminal::counted(count("files"), "image", "images"),
        terminal::counted(count("studies"), "study", "studies"),
        terminal::counted(records, "record", "records"),
        to.display()
    ));
    terminal::line(
        "images/ has a DICOMDIR, records/ a file for each table and the audit trail; what is in \
         which, with its SHA-256, is in manifest.json.",
    );
    if count("failed") > 0 {
        terminal::line(format_args!(
            "{} could not be exported: see images/EXPORT.JSON.",
            terminal::counted(count("failed"), "image", "images")
        ));
    }
    terminal::line("What was exported is in the clear: keep it safe.");
}
