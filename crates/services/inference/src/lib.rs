//! hilum-inference
