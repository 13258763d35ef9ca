//! Feature flags: what is switched on, for which tenants and for which part of their
//! studies. They are definitions of flagd in a file, asked through OpenFeature, and
//! read again while serving: what is switched off there is off within seconds.

mod provider;
mod switching;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flagd_evaluation_engine::FlagParser;
use hilum_contracts::ids::TenantId;
use open_feature::{Client, EvaluationContext, OpenFeature};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::limits::{FLAGS_BYTES_MAX, FLAGS_READ_AGAIN, FLAGS_SAMPLE};
use provider::{Definitions, FileProvider};
pub use switching::{switch_back, switch_off};

/// What is switched on.
#[derive(Clone)]
pub struct Flags {
    client: Arc<Client>,
    held: Arc<watch::Sender<Arc<Definitions>>>,
    file: Option<PathBuf>,
}

/// Whom a question is about. Rules are asked on this machine: nothing of it is sent.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Whose work it is.
    pub tenant: &'a TenantId,
    /// What stays together where a part is switched on: a study's UID.
    pub study_uid: &'a str,
    /// The version of what is asked about; a rule may compare it (`sem_ver`).
    pub version: &'a str,
}

/// Why a file of flags can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the flags of {file}: {problem}")]
pub struct FlagsError {
    file: String,
    problem: String,
}

impl Flags {
    /// Those of a file; without one everything is on.
    ///
    /// # Errors
    /// When it can't be read, or holds what can't be used: what a person switched off
    /// must not run because of a comma.
    pub async fn open(file: Option<&Path>) -> Result<Self, FlagsError> {
        let definitions = match file {
            Some(file) => read(file)?,
            None => Definitions::default(),
        };
        let held = Arc::new(watch::Sender::new(Arc::new(definitions)));
        // Of its own: another one in this process is another installation.
        let mut api = OpenFeature::default();
        api.set_provider(FileProvider::new(Arc::clone(&held))).await;
        Ok(Self {
            client: Arc::new(api.create_client()),
            held,
            file: file.map(Path::to_owned),
        })
    }

    /// Whether `flag` is on for this. One that nobody defined is; one that can't be
    /// decided is not.
    pub async fn is_on(&self, flag: &str, about: About<'_>) -> bool {
        let context = EvaluationContext::default()
            .with_targeting_key(about.study_uid)
            .with_custom_field("tenant", about.tenant.as_str())
            .with_custom_field("version", about.version);
        let value = self.client.get_bool_value(flag, Some(&context), None).await;
        value.unwrap_or_else(|error| provider::is_on_without_a_value(flag, &error))
    }

    /// The part of a tenant's studies for which `flag` is on, from 0 to 1, found by
    /// asking for [`FLAGS_SAMPLE`] made-up ones.
    pub async fn share(&self, flag: &str, tenant: &TenantId, version: &str) -> f64 {
        let mut on = 0_u32;
        for number in 0..FLAGS_SAMPLE {
            let study_uid = number.to_string();
            let about = About {
                tenant,
                study_uid: &study_uid,
                version,
            };
            on = on.saturating_add(u32::from(self.is_on(flag, about).await));
        }
        f64::from(on) / f64::from(FLAGS_SAMPLE)
    }

    /// Returns when `flag` is not on for this any more.
    pub async fn is_switched_off(&self, flag: &str, about: About<'_>) {
        let mut changes = self.held.subscribe();
        while self.is_on(flag, about).await {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The names of those that are defined.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.held.borrow().names().map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    /// Reads the file again and again until `stop`, and goes by what it holds then.
    /// While it is gone or can't be used the flags stay as they were.
    pub async fn follow(self, stop: CancellationToken) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let mut told = None;
        while stop
            .run_until_cancelled(tokio::time::sleep(FLAGS_READ_AGAIN))
            .await
            .is_some()
        {
            let path = file.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || read(&path)).await else {
                continue;
            };
            match found {
                Ok(definitions) => {
                    told = None;
                    let changed = self.held.send_if_modified(|held| {
                        let is_new = **held != definitions;
                        if is_new {
                            *held = Arc::new(definitions);
                        }
                        is_new
                    });
                    if changed {
                        tracing::info!(flags = ?self.names(), "flags were changed");
                        metrics::counter!("hilum_flags_changed_total").increment(1);
                    }
                    metrics::gauge!("hilum_flags_unreadable").set(0.0);
                }
                Err(error) => {
                    let text = error.to_string();
                    if told.as_ref() != Some(&text) {
                        tracing::error!(%error, "flags stay as they were");
                        told = Some(text);
                    }
                    metrics::gauge!("hilum_flags_unreadable").set(1.0);
                }
            }
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags")
            .field("file", &self.file)
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}

impl FlagsError {
    fn new(file: &Path, problem: impl Into<String>) -> Self {
        Self {
            file: file.display().to_string(),
            problem: problem.into(),
        }
    }
}

/// What a file of definitions holds.
fn read(file: &Path) -> Result<Definitions, FlagsError> {
    checked(file, &text_of(file)?)
}

fn text_of(file: &Path) -> Result<String, FlagsError> {
    let wrong = |error: std::io::Error| FlagsError::new(file, error.to_string());
    let length = std::fs::metadata(file).map_err(wrong)?.len();
    if length > FLAGS_BYTES_MAX {
        let problem = format!("it is longer than {FLAGS_BYTES_MAX} bytes");
        return Err(FlagsError::new(file, problem));
    }
    std::fs::read_to_string(file).map_err(wrong)
}

fn checked(file: &Path, text: &str) -> Result<Definitions, FlagsError> {
    let parsed =
        FlagParser::parse_string(text).map_err(|error| FlagsError::new(file, error.to_string()))?;
    Definitions::new(parsed.flags).map_err(|problem| FlagsError::new(file, problem))
}

#[cfg(test)]
mod tests;
