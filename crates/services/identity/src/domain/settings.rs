//! What a tenant decides for itself.

use hilum_contracts::error::ServiceError;
use hilum_platform::config::{TenantArchive, UnknownDevices};
use serde::{Deserialize, Serialize};

use crate::limits::{SESSION_IDLE, SESSION_LIFE};

/// A tenant's settings, as they are stored. What is absent is the
/// installation's default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Minutes without a request after which a session ends.
    pub(crate) session_idle_minutes: Option<u32>,
    /// Hours after which a session ends in any case.
    pub(crate) session_hours: Option<u32>,
    /// What becomes of unknown devices.
    pub(crate) unknown_devices: Option<UnknownDevices>,
    /// Requests that one principal may make in a minute.
    pub(crate) requests_per_minute: Option<u32>,
    /// Quota, retention, what comes again.
    pub(crate) archive: TenantArchive,
}

impl Settings {
    /// Milliseconds without a request after which a session ends.
    pub(crate) fn idle_ms(&self) -> i64 {
        let minutes = self.session_idle_minutes.map(i64::from);
        minutes.map_or(millis(SESSION_IDLE), |minutes| minutes * 60_000)
    }

    /// Milliseconds after which a session ends in any case.
    pub(crate) fn life_ms(&self) -> i64 {
        let hours = self.session_hours.map(i64::from);
        hours.map_or(millis(SESSION_LIFE), |hours| hours * 3_600_000)
    }

    /// Checks every value.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        let within = |value: Option<u32>, least: u32, most: u32, what: &str| match value {
            Some(value) if !(least..=most).contains(&value) => Err(ServiceError::invalid(format!(
                "{what} is between {least} and {most}."
            ))),
            _ => Ok(()),
        };
        // A tenant may be stricter than the defaults and not looser.
        within(self.session_idle_minutes, 5, 720, "session_idle_minutes")?;
        within(self.session_hours, 1, 168, "session_hours")?;
        within(
            self.requests_per_minute,
            60,
            1_000_000,
            "requests_per_minute",
        )?;
        for rule in &self.archive.retention {
            if rule.keep_days.is_none() && rule.expire_days.is_none() {
                let text = "A retention rule has keep_days, expire_days or both.";
                return Err(ServiceError::invalid(text));
            }
            if rule.expire_days < rule.keep_days && rule.expire_days.is_some() {
                let text = "A retention rule expires before it may delete.";
                return Err(ServiceError::invalid(text));
            }
        }
        Ok(())
    }
}

/// A duration as times are stored.
pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
