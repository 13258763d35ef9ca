//! Fills an archive's index as ten years of a hospital would, without images,
//! and asks it: `cargo run --release -p hilum-archive --example scale --
//! load DIR STUDIES INSTANCES` (or `load-settled`), then `… ask DIR [TIMES]`,
//! or `ask-parts` for the worklist's question by part of a name.
//! `DIR/samples.json` says what there is to ask for.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod ask;
mod hospital;
mod load;
mod settled;

use std::path::{Path, PathBuf};

use hilum_archive::{Archive, ArchiveConfig, Limits, MasterKey, ObjectsAt};
use hilum_contracts::ids::TenantId;
use hilum_platform::scope::TenantScope;

use load::Form;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| -> Result<u64, Failure> {
        Ok(arguments.get(at).map_or(Ok(default), |text| text.parse())?)
    };
    let usage =
        "say `load DIR STUDIES INSTANCES`, `load-settled …` or `ask DIR [TIMES]` (`ask-parts …`)";
    let dir = arguments.get(1).filter(|dir| !dir.starts_with('-'));
    let dir = PathBuf::from(dir.ok_or(usage)?);
    match arguments.first().map(String::as_str) {
        Some("ask") => ask::ask(&dir, number(2, 200)?).await,
        Some("ask-parts") => ask::ask_parts(&dir, number(2, 200)?).await,
        Some(form @ ("load" | "load-settled")) => {
            let form = match form {
                "load" => Form::Unsettled,
                _ => Form::Settled,
            };
            load::load(&dir, form, number(2, 1_000_000)?, number(3, 10_000_000)?).await
        }
        _ => Err(usage.into()),
    }
}

async fn open(dir: &Path) -> Result<Archive, Failure> {
    Ok(Archive::open(ArchiveConfig {
        dir: dir.to_owned(),
        master_key: MasterKey::File,
        clock: hilum_platform::clock::system(),
        limits: Limits::default(),
        objects: ObjectsAt::Folder,
        server: None,
    })
    .await?)
}

fn scope() -> Result<TenantScope, Failure> {
    let tenant = TenantId::new("default")?;
    Ok(hilum_platform::auth::service(&tenant, "scale"))
}
