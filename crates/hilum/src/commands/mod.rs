//! The command line: what every command shares, and which there are.

mod audit;
pub(crate) mod backup;
mod certificate;
mod demo;
mod doctor;
pub(crate) mod door;
mod erase;
mod export;
mod flags;
mod hold;
mod import;
mod jobs;
mod keys;
mod migrate;
mod models;
mod own;
mod ready;
mod restore;
mod roles;
mod running;
mod serve;
mod storage;
mod tenants;
mod verify;

use std::ffi::OsString;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clap::{Args, Parser, Subcommand};
use hilum_archive::MasterKey;
use hilum_contracts::ids::TenantId;
use hilum_contracts::service::ServiceName;
use hilum_platform::config::Config;

use crate::terminal;

/// The platform for medical-imaging AI: takes images, runs models, brings results back.
#[derive(Parser)]
#[command(name = "hilum", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: everything in one process, or some services of an installation.
    Serve(serve::Serve),
    /// Send the sample series to a fresh Hilum and show the result.
    Demo(demo::Demo),
    /// Bring the tables of every service on PostgreSQL up to date, and end.
    Migrate(migrate::Migrate),
    /// Say whether the Hilum that serves a data folder can do its work, and fail if not.
    Ready(ready::Ready),
    /// Say what is wrong with this installation, and what to do about it.
    Doctor(doctor::Doctor),
    /// Check that every acknowledged instance is there and hashes, while Hilum does not serve.
    Verify(verify::Verify),
    /// The audit trail: check that it is what was written.
    Audit(audit::Audit),
    /// Take in every DICOM file of a folder, also while serving.
    Import(import::Import),
    /// Write a study, a patient or everything to a folder, also while serving.
    Export(export::Export),
    /// Destroy everything of a patient, for good, with a certificate.
    Erase(erase::Erase),
    /// Legal holds: what must not be deleted.
    Hold(hold::Hold),
    /// Work that was given up, waits or is being done; start it anew.
    Jobs(jobs::Jobs),
    /// What each tenant holds, and what it takes.
    Storage(storage::Storage),
    /// Tenants: list, make, export or end them.
    Tenants(tenants::Tenants),
    /// Who may do what.
    Roles(roles::Roles),
    /// Keys: make an API key, or a new master key.
    Keys(keys::Keys),
    /// Copy everything to a folder, also while serving.
    Backup(backup::Backup),
    /// Make a data folder from a backup.
    Restore(restore::Restore),
    /// Models: list them, test them against their reference.
    Models(models::Models),
    /// Flags: for whom models are switched on; switch one off for everybody.
    Flags(flags::Flags),
    /// The process in which models run. Started by `hilum serve`.
    #[command(hide = true)]
    InferenceWorker,
}

/// What says which installation a command is about.
#[derive(Args, Clone, Default)]
pub(crate) struct Installation {
    /// Configuration file (TOML). `HILUM_…` environment variables go over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that everything is kept in [default: data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Where the doors are.
#[derive(Args, Clone, Default)]
pub(crate) struct Doors {
    /// Address for HTTP; port 0 takes any free one [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    http: Option<SocketAddr>,
    /// Address for DICOM associations; port 0 takes any free one [default: 127.0.0.1:11112].
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    dicom: Option<SocketAddr>,
    /// Services to run in this process, the others being neighbours [default: all].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    services: Vec<ServiceName>,
    /// Address at which neighbours ask this process; the configuration says where they are.
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    neighbours: Option<SocketAddr>,
    /// Folder of model folders [default: models].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

impl Installation {
    /// What a command is given that is about the same one.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let all = [("--config", &self.config), ("--data", &self.data)];
        let given = all
            .into_iter()
            .filter_map(|(name, at)| Some((name, at.as_ref()?)));
        given
            .flat_map(|(name, at)| [name.into(), at.clone().into_os_string()])
            .collect()
    }

