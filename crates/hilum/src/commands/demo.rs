//! `hilum demo`: the main job on a real series, as a newcomer sees it.

mod follow;
mod person;
mod scanner;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use hilum_platform::config::Config;
use hilum_platform::telemetry::LogFormat;
use hilum_platform::{clock, telemetry};
use serde::Serialize;

use super::serve::asked_to_stop;
use super::{Doors, Installation, master_key};
use crate::compose::Hilum;
use crate::terminal;

/// A result that has not come by then will not come.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Args)]
pub(crate) struct Demo {
    /// Exit when the result is there, instead of serving on.
    #[arg(long)]
    exit: bool,
    /// Print one JSON object as the last line of standard output.
    #[arg(long)]
    json: bool,
    /// Folder of the series to send [default: samples/mr-brain].
    #[arg(long, value_name = "DIR")]
    series: Option<PathBuf>,
    /// Configuration file (TOML); what reaches beyond this machine is left aside.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    doors: Doors,
}

/// What the demo found, for scripts.
#[derive(Serialize)]
struct Outcome {
    brain_volume_cm3: f64,
    model: String,
    complete_because: String,
    warnings: Vec<String>,
    images: usize,
    send_seconds: f64,
    last_slice_to_result_seconds: f64,
    model_seconds: f64,
    study_uid: String,
    study_url: String,
    viewer_url: String,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::start_logs(LogFormat::Text, "warn");
        let mut config = self.config()?;
        // A fresh folder: the series must be new, or there is nothing to do.
        let fresh = tempfile::Builder::new()
            .prefix("hilum-demo-")
            .tempdir()
            .context("can't make a folder for the demo's data")?;
        config.data = fresh.path().join("data");
        let series = self
            .series
            .clone()
            .unwrap_or_else(|| PathBuf::from("samples/mr-brain"));
        let images = scanner::read_series(&series)?;
        let metrics = telemetry::start_metrics().map_err(anyhow::Error::msg)?;
        let ae_title = config
            .tenants
            .first()
            .map(|tenant| tenant.ae_title.clone())
            .unwrap_or_default();
        let hilum = Hilum::start(config, master_key()?, clock::system(), metrics).await?;
        let dicom = hilum.dicom.context("the demo runs every service")?;
        terminal::note(format_args!(
            "Hilum serves on {} and takes images on {dicom} (AE title {ae_title}).",
            hilum.url
        ));

        let outcome = self.play(&hilum, &ae_title, &images).await;
        let code = match outcome {
            Ok(outcome) => {
                self.tell(&outcome)?;
                if !self.exit {
                    let person = person::Person::make(&hilum).await?;
                    terminal::line(format_args!(
                        "  Sign in        {}, password {}",
                        person.email, person.password
                    ));
                    terminal::line("");
                    terminal::note("Serving until Ctrl-C. The demo's data goes with it.");
                    asked_to_stop().await?;
                }
                ExitCode::SUCCESS
            }
            Err(error) => {
                terminal::error(&error);
                ExitCode::FAILURE
            }
        };
        hilum.stop().await;
        Ok(code)
    }

    /// The configuration without what reaches beyond this machine: the password
    /// of the demo's person is printed, and a PACS should not get its results.
    fn config(&self) -> anyhow::Result<Config> {
        let named = Installation {
            config: self.config.clone(),
            data: None,
        };
        let mut config = named.load(&self.doors)?;
        let own = Config::default();
        let apart = config.tls.is_some()
            || config.dicom_plain_on_network
            || config.mail.is_some()
            || !config.destinations.is_empty();
        for (address, asked, by_default) in [
            (&mut config.http, self.doors.http, own.http),
            (&mut config.dicom, self.doors.dicom, own.dicom),
        ] {
            if !address.ip().is_loopback() {
                anyhow::ensure!(
                    asked.is_none(),
                    "the demo is for this machine only: {address} can be reached from others; use \
                     {by_default}, or `hilum serve`"
                );
                *address = by_default;
            }
        }
        (config.tls, config.dicom_tls) = (None, false);
        config.dicom_plain_on_network = false;
        config.destinations.clear();
        config.mail = None;
        config.identity = own.identity;
        config.check()?;
        if apart {
            terminal::note(
                "The demo is for this machine only: it opens its doors in clear on loopback, and \
                 delivers and mails nothing, whatever the configuration says.",
            );
        }
        Ok(config)
    }

    async fn play(
        &self,
        hilum: &Hilum,
        ae_title: &str,
        images: &[scanner::Image],
    ) -> anyhow::Result<Outcome> {
        let study_uid = images
            .first()
            .map(|image| image.study_uid.clone())
            .context("the series is empty")?;
        let dicom = hilum.dicom.context("the demo runs every service")?;
        let send_seconds = scanner::send(dicom, ae_title, images).await?;
        let result = tokio::time::timeout(PATIENCE, follow::result_of(hilum, &study_uid))
            .await
            .context("no result came in ten minutes; `hilum doctor` may say why")??;
        Ok(Outcome {
            brain_volume_cm3: result.volume_cm3,
            model: result.model,
            complete_because: result.complete_because,
            warnings: result.warnings,
            images: images.len(),
            send_seconds,
            last_slice_to_result_seconds: result.last_slice_to_result_seconds,
            model_seconds: result.model_seconds,
            study_url: format!("{}/studies/{study_uid}", hilum.url),
            viewer_url: format!("{}/viewer/viewer?StudyInstanceUIDs={study_uid}", hilum.url),
            study_uid,
        })
    }

    fn tell(&self, outcome: &Outcome) -> anyhow::Result<()> {
        if self.json {
            terminal::line(serde_json::to_string(outcome)?);
            return Ok(());
        }
        terminal::line("");
        terminal::line(format_args!(
            "  Brain volume   {:.1} cm³   ({}; research demonstration, not for clinical use)",
            outcome.brain_volume_cm3, outcome.model
        ));
        for warning in &outcome.warnings {
            terminal::line(format_args!("  Careful        {warning}"));
        }
        terminal::line(format_args!(
            "  Input          {}",
            outcome.complete_because
        ));
        terminal::line(format_args!(
            "  Time           {:.1} s from the last slice to the result ({:.1} s of it the model)",
            outcome.last_slice_to_result_seconds, outcome.model_seconds
        ));
        terminal::line(format_args!("  Study          {}", outcome.study_url));
        terminal::line(format_args!("  Viewer         {}", outcome.viewer_url));
        terminal::line("");
        Ok(())
    }
}
