//! The configuration: defaults that need no file, then a TOML file, then
//! `HILUM_…` environment variables, each over the one before.

mod address;
mod bus;
mod cache;
mod database;
mod destination;
mod exposure;
mod flags;
mod neighbours;
mod objects;
mod shards;
mod telemetry;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use hilum_contracts::ids::TenantId;
use hilum_contracts::service::ServiceName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) use address::is_here;
pub use bus::Bus;
pub use cache::Cache;
pub use database::Database;
pub use destination::{DeliveryRules, Destination, Way, https_or_here};
pub use exposure::Tls;
pub use flags::FlagsFile;
pub use neighbours::Neighbours;
pub use objects::Objects;
pub use shards::{MAIN, Shard, ShardAt};
pub use telemetry::Telemetry;

/// Everything that can be configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub data: PathBuf,
    /// The services that run in this process; all of them, unless it says less.
    pub services: Vec<ServiceName>,
    /// The way to services in other processes.
    pub neighbours: Option<Neighbours>,
    /// Where HTTP is served; other than on loopback with TLS only.
    pub http: SocketAddr,
    /// Where DICOM associations are taken; other than on loopback over TLS, or
    /// with `dicom_plain_on_network`.
    pub dicom: SocketAddr,
    /// The certificate of the doors. With it HTTP is served over TLS.
    pub tls: Option<Tls>,
    /// Whether DICOM associations are taken over TLS, and only so.
    pub dicom_tls: bool,
    /// Whether DICOM may be taken from the network in clear, from devices that
    /// are known by their addresses: most have no TLS.
    pub dicom_plain_on_network: bool,
    /// The folder of model folders.
    pub models: PathBuf,
    /// The ONNX Runtime library; looked for in the usual places when absent.
    pub onnxruntime: Option<PathBuf>,
    /// Seconds without a new image after which a series is believed complete,
    /// unless its device says otherwise.
    pub quiet_seconds: f64,
    /// Associations at once; one more is told to come back.
    pub max_associations: usize,
    /// HTTP requests that are worked on at once; one more is told to come back.
    pub max_requests: usize,
    /// Seconds for which a process that is asked to end goes on, while it says at
    /// `/readyz` that it leaves and has its clients connect anew; longer than whoever
    /// leads clients to it takes to notice. 0 where nobody does.
    pub leaving_seconds: u64,
    /// Megabytes that a deflated data set may inflate to; one that inflates to
    /// more goes to the quarantine.
    pub inflated_max_mb: u64,
    /// What holds for everything that is kept.
    pub archive: ArchiveRules,
    /// Megabytes that running models may take together.
    pub inference_memory_mb: u64,
    /// CPU threads of a model; 0 takes all.
    pub inference_threads: usize,
    /// Whose data there is. The first one is the local operator's.
    pub tenants: Vec<Tenant>,
    /// Devices that need something of their own.
    pub devices: Vec<Device>,
    /// Where results are delivered.
    pub destinations: Vec<Destination>,
    /// What holds for the destinations that tenants make.
    pub deliveries: DeliveryRules,
    /// How people and devices come in.
    pub identity: IdentityRules,
    /// How mail is sent; none: invitations and links are handed over.
    pub mail: Option<Mail>,
    /// What holds for the audit trail.
    pub audit: AuditRules,
    /// The broker between processes; none: events stay in this one.
    pub bus: Option<Bus>,
    /// Where traces go; none: nothing is traced.
    pub telemetry: Option<Telemetry>,
    /// Where the services' own databases are; none: files in `data`.
    pub database: Option<Database>,
    /// The bucket of the archive's objects; none: files in `data`.
    pub objects: Option<Objects>,
    /// Where feature flags are decided; none: everything is on.
    pub flags: Option<FlagsFile>,
    /// The cache that processes share; none: each has its own only.
    pub cache: Option<Cache>,
    /// The shard that this process belongs to.
    pub shard: Shard,
    /// How shards are reached; none: there is one only.
    pub shards: BTreeMap<String, ShardAt>,
}

