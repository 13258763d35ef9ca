//! `make chaos`: breaks one part of an installation after the other while people
//! and devices go on working, and tells what went on, what waited, when it was
//! noticed, how long it took to recover, and whether anything was lost or done
//! twice. The services run as processes of their own, with a RabbitMQ, a
//! PostgreSQL and a PgBouncer, and with relays on every way between them.
//! Nothing here ships.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a harness: what goes wrong in it must stop it where it stands"
)]

mod cell;
mod check;
mod ledger;
mod load;
mod noticing;
mod receiver;
mod report;
mod rows;
mod run;
mod seen;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The matrix, or a part of it; fails when anything is lost, missing, done
    /// twice, or does not come back.
    Run(run::Run),
}

fn main() -> ExitCode {
    let Command::Run(run) = Cli::parse().command;
    match run.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
