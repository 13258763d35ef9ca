//! The corpora of the fuzz targets, replayed.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says on what"
)]

#[path = "../../../../../fuzz/targets/data_set.rs"]
mod data_set;
#[path = "../../../../../fuzz/targets/part10.rs"]
mod part10;
#[path = "../../../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn the_corpus_of_data_set_is_survived() {
    replay("data_set", data_set::run);
}

#[test]
fn the_corpus_of_part10_is_survived() {
    replay("part10", part10::run);
}
