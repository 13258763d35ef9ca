//! hilum-platform
