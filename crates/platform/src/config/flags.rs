//! Where feature flags are decided.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A file of definitions as flagd has them (<https://flagd.dev>), read again while
/// serving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagsFile {
    /// The file.
    pub file: PathBuf,
}
