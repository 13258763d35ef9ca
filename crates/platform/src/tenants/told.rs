//! Tenants, devices and rules as neighbours tell each other of them, and as a process
//! keeps them for its next start. Types of their own: a process of the release before
//! reads what this one writes, so that fields are only added, and whoever does not know
//! one passes over it. The configuration's types refuse what they do not know, for a
//! person who mistyped.

use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};

use super::{Known, Place, Rules};
use crate::config::{Device, ResendPolicy, Retention, RetentionSince, Tenant, TenantArchive};

/// Everything that is known.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    tenants: Vec<ToldTenant>,
    devices: Vec<ToldDevice>,
    #[serde(default)]
    rules: Vec<(TenantId, ToldRules)>,
    // Said only where there is something to say: what is the same is written the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<(TenantId, ToldPlace)>,
}

#[derive(Serialize, Deserialize)]
struct ToldTenant {
    name: TenantId,
    ae_title: String,
    #[serde(default)]
    archive: ToldArchive,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ToldArchive {
    quota_bytes: Option<u64>,
    quota_instances: Option<u64>,
    retention: Vec<ToldRetention>,
    resend: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ToldRetention {
    modalities: Vec<String>,
    since: Option<String>,
    keep_days: Option<u32>,
    expire_days: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct ToldDevice {
    ae_title: String,
    tenant: TenantId,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    certificate_sha256: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    quiet_seconds: Option<f64>,
    #[serde(default)]
    fallback_charset: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ToldPlace {
    shard: String,
    #[serde(default)]
    is_moving: bool,
}

#[derive(Serialize, Deserialize)]
struct ToldRules {
    #[serde(default)]
    requests_per_minute: Option<u32>,
    #[serde(default)]
    admits_from_loopback: bool,
}

impl From<Told> for Known {
    fn from(told: Told) -> Self {
        let tenants = told.tenants.into_iter().map(Tenant::from).collect();
        let devices = told.devices.into_iter().map(Device::from).collect();
        let rules = told.rules.into_iter();
        let places = told.places.into_iter().map(|(of, at)| {
            let ToldPlace { shard, is_moving } = at;
            (of, Place { shard, is_moving })
        });
        Self::new(tenants, devices)
            .with(rules.map(|(of, rules)| (of, rules.into())))
            .placed(places)
    }
}

impl From<Known> for Told {
    fn from(known: Known) -> Self {
        // In one order, so that what is the same is written the same.
        let mut devices: Vec<_> = known.devices.into_iter().collect();
        devices.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut rules: Vec<_> = known.rules.into_iter().collect();
        rules.sort_by(|(one, _), (other, _)| one.cmp(other));
        let devices = devices.into_iter().flat_map(|(_, of)| of);
        let mut places: Vec<_> = known.places.into_iter().collect();
        places.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            tenants: known.tenants.into_iter().map(ToldTenant::from).collect(),
            devices: devices.map(ToldDevice::from).collect(),
            rules: rules
                .into_iter()
                .map(|(of, one)| (of, one.into()))
                .collect(),
            places: places
                .into_iter()
                .map(|(of, Place { shard, is_moving })| (of, ToldPlace { shard, is_moving }))
                .collect(),
        }
    }
}

impl From<Tenant> for ToldTenant {
    fn from(tenant: Tenant) -> Self {
        let TenantArchive {
            quota_bytes,
            quota_instances,
            retention,
            resend,
        } = tenant.archive;
        Self {
            name: tenant.name,
            ae_title: tenant.ae_title,
            archive: ToldArchive {
                quota_bytes,
                quota_instances,
                retention: retention.into_iter().map(ToldRetention::from).collect(),
                resend: Some(written(&resend)),
            },
        }
    }
}

impl From<ToldTenant> for Tenant {
    fn from(told: ToldTenant) -> Self {
        let ToldArchive {
            quota_bytes,
            quota_instances,
            retention,
            resend,
        } = told.archive;
        Self {
            name: told.name,
            ae_title: told.ae_title,
            archive: TenantArchive {
                quota_bytes,
                quota_instances,
                retention: retention.into_iter().map(Retention::from).collect(),
                // A policy of a later release: what is deleted stays so.
                resend: resend
                    .and_then(|word| read(&word))
                    .unwrap_or(ResendPolicy::Refuse),
            },
        }
    }
}

impl From<Retention> for ToldRetention {
    fn from(rule: Retention) -> Self {
        let Retention {
            modalities,
            since,
            keep_days,
            expire_days,
        } = rule;
        Self {
            modalities,
            since: Some(written(&since)),
            keep_days,
            expire_days,
        }
    }
}

impl From<ToldRetention> for Retention {
    fn from(told: ToldRetention) -> Self {
        let since = match told.since {
            None => Some(RetentionSince::default()),
            Some(word) => read(&word),
        };
        Self {
            modalities: told.modalities,
            // From a day that this release can't name: nothing is deleted by that rule, and
            // what it protects is protected from the latest day that there is.
            expire_days: told.expire_days.filter(|_| since.is_some()),
            since: since.unwrap_or(RetentionSince::Reception),
            keep_days: told.keep_days,
        }
    }
}

impl From<Device> for ToldDevice {
    fn from(device: Device) -> Self {
        let Device {
            ae_title,
            tenant,
            address,
            certificate_sha256,
            issuer,
            quiet_seconds,
            fallback_charset,
        } = device;
        Self {
            ae_title,
            tenant,
            address,
            certificate_sha256,
            issuer,
            quiet_seconds,
            fallback_charset,
        }
    }
}

impl From<ToldDevice> for Device {
    fn from(told: ToldDevice) -> Self {
        let ToldDevice {
            ae_title,
            tenant,
            address,
            certificate_sha256,
            issuer,
            quiet_seconds,
            fallback_charset,
        } = told;
        Self {
            ae_title,
            tenant,
            address,
            certificate_sha256,
            issuer,
            quiet_seconds,
            fallback_charset,
        }
    }
}

impl From<Rules> for ToldRules {
    fn from(rules: Rules) -> Self {
        let Rules {
            requests_per_minute,
            admits_from_loopback,
        } = rules;
        Self {
            requests_per_minute,
            admits_from_loopback,
        }
    }
}

impl From<ToldRules> for Rules {
    fn from(told: ToldRules) -> Self {
        Self {
            requests_per_minute: told.requests_per_minute,
            admits_from_loopback: told.admits_from_loopback,
        }
    }
}

/// A word of the configuration.
fn written(word: &impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// What the word stands for; nothing where a later release has words of its own.
fn read<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(retention: serde_json::Value) -> Known {
        let told = json!({
            "tenants": [{
                "name": "north", "ae_title": "NORTH", "later": 1,
                "archive": { "quota_bytes": 7, "resend": "ask", "later": {}, "retention": [retention] },
            }],
            "devices": [{ "ae_title": "MR1", "tenant": "north", "address": "192.0.2.7", "later": [] }],
            "rules": [["north", { "requests_per_minute": 9, "later": true }]],
            "later": "a release later",
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over() {
        let known = known(json!({ "keep_days": 30, "since": "study-date", "later": 2 }));
        let name = TenantId::new("north").unwrap();
        let archive = &known.tenant(&name).unwrap().archive;
        assert_eq!(archive.quota_bytes, Some(7));
        assert_eq!(archive.resend, ResendPolicy::Refuse);
        assert_eq!(archive.retention[0].keep_days, Some(30));
        assert_eq!(known.rules(&name).requests_per_minute, Some(9));
        assert!(known.device(&name, "MR1").is_some());
    }

    #[test]
    fn a_rule_that_counts_from_a_day_of_a_later_release_deletes_nothing() {
        let rule = json!({ "keep_days": 30, "expire_days": 60, "since": "last-look" });
        let known = known(rule);
        let name = TenantId::new("north").unwrap();
        let rule = &known.tenant(&name).unwrap().archive.retention[0];
        assert_eq!((rule.keep_days, rule.expire_days), (Some(30), None));
        assert_eq!(rule.since, RetentionSince::Reception);
    }
}
