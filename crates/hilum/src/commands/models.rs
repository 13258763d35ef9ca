//! `hilum models list|test`

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use hilum_inference::gate::{self, GateReport};
use hilum_inference::models::{self, Entry};
use hilum_inference::runtime::{Runtime, find_library};

use super::{Doors, Installation};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Models {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the installed models, and what is wrong with broken ones.
    List(List),
    /// Run models on their reference series and compare.
    Test(Test),
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Test {
    /// Names of models; all of them when none is named.
    names: Vec<String>,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    doors: Doors,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Models {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::List(command) => command.run(),
            Action::Test(command) => {
                // The runtime computes for seconds: on a thread of its own.
                tokio::task::spawn_blocking(move || command.run()).await?
            }
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.options.installation.load(&self.options.doors)?;
        let entries = models::list(&config.models);
        anyhow::ensure!(
            !entries.is_empty(),
            "no model in {}: name their folder with --models",
            config.models.display()
        );
        let mut broken = false;
        let mut items = Vec::new();
        for entry in &entries {
            match entry {
                Entry::Ready(model) => {
                    let about = &model.manifest.model;
                    if !self.options.json {
                        terminal::line(format_args!("{} {}", about.name, about.version));
                        terminal::line(format_args!("    {}", about.title));
                        terminal::line(format_args!(
                            "    For: {}",
                            model.manifest.intended_use.statement
                        ));
                    }
                    items.push(serde_json::json!({
                        "name": about.name, "version": about.version, "title": about.title,
                        "state": "ready", "digest": model.digest,
                    }));
                }
                Entry::Broken { name, problem } => {
                    broken = true;
                    if !self.options.json {
                        terminal::line(format_args!("{name}   BROKEN: {problem}"));
                    }
                    items.push(serde_json::json!({
                        "name": name, "state": "broken", "problem": problem.to_string(),
                    }));
                }
            }
        }
        if self.options.json {
            terminal::line(serde_json::json!({ "models": items }));
        }
        Ok(if broken {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

impl Test {
    fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.options.installation.load(&self.options.doors)?;
        let library = find_library(config.onnxruntime.as_deref())
            .context("ONNX Runtime was not found: run `make runtime`")?;
        let entries = models::list(&config.models);
        for name in &self.names {
            let known = entries.iter().any(|entry| name_of(entry) == name);
            anyhow::ensure!(
                known,
                "there is no model {name} in {}",
                config.models.display()
            );
        }
        // The library takes one environment a process: all models share it.
        let mut runtime = Runtime::load(&library, config.inference_threads)?;
        let mut reports = Vec::new();
        let mut failed = false;
        for entry in &entries {
            if !self.names.is_empty() && !self.names.iter().any(|name| name == name_of(entry)) {
                continue;
            }
            let report = self.test(entry, &mut runtime);
            match &report {
                Ok(report) => {
                    failed |= !report.passed;
                    self.tell(report);
                }
                Err(error) => {
                    failed = true;
                    terminal::note(format_args!("{}: {error:#}", name_of(entry)));
                }
            }
            reports.extend(report);
        }
        if self.options.json {
            terminal::line(serde_json::to_string(
                &serde_json::json!({ "reports": reports }),
            )?);
        }
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn test(&self, entry: &Entry, runtime: &mut Runtime) -> anyhow::Result<GateReport> {
        let model = match entry {
            Entry::Ready(model) => model,
            Entry::Broken { problem, .. } => anyhow::bail!("can't be used: {problem}"),
        };
        let spinner = terminal::spinner("testing");
        let mut progress = |step: &str, fraction: f64| {
            spinner.set_message(format!(
                "{} {step} ({:.0} %)",
                model.id().0,
                fraction * 100.0
            ));
        };
        let report = gate::test(model, Path::new("."), runtime, &mut progress)?;
        spinner.finish_and_clear();
        Ok(report)
    }

    fn tell(&self, report: &GateReport) {
        if self.options.json {
            return;
        }
        let verdict = if report.passed {
            "agrees with its reference"
        } else {
            "DIFFERS from its reference"
        };
        terminal::line(format_args!(
            "{} {}   {verdict}",
            report.model, report.version
        ));
        for check in &report.checks {
            let mark = if check.passed { "ok  " } else { "BAD " };
            terminal::line(format_args!(
                "    {mark} {:<28} expected {}, found {}",
                check.what, check.expected, check.found
            ));
        }
        for warning in &report.warnings {
            terminal::line(format_args!("    careful: {warning}"));
        }
    }
}

fn name_of(entry: &Entry) -> &str {
    match entry {
        Entry::Ready(model) => model.id().0,
        Entry::Broken { name, .. } => name,
    }
}
