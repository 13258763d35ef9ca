//! The cache that processes share.

use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::address::is_here;

/// A Redis, or what speaks as Redis does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// The file that holds its address: `rediss://hilum:…@redis.example.org:6379/0`.
    pub url_file: PathBuf,
    /// The authorities of its certificate, or the certificate itself (PEM); else
    /// those that the system trusts.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Cache {
    /// The address, read from its file.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not show it.
    pub fn address(&self) -> Result<String, String> {
        let text = std::fs::read_to_string(&self.url_file)
            .map_err(|error| format!("cache.url_file: {}: {error}", self.url_file.display()))?;
        let text = text.trim();
        let form = "cache: the address is rediss://USER:PASSWORD@HOST:PORT/DATABASE";
        let uri: Uri = text.parse().map_err(|_| form.to_owned())?;
        let host = uri.host().ok_or(form)?;
        match uri.scheme_str() {
            Some("rediss") => Ok(text.to_owned()),
            Some("redis") if !is_here(host) => {
                Err("cache: redis:// is for a Redis on this machine \
                                              only; another one is reached by rediss://"
                    .to_owned())
            }
            Some("redis") if self.ca_file.is_some() => {
                Err("cache.ca_file is for rediss://, and the address is redis://".to_owned())
            }
            Some("redis") => Ok(text.to_owned()),
            _ => Err(form.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str, ca_file: Option<&str>) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{url}\n")).unwrap();
        let cache = Cache {
            url_file: file.path().to_owned(),
            ca_file: ca_file.map(PathBuf::from),
        };
        cache.address()
    }

    #[test]
    fn a_redis_in_clear_is_on_this_machine() {
        for right in [
            "redis://127.0.0.1:6379",
            "redis://:word@localhost/1",
            "redis://[::1]:6379",
            "rediss://hilum:word@redis.example.org:6379/0",
        ] {
            assert_eq!(address(right, None).as_deref(), Ok(right));
        }
        let refused = address("redis://hilum:word@redis.example.org", None).unwrap_err();
        assert!(refused.contains("rediss://"), "{refused}");
        assert!(address("redis://127.0.0.1", Some("ca.pem")).is_err());
        assert!(address("rediss://127.0.0.1", Some("ca.pem")).is_ok());
    }

    #[test]
    fn the_password_is_shown_nowhere() {
        for wrong in ["http://a:word@h", "a:word@h", "redis://a:word@h", "word"] {
            let told = address(wrong, None).unwrap_err();
            assert!(!told.contains("word@") && !told.ends_with("word"), "{told}");
        }
    }
}
