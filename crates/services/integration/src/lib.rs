//! hilum-integration
