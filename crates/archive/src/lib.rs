//! hilum-archive
