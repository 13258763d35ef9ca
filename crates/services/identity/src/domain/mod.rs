//! Pure rules of identity.

pub(crate) mod backoff;
pub(crate) mod letters;
pub(crate) mod password;
pub(crate) mod roles;
pub(crate) mod settings;
pub(crate) mod text;