/// What holds for the audit trail.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditRules {
    /// Days that entries are kept, at least [`AuditRules::KEEP_DAYS_MIN`].
    pub keep_days: u32,
}

impl AuditRules {
    /// Fewest days: less shows nobody what went wrong in the year before.
    pub const KEEP_DAYS_MIN: u32 = 365;

    /// How long entries are kept.
    #[must_use]
    pub const fn keep(self) -> Duration {
        Duration::from_secs(self.keep_days as u64 * 86_400)
    }
}

impl Default for AuditRules {
    fn default() -> Self {
        // Six years (45 CFR 164.316(b)(2)(i)), whichever of them are leap years.
        Self { keep_days: 6 * 366 }
    }
}

/// The mail server that takes what Hilum sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Its name, which its certificate bears.
    pub server: String,
    /// Its port: 587 for `start-tls`, 465 for `wrapper`.
    pub port: u16,
    /// How the way to it is protected.
    #[serde(default)]
    pub tls: MailTls,
    /// The address that mails are from: `Hilum <hilum@example.org>`.
    pub from: String,
    /// Who signs in to it.
    #[serde(default)]
    pub user: Option<String>,
    /// The file that holds the password of that.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A certificate (PEM) that is trusted besides the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// How the way to a mail server is protected (RFC 8314).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailTls {
    /// TLS after the first words, and never without.
    #[default]
    StartTls,
    /// TLS from the beginning.
    Wrapper,
    /// None: to a server on this machine only.
    None,
}

/// How people and devices come in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityRules {
    /// The address that people reach Hilum by, such as
    /// `https://hilum.example.org`; links in mails begin with it.
    pub public_url: Option<String>,
    /// Who may make an organisation.
    pub sign_up: SignUp,
    /// What becomes of devices that a tenant does not know, where it has not
    /// decided itself. Absent: those of this machine are admitted while DICOM
    /// listens on loopback only.
    pub unknown_devices: Option<UnknownDevices>,
    /// Networks that are not public and in which an OpenID provider may be:
    /// `["10.1.2.0/24"]`. Tenants choose their providers, so that an address of
    /// anybody's is asked from here.
    pub provider_networks: Vec<IpNet>,
}

/// Who may make an organisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignUp {
    /// Anybody who reaches the sign-in page.
    Open,
    /// Nobody: people come by invitation.
    #[default]
    Invited,
}

/// What becomes of a device that a tenant does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownDevices {
    /// It is rejected and shown to the administrators.
    Reject,
    /// The same, unless it calls from this machine.
    AdmitFromLoopback,
}

/// What holds for everything that is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveRules {
    /// Seconds without a new image after which a series is rewritten as a pack.
    pub settle_seconds: u64,
}

impl Default for ArchiveRules {
    fn default() -> Self {
        // A late image costs another copy of its series.
        Self {
            settle_seconds: 3_600,
        }
    }
}

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name.
    pub name: TenantId,
    /// The AE title that images are sent to; unique.
    pub ae_title: String,
    /// What it decides about its archive.
    #[serde(default)]
    pub archive: TenantArchive,
}

/// A tenant's rules for its archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantArchive {
    /// Most bytes of objects; none: as many as there is room for.
    pub quota_bytes: Option<u64>,
    /// Most instances.
    pub quota_instances: Option<u64>,
    /// How long studies are kept. Of several rules that match, the longest
    /// times count.
    pub retention: Vec<Retention>,
    /// What happens to images that come again after they were deleted.
    pub resend: ResendPolicy,
}

/// How long studies are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Studies with one of these modalities; empty: all.
    pub modalities: Vec<String>,
    /// From when it counts.
    pub since: RetentionSince,
    /// Days before which nothing may be deleted.
    pub keep_days: Option<u32>,
    /// Days after which a study is deleted.
    pub expire_days: Option<u32>,
}

/// From when a retention rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionSince {
    /// Study Date; the last reception where there is none.
    #[default]
    StudyDate,
    /// When the latest image was received.
    Reception,
}

/// What happens to images that come again after they were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResendPolicy {
    /// They are refused, and their sender is told.
    #[default]
    Refuse,
    /// They are taken as if they had never been there.
    Accept,
}

