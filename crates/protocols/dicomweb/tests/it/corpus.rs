//! The corpora of the fuzz targets, replayed.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says on what"
)]

#[path = "../../../../../fuzz/targets/accept.rs"]
mod accept;
#[path = "../../../../../fuzz/targets/multipart.rs"]
mod multipart;
#[path = "../../../../../fuzz/targets/query.rs"]
mod query;
#[path = "../../../../../fuzz/targets/rendered.rs"]
mod rendered;
#[path = "../../../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn the_corpus_of_accept_is_survived() {
    replay("accept", accept::run);
}

#[test]
fn the_corpus_of_multipart_is_survived() {
    replay("multipart", multipart::run);
}

#[test]
fn the_corpus_of_query_is_survived() {
    replay("query", query::run);
}

#[test]
fn the_corpus_of_rendered_is_survived() {
    replay("rendered", rendered::run);
}
