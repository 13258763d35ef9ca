//! Pure rules of this service: no IO, no SQL, no clock.

pub(crate) mod correction;
pub(crate) mod moving;
pub(crate) mod readiness;
