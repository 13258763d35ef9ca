//! `hilum doctor`: what is wrong with this installation, and what to do.

mod tls;

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use hilum_contracts::service::ServiceName;
use hilum_inference::models::Entry;
use hilum_inference::runtime::{find_library, library_version};
use hilum_platform::cache::Shared;
use hilum_platform::clock;
use hilum_platform::config::Config;
use hilum_platform::connections::Connections;
use hilum_platform::db::Home;
use hilum_platform::flags::Flags;
use hilum_platform::remote::member::Readiness;
use serde::Serialize;
use tokio::net::TcpListener;

use super::flags::about_nothing;
use super::{Doors, Installation, master_key};
use crate::compose::neighbours_ready;
use crate::objects::objects_of;
use crate::run_file::RunFile;
use crate::terminal;

/// Less free space than this is a warning: a day of a busy scanner.
const FREE_SPACE_WARNING: u64 = 20 << 30;
/// Fewer open files than this run out with many associations.
const OPEN_FILES_WARNING: u64 = 4_096;

#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    doors: Doors,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Finding {
    Good,
    Warning,
    Bad,
}

#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    finding: Finding,
    text: String,
}

impl Check {
    fn new(what: &'static str, finding: Finding, text: impl Into<String>) -> Self {
        Self {
            what,
            finding,
            text: text.into(),
        }
    }
}

impl Doctor {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = match self.installation.load(&self.doors) {
            Ok(config) => config,
            Err(error) => return self.report(&[bad("configuration", format!("{error:#}"))]),
        };
        let running = RunFile::of_running(&config.data).is_some();
        let mut checks = vec![Check::new("configuration", Finding::Good, "can be used")];
        checks.push(data_folder(&config.data));
        checks.push(free_space(&config.data));
        checks.push(open_files());
        let mut doors = vec![("HTTP", config.http)];
        if config.runs(ServiceName::Imaging) {
            checks.push(key(&config));
            checks.extend(bucket(&config).await);
            doors.push(("DICOM", config.dicom));
        }
        checks.extend(database(&config).await);
        checks.extend(cache(&config).await);
        if config.runs(ServiceName::Inference) {
            checks.push(runtime(&config));
            checks.extend(models(&config));
            checks.extend(switched(&config).await);
        }
        checks.extend(tls::checks(&config, clock::system().now()));
        if let Some(neighbours) = &config.neighbours {
            doors.push(("neighbours", neighbours.listen));
        }
        for (what, address) in doors {
            checks.push(door(what, address, running).await);
        }
        checks.extend(neighbours(&config).await);
        self.report(&checks)
    }

    fn report(&self, checks: &[Check]) -> anyhow::Result<ExitCode> {
        if self.json {
            terminal::line(serde_json::to_string(
                &serde_json::json!({ "checks": checks }),
            )?);
        } else {
            for check in checks {
                let mark = match check.finding {
                    Finding::Good => "ok  ",
                    Finding::Warning => "WARN",
                    Finding::Bad => "BAD ",
                };
                terminal::line(format_args!("{mark}  {:<14} {}", check.what, check.text));
            }
        }
        let bad = checks.iter().any(|check| check.finding == Finding::Bad);
        Ok(if bad {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

async fn bucket(config: &Config) -> Option<Check> {
    let told = config.objects.as_ref()?;
    let asked = match objects_of(config) {
        Ok(objects) => objects.answers().await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    Some(match asked {
        Ok(()) => good("bucket", format!("{} answers", told.bucket)),
        Err(error) => bad("bucket", format!("{}: {error:#}", told.bucket)),
    })
}

async fn database(config: &Config) -> Option<Check> {
    config.database.as_ref()?;
    let asked = match Home::of(&config.data, config.database.as_ref()) {
        Ok(home) => home.answers().await,
        Err(error) => Err(error),
    };
    Some(match asked {
        Ok(()) => good("database", "PostgreSQL lets us in"),
        Err(error) => bad("database", error.to_string()),
    })
}

async fn switched(config: &Config) -> Option<Check> {
    let file = &config.flags.as_ref()?.file;
    Some(match Flags::open(Some(file)).await {
        Err(error) => bad("flags", error.to_string()),
        Ok(held) => match about_nothing(&held, &config.models).as_slice() {
            [] => good("flags", format!("{} can be used", file.display())),
            unknown => warning(
                "flags",
                format!("no model is called so: {}", unknown.join(", ")),
            ),
        },
    })
}

/// The installation works without it.
async fn cache(config: &Config) -> Option<Check> {
    let told = config.cache.as_ref()?;
    let asked = match Shared::open(told) {
        Ok(shared) => shared.ping().await,
        Err(error) => return Some(bad("cache", error)),
    };
    Some(match asked {
        Ok(()) => good("cache", "Redis lets us in"),
        Err(error) => warning(
            "cache",
            format!(
                "Redis: {error}. Everything goes on, slower; who was not here before gets in \
                 only while identity answers"
            ),
        ),
    })
}

fn good(what: &'static str, text: impl Into<String>) -> Check {
    Check::new(what, Finding::Good, text)
}

fn warning(what: &'static str, text: impl Into<String>) -> Check {
    Check::new(what, Finding::Warning, text)
}

fn bad(what: &'static str, text: impl Into<String>) -> Check {
    Check::new(what, Finding::Bad, text)
}

fn data_folder(data: &Path) -> Check {
    let shown = data.display();
    if !data.exists() {
        return good("data folder", format!("{shown} is made at the first start"));
    }
    let probe = data.join(".doctor");
    match std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) => good("data folder", format!("{shown} can be written")),
        Err(error) => bad(
            "data folder",
            format!("{shown} can't be written ({error}): change its owner or mode"),
        ),
    }
}

fn free_space(data: &Path) -> Check {
    let existing = data.ancestors().find(|folder| folder.exists());
    let folder = existing.filter(|f| !f.as_os_str().is_empty());
    match rustix::fs::statvfs(folder.unwrap_or(Path::new("."))) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{} GiB free", free >> 30);
            if free < FREE_SPACE_WARNING {
                warning(
                    "disk",
                    format!("{text}: little; free some, or move the data folder"),
                )
            } else {
                good("disk", text)
            }
        }
        Err(error) => warning("disk", format!("free space is unknown ({error})")),
    }
}

