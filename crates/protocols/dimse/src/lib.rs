//! hilum-dimse
