//! Integration tests of hilum-inference.

mod geometry;
mod models;
mod results;
mod service;
mod steps;
mod worker;
