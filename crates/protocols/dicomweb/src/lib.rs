//! hilum-dicomweb
