//! `hilum storage`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_platform::auth;
use hilum_platform::config::Config;
use serde_json::{Value, json};

use super::own::Own;
use super::running::Connection;
use super::{Doors, Installation};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Storage {
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Storage {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let tenants = match Connection::of(&config.data, None).await? {
            Some(running) => of_running(&config.data, running).await?,
            None => of_own(&config).await?,
        };
        if self.json {
            terminal::line(json!({ "tenants": tenants }));
            return Ok(ExitCode::SUCCESS);
        }
        for (at, (name, report)) in tenants.iter().enumerate() {
            if at > 0 {
                terminal::line("");
            }
            terminal::line(format_args!("Tenant {name}"));
            for (what, said) in told(report) {
                terminal::line(format_args!("  {what:<12}{said}"));
            }
        }
        if let Some((_, report)) = tenants.iter().next() {
            terminal::line("");
            terminal::line(format_args!(
                "Beside the images of all tenants: index {}, keys {}.",
                terminal::bytes(number(report, "index_bytes").unwrap_or(0)),
                terminal::bytes(number(report, "key_bytes").unwrap_or(0)),
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The reports of every tenant, by name.
type Reports = serde_json::Map<String, Value>;

async fn of_running(data: &Path, mut running: Connection) -> anyhow::Result<Reports> {
    let get = http::Method::GET;
    let known: Value = running
        .ask(get.clone(), "/api/v1/tenants", None::<&()>)
        .await?;
    let items = known.get("items").and_then(Value::as_array);
    let names = items
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("name"));
    let mut reports = Reports::new();
    for name in names.filter_map(Value::as_str) {
        let of_tenant = Connection::of(data, Some(name)).await?;
        let mut of_tenant = of_tenant.context("the running Hilum has stopped")?;
        let report = of_tenant
            .ask(get.clone(), "/api/v1/storage", None::<&()>)
            .await?;
        reports.insert(name.to_owned(), report);
    }
    Ok(reports)
}

async fn of_own(config: &Config) -> anyhow::Result<Reports> {
    super::archive_is_there(config)?;
    let own = Own::open(config, &super::tenant(config, None)?).await?;
    let reports = async {
        let mut reports = Reports::new();
        for tenant in own.tenants.known().tenants() {
            let scope = auth::local_operator(&tenant.name);
            let report = own.imaging.storage_report(&scope).await?;
            reports.insert(tenant.name.to_string(), report);
        }
        anyhow::Ok(reports)
    }
    .await;
    own.close().await;
    reports
}

fn number(of: &Value, field: &str) -> Option<u64> {
    of.get(field)?.as_u64()
}

/// What is said of a tenant, line by line.
fn told(report: &Value) -> Vec<(&'static str, String)> {
    let count = |field: &str| number(report, field).unwrap_or_default();
    let mut lines = vec![(
        "Images",
        format!(
            "{}{}, in {}",
            terminal::number(count("instances")),
            share(
                count("instances"),
                number(report, "quota_instances"),
                terminal::number
            ),
            terminal::counted(count("studies"), "study", "studies"),
        ),
    )];
    let disk = share(
        count("bytes"),
        number(report, "quota_bytes"),
        terminal::bytes,
    );
    lines.push(("On disk", terminal::bytes(count("bytes")) + &disk));
    lines.push((
        "Kept as",
        format!(
            "{} of settled series, {} of recent images",
            terminal::counted(count("packs"), "pack", "packs"),
            terminal::counted(count("bundles"), "bundle", "bundles"),
        ),
    ));
    if count("quarantine_items") > 0 {
        let items = terminal::counted(count("quarantine_items"), "item", "items");
        let bytes = terminal::bytes(count("quarantine_bytes"));
        lines.push((
            "Quarantine",
            format!("{items}, {bytes}: see Quarantine in the web application"),
        ));
    }
    if count("conflicts") > 0 {
        let conflicts = terminal::counted(count("conflicts"), "image", "images");
        lines.push((
            "Conflicts",
            format!("{conflicts} with two contents: a person decides"),
        ));
    }
    match count("holds") {
        0 => lines.push(("Holds", "no legal hold".to_owned())),
        holds => lines.push((
            "Holds",
            terminal::counted(holds, "legal hold", "legal holds") + ": see `hilum hold list`",
        )),
    }
    let rules = report.get("retention").and_then(Value::as_array);
    let rules: Vec<String> = rules.into_iter().flatten().map(rule).collect();
    if rules.is_empty() {
        lines.push((
            "Retention",
            "no rule: studies stay until somebody deletes them".to_owned(),
        ));
    }
    for (at, rule) in rules.into_iter().enumerate() {
        lines.push((if at == 0 { "Retention" } else { "" }, rule));
    }
    lines
}

/// ` of 2.0 TB allowed (31 %)`
fn share(held: u64, quota: Option<u64>, write: impl Fn(u64) -> String) -> String {
    let Some(quota) = quota else {
        return ", no quota".to_owned();
    };
    let percent = u128::from(held) * 100 / u128::from(quota.max(1));
    let full = if held >= quota {
        ": full, new images are refused"
    } else {
        ""
    };
    format!(" of {} allowed ({percent} %{full})", write(quota))
}

/// A retention rule as a sentence.
fn rule(rule: &Value) -> String {
    let modalities: Vec<&str> = rule
        .get("modalities")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let whose = match modalities.as_slice() {
        [] => "every study".to_owned(),
        some => format!("studies with {}", some.join(", ")),
    };
    let since = match rule.get("since").and_then(Value::as_str) {
        Some("reception") => "when its last image came",
        _ => "Study Date",
    };
    let days = |field: &str| number(rule, field).map(|days| terminal::counted(days, "day", "days"));
    let kept = days("keep_days").map(|days| format!("kept at least {days}"));
    let ends = days("expire_days").map(|days| format!("deleted after {days}"));
    let both: Vec<String> = [kept, ends].into_iter().flatten().collect();
    format!("{whose}: {} from {since}", both.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_tenant_with_rules_is_told_in_plain_words() {
        let report = json!({ "instances": 1_204, "studies": 1, "quota_instances": 1_204,
            "bytes": 623_400_000_000_u64, "quota_bytes": 2_000_000_000_000_u64, "packs": 1,
            "bundles": 3, "holds": 2, "quarantine_items": 0, "conflicts": 1, "retention": [
                { "modalities": ["MG"], "since": "study-date", "keep_days": 10_950 },
                { "modalities": [], "since": "reception", "expire_days": 1 } ] });
        let lines: Vec<String> = told(&report)
            .into_iter()
            .map(|(what, said)| format!("{what}|{said}"))
            .collect();
        assert_eq!(
            lines,
            [
                "Images|1,204 of 1,204 allowed (100 %: full, new images are refused), in 1 study",
                "On disk|623.4 GB of 2.0 TB allowed (31 %)",
                "Kept as|1 pack of settled series, 3 bundles of recent images",
                "Conflicts|1 image with two contents: a person decides",
                "Holds|2 legal holds: see `hilum hold list`",
                "Retention|studies with MG: kept at least 10,950 days from Study Date",
                "|every study: deleted after 1 day from when its last image came",
            ]
        );
    }
}
