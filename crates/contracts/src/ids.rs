//! Identifiers. Each is its own type, so that one can't stand for another.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Longest tenant name: it becomes part of paths and keys.
pub const TENANT_ID_MAX: usize = 32;

/// The name of a tenant: 1 to 32 of `a-z`, `0-9` and `-`, beginning with a
/// letter. Safe as a path component by construction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// What [`TenantId::installation`] is called: no tenant can be.
const INSTALLATION: &str = "_installation";

/// The text is not a tenant name.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a tenant name is 1 to 32 of a-z, 0-9 and '-', beginning with a letter")]
pub struct InvalidTenantId;

impl TenantId {
    /// Checks and wraps a tenant's name.
    ///
    /// # Errors
    /// [`InvalidTenantId`] when the text has another form.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidTenantId> {
        let text = text.into();
        let starts_with_letter = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if starts_with_letter && text.len() <= TENANT_ID_MAX && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(InvalidTenantId)
        }
    }

    /// Where what concerns no tenant is recorded: who failed to sign in at an
    /// address that nobody has, what was done to the whole installation. Nobody
    /// belongs to it, it holds no data, and [`TenantId::new`] refuses its name.
    #[must_use]
    pub fn installation() -> Self {
        Self(INSTALLATION.to_owned())
    }

    /// Reads a name that Hilum itself stored: a tenant's, or the installation's.
    ///
    /// # Errors
    /// [`InvalidTenantId`] when the text has another form.
    pub fn stored(text: impl Into<String>) -> Result<Self, InvalidTenantId> {
        let text = text.into();
        match text == INSTALLATION {
            true => Ok(Self(text)),
            false => Self::new(text),
        }
    }

    /// [`TenantId::stored`] for serde; otherwise it reads what people name.
    ///
    /// # Errors
    /// When it is no name, or not stored as text.
    pub fn deserialize_stored<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::stored(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier, ordered by the time it was made (UUID version 7).
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// Follows one piece of work from the association or request that brought
    /// it in to the last delivery.
    CorrelationId
}
uuid_id! {
    /// One revision of an input set.
    InputSetId
}
uuid_id! {
    /// One run of one model version over one input set revision.
    RunId
}
uuid_id! {
    /// An event, unique for ever: consumers recognise a repeat by it.
    EventId
}

uuid_id! {
    /// A person who can sign in, whatever the tenants they belong to.
    PersonId
}
uuid_id! {
    /// A person's signing in on one browser.
    SessionId
}
uuid_id! {
    /// An API key; not its secret.
    ApiKeyId
}
uuid_id! {
    /// Emergency access that somebody took.
    BreakGlassId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_name_is_safe_as_a_path_component() {
        for good in ["default", "st-mary-2", "a"] {
            assert!(TenantId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "..", "A", "1a", "a/b", "a b", "-a", &"a".repeat(33)] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_tenant_is_called_as_the_installation_is() {
        let own = TenantId::installation();
        assert!(TenantId::new(own.as_str()).is_err());
        assert_eq!(TenantId::stored(own.as_str()).unwrap(), own);
        assert!(TenantId::stored("_another").is_err());
        let text = serde_json::to_string(&own).unwrap();
        assert!(serde_json::from_str::<TenantId>(&text).is_err());
    }
}