/// A DICOM device that sends to a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its calling AE title.
    pub ae_title: String,
    /// The tenant it sends to.
    pub tenant: TenantId,
    /// The address, or the network in CIDR notation, that it calls from.
    /// Without one and without a certificate it is known on this machine only.
    #[serde(default)]
    pub address: Option<String>,
    /// SHA-256 of its TLS client certificate (DER), in hexadecimal.
    #[serde(default)]
    pub certificate_sha256: Option<String>,
    /// Issuer of Patient ID for images that name none.
    #[serde(default)]
    pub issuer: Option<String>,
    /// Seconds without a new image after which its series are believed complete.
    #[serde(default)]
    pub quiet_seconds: Option<f64>,
    /// Specific Character Set of its images that name none: `ISO_IR 100`.
    #[serde(default)]
    pub fallback_charset: Option<String>,
}

/// The configuration can't be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("configuration: {0}")]
    Read(Box<figment::Error>),
    /// It contradicts itself or asks for what is not allowed.
    #[error("configuration: {0}")]
    Invalid(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            services: ServiceName::ALL.to_vec(),
            neighbours: None,
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            dicom: SocketAddr::from(([127, 0, 0, 1], 11112)),
            tls: None,
            dicom_tls: false,
            dicom_plain_on_network: false,
            models: PathBuf::from("models"),
            onnxruntime: None,
            quiet_seconds: 3.0,
            archive: ArchiveRules::default(),
            max_associations: 64,
            max_requests: 256,
            leaving_seconds: 0,
            // Deflate reaches 1000:1: a small hostile body costs processor time
            // in proportion to this.
            inflated_max_mb: 1024,
            inference_memory_mb: 4096,
            inference_threads: 0,
            tenants: TenantId::new("default")
                .map(|name| Tenant {
                    name,
                    ae_title: "HILUM".to_owned(),
                    archive: TenantArchive::default(),
                })
                .into_iter()
                .collect(),
            devices: Vec::new(),
            destinations: Vec::new(),
            deliveries: DeliveryRules::default(),
            identity: IdentityRules::default(),
            mail: None,
            audit: AuditRules::default(),
            bus: None,
            telemetry: None,
            database: None,
            objects: None,
            flags: None,
            cache: None,
            shard: Shard::default(),
            shards: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Most seconds that a process goes on for.
    pub const LEAVING_SECONDS_MAX: u64 = 300;

    /// Reads the configuration. Command-line values are set by the caller
    /// afterwards; then [`Config::check`].
    ///
    /// # Errors
    /// When the file or a variable can't be read or holds an unknown key.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::Invalid(format!(
                    "there is no file {}",
                    file.display()
                )));
            }
            figment = figment.merge(Toml::file(file));
        }
        // The master key is a secret and is never part of the configuration.
        figment
            .merge(Env::prefixed("HILUM_").ignore(&[
                "master_key",
                "new_master_key",
                "log",
                "test_python",
            ]))
            .extract()
            .map_err(|error| ConfigError::Read(Box::new(error)))
    }

    fn check_mail(&self) -> Result<(), ConfigError> {
        let invalid = |text: &str| Err(ConfigError::Invalid(text.to_owned()));
        let Some(mail) = &self.mail else {
            let is_mailed = |one: &Destination| matches!(one.way, Way::Mail { .. });
            return match self.destinations.iter().find(|one| is_mailed(one)) {
                Some(one) => invalid(&format!("destination {:?} needs [mail]", one.name)),
                None => Ok(()),
            };
        };
        if mail.tls == MailTls::None && !is_here(&mail.server) {
            return invalid("mail.tls = \"none\" is for a server on this machine only");
        }
        if mail.user.is_some() != mail.password_file.is_some() {
            return invalid("mail has user and password_file, or neither");
        }
        if self.identity.public_url.is_none() {
            return invalid("mail needs identity.public_url: links in mails begin with it");
        }
        Ok(())
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// With a sentence that says what to change.
    pub fn check(&self) -> Result<(), ConfigError> {
        let invalid = |text: String| Err(ConfigError::Invalid(text));
        self.check_exposure()?;
        self.check_neighbours()?;
        self.check_shards()?;
        if self.tenants.is_empty() {
            return invalid("name at least one tenant".to_owned());
        }
        let mut titles = std::collections::HashSet::new();
        let mut names = std::collections::HashSet::new();
        for tenant in &self.tenants {
            check_ae_title(&tenant.ae_title)?;
            if !titles.insert(tenant.ae_title.as_str()) || !names.insert(&tenant.name) {
                return invalid(format!(
                    "two tenants share the name {} or the AE title {}",
                    tenant.name, tenant.ae_title
                ));
            }
        }
        for rule in self.tenants.iter().flat_map(|one| &one.archive.retention) {
            if rule.keep_days.is_none() && rule.expire_days.is_none() {
                return invalid("a retention rule has keep_days, expire_days or both".to_owned());
            }
            if rule.expire_days < rule.keep_days && rule.expire_days.is_some() {
                return invalid("a retention rule expires before it may delete".to_owned());
            }
        }
        for device in &self.devices {
            check_ae_title(&device.ae_title)?;
        }
        for destination in &self.destinations {
            if let Way::Dicom {
                ae_title,
                calling_ae_title,
                ..
            } = &destination.way
            {
                check_ae_title(ae_title)?;
                check_ae_title(calling_ae_title)?;
            }
        }
        let owners = self.devices.iter().map(|device| &device.tenant);
        for owner in owners.chain(self.destinations.iter().map(|d| &d.tenant)) {
            if !names.contains(owner) {
                return invalid(format!("there is no tenant {owner}"));
            }
        }
        let quiet = |seconds: f64| (0.0..=86_400.0).contains(&seconds);
        let device_quiet = self
            .devices
            .iter()
            .filter_map(|device| device.quiet_seconds);
        if !device_quiet.chain([self.quiet_seconds]).all(quiet) {
            return invalid("quiet_seconds is between 0 and 86400".to_owned());
        }
        self.check_mail()?;
        if let Some(telemetry) = &self.telemetry {
            telemetry.check().map_err(ConfigError::Invalid)?;
        }
        if let Some(bus) = &self.bus {
            bus.address().map_err(ConfigError::Invalid)?;
        }
        if let Some(database) = &self.database {
            database.check()?;
        }
        if let Some(objects) = &self.objects {
            objects.check().map_err(ConfigError::Invalid)?;
        }
        if let Some(cache) = &self.cache {
            cache.address().map_err(ConfigError::Invalid)?;
        }
        if self.audit.keep_days < AuditRules::KEEP_DAYS_MIN {
            let least = AuditRules::KEEP_DAYS_MIN;
            return invalid(format!("audit.keep_days is at least {least}"));
        }
        if self.max_associations == 0 {
            return invalid("max_associations is at least 1".to_owned());
        }
        if self.max_requests == 0 {
            return invalid("max_requests is at least 1".to_owned());
        }
        if self.leaving_seconds > Self::LEAVING_SECONDS_MAX {
            let most = Self::LEAVING_SECONDS_MAX;
            return invalid(format!("leaving_seconds is {most} at most"));
        }
        Ok(())
    }
}

/// Whether the text can be an AE title: 1 to 16 printable ASCII characters
/// without a backslash (PS3.5 §6.2).
#[must_use]
pub fn is_ae_title(title: &str) -> bool {
    let printable = title
        .bytes()
        .all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
    (1..=16).contains(&title.len()) && printable && title.trim() == title
}

fn check_ae_title(title: &str) -> Result<(), ConfigError> {
    if is_ae_title(title) {
        Ok(())
    } else {
        Err(ConfigError::Invalid(format!(
            "{title:?} is no AE title: 1 to 16 printable characters"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_need_no_file() {
        Config::load(None).unwrap().check().unwrap();
    }

    #[test]
    fn two_tenants_do_not_share_an_ae_title() {
        let mut config = Config::default();
        let mut second = config.tenants[0].clone();
        second.name = TenantId::new("b").unwrap();
        config.tenants.push(second);
        assert!(config.check().is_err());
    }
}