/// What the services that run elsewhere say.
async fn neighbours(config: &Config) -> Vec<Check> {
    let told = match neighbours_ready(config).await {
        Ok(told) => told,
        Err(error) => return vec![bad("neighbours", format!("{error:#}"))],
    };
    let said = |(shard, service, told): (Option<String>, ServiceName, Readiness)| {
        let detail = told.detail.unwrap_or_else(|| "answers".to_owned());
        match (told.ready, shard) {
            (true, None) => good(service.as_str(), detail),
            (false, None) => bad(service.as_str(), detail),
            (true, Some(shard)) => good(service.as_str(), format!("on shard {shard}: {detail}")),
            // Tenants of this one notice nothing of it.
            (false, Some(shard)) => {
                warning(service.as_str(), format!("on shard {shard}: {detail}"))
            }
        }
    };
    told.into_iter().map(said).collect()
}

fn key(config: &Config) -> Check {
    let file = config.data.join("keys/master.key");
    match master_key() {
        Err(error) => bad("master key", format!("{error:#}")),
        Ok(hilum_archive::MasterKey::Given(_)) => good("master key", "from HILUM_MASTER_KEY"),
        Ok(hilum_archive::MasterKey::File) if file.exists() => {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&file).map(|m| m.permissions().mode() & 0o077);
            match mode {
                Ok(0) => good(
                    "master key",
                    format!("{} (keep a copy elsewhere)", file.display()),
                ),
                _ => bad(
                    "master key",
                    format!("others can read {0}: chmod 600 {0}", file.display()),
                ),
            }
        }
        Ok(hilum_archive::MasterKey::File) => good(
            "master key",
            "is made at the first start; keep a copy elsewhere",
        ),
    }
}

fn open_files() -> Check {
    // What a server asks for when it starts.
    let pages = Connections::here().live;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(files) if files < OPEN_FILES_WARNING => warning(
            "open files",
            format!(
                "at most {files}, and {pages} pages with live updates: raise it (ulimit -Hn {OPEN_FILES_WARNING})"
            ),
        ),
        Some(files) => good(
            "open files",
            format!("at most {files}, and {pages} pages with live updates"),
        ),
        None => good("open files", "no limit"),
    }
}

fn runtime(config: &Config) -> Check {
    match find_library(config.onnxruntime.as_deref()) {
        Some(library) => {
            let version =
                library_version(&library).unwrap_or_else(|| "of unknown version".to_owned());
            good("ONNX Runtime", format!("{version}, {}", library.display()))
        }
        None => bad(
            "ONNX Runtime",
            "not found: run `make runtime`, or set ORT_DYLIB_PATH to libonnxruntime.so",
        ),
    }
}

fn models(config: &Config) -> Vec<Check> {
    let entries = hilum_inference::models::list(&config.models);
    if entries.is_empty() {
        let text = format!(
            "none in {}: name their folder with --models",
            config.models.display()
        );
        return vec![warning("models", text)];
    }
    entries
        .into_iter()
        .map(|entry| match entry {
            Entry::Ready(model) => good("model", format!("{} {}", model.id().0, model.id().1)),
            Entry::Broken { name, problem } => bad("model", format!("{name}: {problem}")),
        })
        .collect()
}

async fn door(what: &'static str, address: std::net::SocketAddr, running: bool) -> Check {
    match TcpListener::bind(address).await {
        Ok(_) => good(what, format!("{address} is free")),
        Err(_) if running => good(what, format!("{address} is served")),
        Err(error) => bad(
            what,
            format!(
                "{address} can't be listened on ({error}): stop what uses it, or choose another"
            ),
        ),
    }
}
