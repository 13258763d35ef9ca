//! Where the archive's objects are, when they are in a bucket.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::check_http;

/// A bucket of S3, or of what speaks as S3 does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// Its name.
    pub bucket: String,
    /// What keys begin with, where the bucket holds other things too.
    #[serde(default)]
    pub prefix: String,
    /// The server: `https://s3.example.org`. None: that of AWS in `region`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region, a part of every signature; servers of one's own want the first.
    #[serde(default = "region")]
    pub region: String,
    /// Who asks. None: as the environment says (variables of AWS, a role of the pod
    /// or the machine).
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// The file that holds the secret of `access_key_id`.
    #[serde(default)]
    pub secret_access_key_file: Option<PathBuf>,
    /// Authorities of the server's certificate (PEM), besides the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl Objects {
    pub(super) fn check(&self) -> Result<(), String> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        if !(3..=63).contains(&self.bucket.len()) || !self.bucket.bytes().all(allowed) {
            return Err(
                "objects.bucket is a bucket's name: 3 to 63 of a-z, 0-9, - and .".to_owned(),
            );
        }
        let part = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let prefix = &self.prefix;
        if prefix.len() > 200 || !(prefix.is_empty() || prefix.split('/').all(part)) {
            return Err(
                "objects.prefix is parts of a-z, A-Z, 0-9, -, _ and ., with / between".to_owned(),
            );
        }
        if self.access_key_id.is_some() != self.secret_access_key_file.is_some() {
            return Err(
                "objects.access_key_id and objects.secret_access_key_file go together".to_owned(),
            );
        }
        match &self.endpoint {
            Some(endpoint) => check_http("objects.endpoint", endpoint, "https://HOST"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(), String> {
        toml::from_str::<Objects>(text)
            .map_err(|error| error.to_string())?
            .check()
    }

    #[test]
    fn a_bucket_is_told_as_it_is_used() {
        for right in [
            "bucket = 'images'",
            "bucket = 'images'\nprefix = 'st-mary/hilum'\nregion = 'eu-central-1'",
            "bucket = 'images'\nendpoint = 'http://127.0.0.1:9000'",
            "bucket = 'images'\nendpoint = 'https://s3.example.org'\naccess_key_id = 'a'\nsecret_access_key_file = '/b'",
        ] {
            assert_eq!(told(right), Ok(()), "{right}");
        }
        for (wrong, why) in [
            ("bucket = 'a'", "bucket's name"),
            ("bucket = 'Images'", "bucket's name"),
            ("bucket = 'images'\nprefix = '/a'", "prefix"),
            ("bucket = 'images'\nprefix = 'a/../b'", "prefix"),
            ("bucket = 'images'\naccess_key_id = 'a'", "go together"),
            (
                "bucket = 'images'\nendpoint = 'http://s3.example.org'",
                "https://",
            ),
            (
                "bucket = 'images'\nendpoint = 's3.example.org'",
                "no address",
            ),
            ("bucket = 'images'\nkey = 'a'", "unknown field"),
        ] {
            let refused = told(wrong).unwrap_err();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }
}
