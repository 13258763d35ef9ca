//! Integration tests of hilum-inference.

mod geometry;
mod models;
mod results;
mod steps;
mod worker;
