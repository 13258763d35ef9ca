//! The Hilum binary. It only reads the command line and dispatches; each
//! command is a file in `commands`.

mod commands;
mod compose;
mod http;
mod objects;
mod run_file;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    hilum_platform::tls::install_provider();
    commands::Cli::parse().run()
}
