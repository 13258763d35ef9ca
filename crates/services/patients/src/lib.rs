//! hilum-patients
