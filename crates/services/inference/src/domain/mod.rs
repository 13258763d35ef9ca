//! Pure rules: what a manifest means, how slices become a volume, what each
//! step computes, how results are written. Nothing here reads a file, a
//! socket, a clock or a database.

pub mod geometry;
pub mod graph;
pub mod header;
pub mod intended_use;
pub mod manifest;
pub mod refusal;
pub mod results;
pub mod steps;
pub mod vector;
pub mod volume;
