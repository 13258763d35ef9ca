//! hilum-contracts
