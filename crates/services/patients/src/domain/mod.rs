//! Pure rules about who is whom.

pub(crate) mod identity;
