//! `hilum serve`

use std::process::ExitCode;

use clap::Args;
use hilum_platform::{clock, telemetry};
use telemetry::LogFormat;
use tokio::signal::unix::{SignalKind, signal};

use super::tenants::Left;
use super::{Doors, Installation, master_key};
use crate::compose::Hilum;
use crate::terminal;

#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    installation: Installation,
    #[command(flatten)]
    doors: Doors,
    /// Log as JSON lines also at a terminal.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let format = if terminal::is_person() && !self.log_json {
            LogFormat::Text
        } else {
            LogFormat::Json
        };
        telemetry::start_logs(format, "info");
        let config = self.installation.load(&self.doors)?;
        let metrics = telemetry::start_metrics().map_err(anyhow::Error::msg)?;
        let ae_titles: Vec<_> = config
            .tenants
            .iter()
            .map(|tenant| tenant.ae_title.clone())
            .collect();
        let services: Vec<_> = config.services.iter().map(|one| one.as_str()).collect();
        let services = services.join(", ");
        let own = config.clone();
        let hilum = Hilum::start(config, master_key()?, clock::system(), metrics).await?;
        let left = Left {
            config: own,
            installation: self.installation,
            tenants: hilum.tenants.clone(),
        };
        hilum.beside(|stop| left.watch(stop));
        let listens = match hilum.url.ends_with(&format!("://{}", hilum.http)) {
            true => String::new(),
            false => format!("   (listens on {})", hilum.http),
        };
        terminal::line(format_args!("Web        {}/{listens}", hilum.url));
        terminal::line(format_args!("DICOMweb   {}/dicomweb", hilum.url));
        if let Some(link) = &hilum.set_up_link {
            terminal::line(format_args!("Set up     {link}"));
            terminal::line(
                "           Nobody can sign in yet: open this link to become the owner. It works once.",
            );
        }
        if let Some(dicom) = hilum.dicom {
            terminal::line(format_args!(
                "DICOM      {dicom}{}, AE title {}",
                if hilum.dicom_tls { " over TLS" } else { "" },
                ae_titles.join(", ")
            ));
        }
        if let Some(neighbours) = hilum.neighbours {
            terminal::line(format_args!("Neighbours {neighbours}, for {services}"));
        }
        tokio::select! {
            asked = asked_to_stop() => asked?,
            () = hilum.is_taken_away() => {
                hilum.stop().await;
                anyhow::bail!(
                    "another process has taken the archive: start again when that one has ended"
                );
            }
        }
        if let Some(seconds) = hilum.leaves_for() {
            terminal::note(format_args!(
                "Leaving: goes on for {seconds} s, so that clients find another. Asked again, it stops now."
            ));
        }
        tokio::select! {
            () = hilum.leave() => {}
            asked = asked_to_stop() => asked?,
        }
        terminal::note("Stopping: finishing or handing back what is held.");
        hilum.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns at Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
