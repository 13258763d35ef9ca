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
mod powercut;
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
    /// Cuts the power.
    Powercut {
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 100)]
        cuts: usize,
    },
    /// The process that is killed, or whose disk is.
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
        Command::Worker(worker) => worker.run(),
        Command::Powercut { seed, cuts } => {
            let runtime = tokio::runtime::Runtime::new()?;
            let record = powercut::record(seed, false, &[])?;
            println!(
                "{} operations, {} promises, {:?}, errors {:?} refused {}",
                record.ops.len(),
                record.promised.stored.len(),
                record.syncs(),
                record.promised.errors,
                record.promised.refused
            );
            println!("{:?}", runtime.block_on(record.cut(cuts, seed, None))?);
            for kind in record.syncs().keys() {
                let cuts = runtime.block_on(record.cut(cuts, seed, Some(kind)))?;
                println!("without {kind}: {} {:?}", cuts.tried, cuts.wrong);
            }
            Ok(())
        }
    }
}
