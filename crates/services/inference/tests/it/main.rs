//! Integration tests of hilum-inference.

mod results;
