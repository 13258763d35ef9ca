//! `hilum keys`: API keys for programs, and the master key that everything is
//! wrapped with.

mod create;
mod rotate_master;

use std::process::ExitCode;

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an API key for a program, and print it: nobody can show it again.
    Create(create::Create),
    /// Make a new master key and wrap every tenant key with it; objects stay
    /// as they are. The new key is HILUM_NEW_MASTER_KEY (64 hexadecimal
    /// digits), or a new file keys/master.key.
    RotateMaster(rotate_master::RotateMaster),
}

impl Keys {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Create(command) => command.run().await,
            Command::RotateMaster(command) => command.run().await,
        }
    }
}
