//! hilum-dataset