    pub(crate) fn load(&self, doors: &Doors) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        if let Some(http) = doors.http {
            config.http = http;
        }
        if let Some(dicom) = doors.dicom {
            config.dicom = dicom;
        }
        if !doors.services.is_empty() {
            config.services.clone_from(&doors.services);
        }
        match (&mut config.neighbours, doors.neighbours) {
            (Some(neighbours), Some(listen)) => neighbours.listen = listen,
            (None, Some(_)) => anyhow::bail!(
                "--neighbours needs [neighbours] in the configuration: a certificate, and where they are"
            ),
            (_, None) => {}
        }
        if let Some(models) = &doors.models {
            config.models.clone_from(models);
        }
        config.check()?;
        Ok(config)
    }
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        let outcome = match self.command {
            Command::InferenceWorker => return hilum_inference::worker::worker_main(),
            Command::Serve(command) => block_on(command.run()),
            Command::Demo(command) => block_on(command.run()),
            Command::Migrate(command) => block_on(command.run()),
            Command::Ready(command) => block_on(command.run()),
            Command::Doctor(command) => block_on(command.run()),
            Command::Verify(command) => block_on(command.run()),
            Command::Audit(command) => block_on(command.run()),
            Command::Import(command) => block_on(command.run()),
            Command::Export(command) => block_on(command.run()),
            Command::Erase(command) => block_on(command.run()),
            Command::Hold(command) => block_on(command.run()),
            Command::Jobs(command) => block_on(command.run()),
            Command::Storage(command) => block_on(command.run()),
            Command::Tenants(command) => block_on(command.run()),
            Command::Roles(command) => command.run(),
            Command::Keys(command) => block_on(command.run()),
            Command::Backup(command) => block_on(command.run()),
            Command::Restore(command) => block_on(command.run()),
            Command::Models(command) => block_on(command.run()),
            Command::Flags(command) => block_on(command.run()),
        };
        match outcome {
            Ok(_) if terminal::result_is_lost() => ExitCode::FAILURE,
            Ok(code) => code,
            Err(error) => {
                terminal::error(&error);
                ExitCode::FAILURE
            }
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime did not start")?
        .block_on(command)
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| "give an IP address with a port, such as 127.0.0.1:8080".to_owned();
    text.parse().map_err(wrong)
}

pub(crate) fn tenant_name(text: &str) -> Result<TenantId, String> {
    TenantId::new(text).map_err(|error| error.to_string())
}

/// The tenant that a command is about: the named one, or the first of the
/// configuration. Whoever answers the command knows whether there is such a
/// tenant: the configuration does not name all of them.
pub(crate) fn tenant(config: &Config, named: Option<&TenantId>) -> anyhow::Result<TenantId> {
    let first = || config.tenants.first().map(|tenant| &tenant.name);
    let tenant = named.or_else(first);
    Ok(tenant
        .context("name the tenant with --tenant: the configuration names none")?
        .clone())
}

/// Refuses a folder that holds no archive: a command that asks about one must
/// not make one where its caller did not mean it.
pub(crate) fn archive_is_there(config: &Config) -> anyhow::Result<()> {
    let file = match &config.database {
        Some(_) => "archive.id",
        None => "archive.sqlite",
    };
    anyhow::ensure!(
        config.data.join(file).is_file(),
        "there is no archive in {}: name its folder with --data",
        config.data.display()
    );
    Ok(())
}

/// Says that a command is about to make an archive, for a caller who thought
/// of another folder.
pub(crate) fn tell_of_new_archive(config: &Config) {
    if archive_is_there(config).is_err() {
        terminal::note(format_args!(
            "There was no archive in {}: a new one is made there. If you meant another folder, \
             name it with --data.",
            config.data.display()
        ));
    }
}

/// Where the master key comes from: `HILUM_MASTER_KEY` (64 hexadecimal
/// digits), or a file in the data folder. It is no configuration value, so
/// that it never ends up in a file of settings.
pub(crate) fn master_key() -> anyhow::Result<MasterKey> {
    Ok(key_from("HILUM_MASTER_KEY")?.unwrap_or(MasterKey::File))
}

/// A key that an environment variable holds; `None` when it is not set.
pub(crate) fn key_from(variable: &str) -> anyhow::Result<Option<MasterKey>> {
    let Some(text) = std::env::var_os(variable) else {
        return Ok(None);
    };
    let text = text.into_string().unwrap_or_default();
    let wrong =
        format!("{variable} is not 64 hexadecimal digits: make one with `openssl rand -hex 32`");
    anyhow::ensure!(text.len() == 64 && text.is_ascii(), "{wrong}");
    let mut key = [0_u8; 32];
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).context(wrong.clone())?;
        *byte = u8::from_str_radix(digits, 16).context(wrong.clone())?;
    }
    Ok(Some(MasterKey::Given(key.into())))
}

/// So many random bytes, in hexadecimal.
pub(crate) fn random_hex<const BYTES: usize>() -> anyhow::Result<String> {
    let mut bytes = [0_u8; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .ok()
        .context("the system gives no random numbers")?;
    Ok(hex(&bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
