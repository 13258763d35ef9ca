//! The operator of the installation: whoever can read the data folder. Its
//! commands prove that with a token that stands there while Hilum serves.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::commands::random_hex;

/// Bytes of a token: 256 bits can't be guessed.
const BYTES: usize = 32;

/// What the operator's commands send as a bearer token.
#[derive(Clone)]
pub(crate) struct OperatorToken(String);

impl OperatorToken {
    /// A new one.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(random_hex::<BYTES>()?))
    }

    /// As it is written to `run.json`.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the header that carries it.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Whether this is it; takes as long for every wrong one.
    pub(crate) fn is(&self, presented: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), presented.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_no_other() {
        let token = OperatorToken::new().unwrap();
        assert!(token.is(token.as_str()));
        assert!(!token.is(OperatorToken::new().unwrap().as_str()));
        assert!(!token.is(""));
    }
}
