//! `make crash`: kills a serving Hilum and cuts the power under the archive,
//! many times, and holds what is left against what had been acknowledged.
//! Nothing here ships.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a harness: what goes wrong in it must stop it where it stands"
)]

mod chance;
mod check;
mod content;
mod disk;
mod faults;
#[cfg(test)]
mod model;
mod powercut;
mod report;
mod run;
mod serve;
mod shown;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything; fails when anything is lost, or a control finds nothing.
    Run(run::Run),
    /// The process whose disk loses power.
    #[command(hide = true)]
    Worker(worker::Worker),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> std::io::Result<()> {
    match command {
        Command::Run(run) => run.run(),
        Command::Worker(worker) => worker.run(),
    }
}
