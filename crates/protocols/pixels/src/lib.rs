//! hilum-pixels
