//! The audit trail of a service, in its own database: an entry stands in the
//! transaction of the change that it tells of, or is durable before the first
//! byte of what it lets be seen. Owns the form of an entry, the chain of their
//! hashes, the sealing of whom they are about, and the tables. Never a place
//! for patient data in the clear, and never changed once written; what is
//! removed, after years, is a prefix that was sealed before.
//!
//! **How a service uses it.** It makes a [`Trail`] of its database at opening,
//! with the [`Keyring`] that the composition hands it:
//!
//! - a change: `trail.append(&mut tx, scope, Entry::new(Act::Delete).about(…))`
//!   in the transaction of the change, and `?`: what can't be recorded doesn't
//!   happen;
//! - what only reads: `trail.saw(scope, entry).await?` before the first byte;
//!   repeats of the same principal (and session), act and subjects are counted
//!   and cost nothing; [`Trail::record`] when each one counts, as a refusal does;
//! - what passes its HTTP doors: `.layer(from_fn_with_state(Door::new(trail,
//!   named), recorded))` around its router, where `named` says what each address is;
//! - its worker, [`Trail::run`], writes the counts; [`Trail::close`] the last ones;
//! - in its erasure, before the database forgets: [`Trail::forget`].
//!
//! **The canonical form.** An entry is its `body`: one JSON object, UTF-8,
//! without white space, the members of [`Record`] in the order in which they
//! are declared, absent ones left out. The bytes are kept as they were written and
//! are never made again from anything else. Entries of a tenant and writer are
//! numbered from 1 without a gap, and `hash(n) = SHA-256(hash(n-1) ‖ body(n))`,
//! with 32 zero bytes for `hash(0)`.

mod door;
mod forgotten;
mod keyring;
mod postgres;
mod record;
mod recorder;
mod sealing;
mod source;
pub mod sql;
mod trail;
mod verify;

pub use door::{Door, Naming, Told, recorded};
pub use forgotten::Moment;
pub use keyring::{KeyError, Keyring, PURPOSE, TenantKeys};
pub use record::{Draft, Head, Raw, Record, SealedSubject, ZERO, leaf, link};
pub use sealing::{Keys, SubjectRow};
pub use source::{AuditSource, Filter, Find, Found, TellsAll};
pub use trail::{Trail, is_named, subject_of};
pub use verify::{Chain, Fault};

use crate::db::Migration;

/// The tables of the trail, in each service's own database.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: sql::TABLES,
    postgres: postgres::TABLES,
}];

/// Whether `text` names `identifier`, and not another one that it is a part of.
#[must_use]
pub fn names(text: &str, identifier: &str) -> bool {
    if identifier.is_empty() {
        return false;
    }
    text.match_indices(identifier).any(|(at, found)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let mut after = text.get(at + found.len()..).unwrap_or_default().chars();
        let next = after.next();
        // A component of a longer UID is not the UID.
        let goes_on = next == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '.')
            && !next.is_some_and(char::is_alphanumeric)
            && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_text_names_an_identifier_and_not_a_part_of_another() {
        assert!(names("PatientID=4711&limit=3", "4711"));
        assert!(names("study 1.2.3.", "1.2.3"));
        for other in ["PatientID=47110", "PatientID=x4711", "limit=3"] {
            assert!(!names(other, "4711"), "{other}");
        }
        assert!(!names("1.2.3.4", "1.2.3"));
        assert!(!names("9.1.2.3", "1.2.3"));
        assert!(!names("anything", ""));
    }
}
