//! `hilum migrate`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Doors, Installation};
use crate::compose;
use crate::terminal;

#[derive(Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let all = compose::migrate(&config).await?;
        if self.json {
            let told = all
                .iter()
                .map(|one| json!({ "service": one.service, "steps": one.steps }));
            terminal::line(json!({ "services": told.collect::<Vec<_>>() }));
            return Ok(ExitCode::SUCCESS);
        }
        for one in &all {
            let steps = match one.steps.len() {
                0 => "up to date".to_owned(),
                taken => terminal::counted(taken as u64, "step", "steps"),
            };
            terminal::line(format_args!("{:<12} {steps}", one.service.as_str()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
