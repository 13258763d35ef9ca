//! Pure rules: seals, removals, pages, forms of export.

pub(crate) mod codes;
pub(crate) mod csv;
pub(crate) mod fhir;
pub(crate) mod merkle;
pub(crate) mod page;
pub(crate) mod removal;
pub(crate) mod seal;
