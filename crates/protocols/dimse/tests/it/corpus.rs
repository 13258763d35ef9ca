//! The corpora of the fuzz targets, replayed.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says on what"
)]

#[path = "../../../../../fuzz/targets/associate.rs"]
mod associate;
#[path = "../../../../../fuzz/targets/command.rs"]
mod command;
#[path = "../../../../../fuzz/targets/pdata.rs"]
mod pdata;
#[path = "../../../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn the_corpus_of_associate_is_survived() {
    replay("associate", associate::run);
}

#[test]
fn the_corpus_of_command_is_survived() {
    replay("command", command::run);
}

#[test]
fn the_corpus_of_pdata_is_survived() {
    replay("pdata", pdata::run);
}
