//! Pure rules of deliveries.

pub(crate) mod rule;
pub(crate) mod settings;
pub(crate) mod target;
