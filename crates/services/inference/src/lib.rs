//! hilum-inference

pub mod domain;
