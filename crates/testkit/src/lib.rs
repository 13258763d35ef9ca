//! hilum-testkit
