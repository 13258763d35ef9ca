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
mod files;
mod kills;
mod powercut;
mod senders;
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
    /// Calls to the disk fail.
    Faults {
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 40)]
        cuts: usize,
    },
    /// Kills the server.
    Kill {
        #[arg(long)]
        hilum: std::path::PathBuf,
        #[arg(long, default_value_t = 10)]
        kills: u64,
        #[arg(long, default_value_t = 0)]
        per_step: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
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
        Command::Faults { seed, cuts } => {
            let runtime = tokio::runtime::Runtime::new()?;
            for named in faults::all() {
                println!(
                    "{}: {:?}",
                    named.name,
                    runtime.block_on(faults::run(&named, seed, cuts))?
                );
            }
            Ok(())
        }
        Command::Kill {
            hilum,
            kills,
            per_step,
            seed,
        } => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(async {
                let mut killer = kills::Killer::new(&hilum, seed)?;
                killer.at_steps(&kills::served_steps(), per_step).await?;
                if killer.done.wrong.is_none() {
                    killer.random(kills).await?;
                }
                println!("{:?}", killer.done);
                Ok(())
            })
        }
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
