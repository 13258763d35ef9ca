//! `hilum flags list|off|on`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hilum_contracts::ids::TenantId;
use hilum_inference::models::{self, Entry};
use hilum_platform::config::Config;
use hilum_platform::flags::{self, Flags as Held};
use serde_json::json;

use super::{Doors, Installation};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// For which part of each tenant's studies models are switched on.
    List(List),
    /// Switch something off for everybody, at once: `hilum flags off model.NAME`.
    Off(Switch),
    /// Put back what it was before it was switched off.
    On(Switch),
}

#[derive(Args)]
struct List {
    /// Tenants to tell of [default: those of the configuration].
    #[arg(long = "tenant", value_name = "NAME", value_parser = super::tenant_name)]
    tenants: Vec<TenantId>,
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    doors: Doors,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Switch {
    /// The flag: `model.` and the model's name.
    flag: String,
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    doors: Doors,
}

impl Flags {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::List(command) => command.run().await,
            Action::Off(command) => {
                let (config, file) = command.at()?;
                let told = match flags::switch_off(&file, &command.flag)? {
                    true => "is switched off",
                    false => "was switched off already",
                };
                let shown = file.display();
                terminal::line(format_args!(
                    "{} {told} wherever {shown} is read",
                    command.flag
                ));
                let held = Held::open(Some(&file)).await?;
                if about_nothing(&held, &config.models).contains(&command.flag) {
                    terminal::note("But no model is called so: `hilum models list` names them.");
                    return Ok(ExitCode::FAILURE);
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::On(command) => {
                flags::switch_back(&command.at()?.1, &command.flag)?;
                terminal::line(format_args!("{} is what it was before", command.flag));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Switch {
    /// The configuration, and the file that it names.
    fn at(&self) -> anyhow::Result<(Config, PathBuf)> {
        let config = self.installation.load(&self.doors)?;
        let told = config.flags.clone().context(
            "no [flags] is configured: everything is on. Name a file, `[flags] file = \"…\"`, \
             which begins as `{ \"flags\": {} }`, and start Hilum again",
        )?;
        Ok((config, told.file))
    }
}

impl List {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&self.doors)?;
        let file = config.flags.as_ref().map(|told| told.file.as_path());
        let held = Held::open(file).await?;
        let tenants = match self.tenants.is_empty() {
            true => config.tenants.iter().map(|one| one.name.clone()).collect(),
            false => self.tenants,
        };
        let mut items = Vec::new();
        for entry in models::list(&config.models) {
            let Entry::Ready(model) = entry else { continue };
            let (name, version) = model.id();
            let flag = format!("model.{name}");
            for tenant in &tenants {
                let share = held.share(&flag, tenant, version).await;
                items.push((flag.clone(), tenant.clone(), share));
            }
        }
        if self.json {
            let items = items.iter().map(
                |(flag, tenant, share)| json!({ "flag": flag, "tenant": tenant, "share": share }),
            );
            terminal::line(json!({ "items": items.collect::<Vec<_>>() }));
            return Ok(ExitCode::SUCCESS);
        }
        for (flag, tenant, share) in &items {
            let share = match share * 100.0 {
                0.0 => "off".to_owned(),
                100.0 => "on".to_owned(),
                part => format!("on for about {part:.0} % of studies"),
            };
            terminal::line(format_args!("{flag:<32} {:<20} {share}", tenant.as_str()));
        }
        if file.is_none() {
            terminal::note("no [flags] is configured: everything is on");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Names of flags that are about no model that is installed.
pub(super) fn about_nothing(held: &Held, models: &Path) -> Vec<String> {
    let installed = models::list(models);
    let is_known = |flag: &String| {
        installed.iter().any(|entry| match entry {
            Entry::Ready(model) => *flag == format!("model.{}", model.id().0),
            Entry::Broken { name, .. } => *flag == format!("model.{name}"),
        })
    };
    held.names()
        .into_iter()
        .filter(|flag| !is_known(flag))
        .collect()
}
