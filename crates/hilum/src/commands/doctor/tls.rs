//! The certificates that the configuration names: whether they can be used, for
//! whom they are, and for how long.

use std::path::Path;

use hilum_platform::config::Config;
use hilum_platform::tls::{Certificate, Facts, facts};
use time::{Duration, OffsetDateTime};

use super::{Check, bad, good, warning};

/// Sooner than this a certificate's end is a warning: what renews certificates
/// by itself does so a month before (RFC 8555's clients).
const ENDS_SOON: Duration = Duration::days(30);

/// Every certificate; nothing where none is configured.
pub(super) fn checks(config: &Config, now: OffsetDateTime) -> Vec<Check> {
    let mut found = Vec::new();
    if let Some(tls) = &config.tls {
        if let Err(error) = Certificate::open(tls) {
            found.push(bad("certificate", error.to_string()));
        } else {
            let host = config.identity.public_url.as_deref().and_then(host_of);
            found.extend(own(&tls.certificate, host, now));
        }
        if let Some(authorities) = &tls.client_ca {
            found.push(trusted("device CA", authorities, now));
        }
    }
    let trusting = config.destinations.iter().filter_map(|d| d.tls_ca.as_ref());
    found.extend(trusting.map(|authorities| trusted("destination CA", authorities, now)));
    found
}

/// The certificate of the doors, which comes first in its file, and those
/// between it and its authority.
fn own(path: &Path, host: Option<&str>, now: OffsetDateTime) -> Vec<Check> {
    let what = "certificate";
    let chain = match facts(path) {
        Ok(chain) => chain,
        Err(error) => return vec![bad(what, error.to_string())],
    };
    let mut found = Vec::new();
    for (index, one) in chain.iter().enumerate() {
        let of = match index {
            0 => one.names.join(", "),
            _ => format!("number {} of the chain", index + 1),
        };
        found.push(lasting(what, &of, path, one, now));
    }
    if let Some((host, first)) = host.zip(chain.first())
        && !first.is_for(host)
    {
        let text = format!(
            "{} is not for {host}, by which people come (identity.public_url): have one made \
             that is",
            path.display()
        );
        found.push(bad(what, text));
    }
    found
}

/// Authorities, or the very certificates of others: one that ended hides no
/// other.
fn trusted(what: &'static str, path: &Path, now: OffsetDateTime) -> Check {
    match facts(path) {
        Err(error) => bad(what, error.to_string()),
        Ok(all) => {
            let first = all.iter().min_by_key(|one| one.not_after);
            first.map_or_else(
                || bad(what, format!("{} holds none", path.display())),
                |one| lasting(what, &path.display().to_string(), path, one, now),
            )
        }
    }
}

/// Whether a certificate holds now, and will for a while.
fn lasting(what: &'static str, of: &str, path: &Path, one: &Facts, now: OffsetDateTime) -> Check {
    let (begins, ends) = (one.not_before.date(), one.not_after.date());
    let shown = path.display();
    if one.not_after <= now {
        return bad(
            what,
            format!("{shown} has expired on {ends} ({of}): renew it"),
        );
    }
    if one.not_before > now {
        let text = format!("{shown} holds from {begins} on ({of}): is the clock right?");
        return bad(what, text);
    }
    let left = one.not_after - now;
    if left < ENDS_SOON {
        let days = left.whole_days();
        let text = format!("{shown} expires on {ends}, in {days} days ({of}): renew it");
        return warning(what, text);
    }
    good(what, format!("{of}, until {ends}"))
}

/// The host of an address, without its port.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.split('/').next()?;
    match rest.strip_prefix('[') {
        Some(six) => six.split(']').next(),
        None => rest.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use hilum_platform::clock;
    use hilum_platform::config::{Destination, Tls, Way};

    use super::super::Finding;
    use super::*;

    /// A certificate of 90 days for `localhost`, and its files.
    fn made(folder: &Path, name: &str) -> Tls {
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        let (certificate, key) = (file("pem"), file("key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args([
                "ec_paramgen_curve:P-256",
                "-noenc",
                "-days",
                "90",
                "-subj",
                "/CN=x",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl runs: `make test-deps` installs it");
        assert!(made.status.success(), "{made:?}");
        Tls {
            certificate,
            key,
            client_ca: None,
        }
    }

    fn findings(config: &Config, days: i64) -> Vec<(&'static str, Finding)> {
        let now = clock::system().now() + Duration::days(days);
        let found = checks(config, now);
        found
            .iter()
            .map(|check| (check.what, check.finding))
            .collect()
    }

    #[test]
    fn a_certificate_is_good_then_about_to_end_then_over() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            tls: Some(made(folder.path(), "served")),
            ..Config::default()
        };
        for (days, expected) in [
            (-2, Finding::Bad),
            (0, Finding::Good),
            (59, Finding::Good),
            (61, Finding::Warning),
            (89, Finding::Warning),
            (91, Finding::Bad),
        ] {
            assert_eq!(
                findings(&config, days),
                [("certificate", expected)],
                "day {days}"
            );
        }
    }

    #[test]
    fn one_that_is_not_for_the_name_people_use_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            tls: Some(made(folder.path(), "served")),
            ..Config::default()
        };
        for (url, expected) in [
            ("https://localhost", None),
            ("https://localhost:8443/hilum", None),
            ("https://127.0.0.1", None),
            ("https://hilum.example.org", Some(Finding::Bad)),
            ("https://[::1]:443", Some(Finding::Bad)),
        ] {
            config.identity.public_url = Some(url.to_owned());
            let found = findings(&config, 0);
            assert_eq!(found[0], ("certificate", Finding::Good));
            assert_eq!(found.get(1).map(|one| one.1), expected, "{url}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_and_files_that_are_none_are_bad() {
        let folder = tempfile::tempdir().unwrap();
        let mut tls = made(folder.path(), "served");
        tls.key = made(folder.path(), "other").key;
        let config = |tls: &Tls| Config {
            tls: Some(tls.clone()),
            ..Config::default()
        };
        assert_eq!(findings(&config(&tls), 0), [("certificate", Finding::Bad)]);
        std::fs::write(&tls.certificate, "no PEM").unwrap();
        assert_eq!(findings(&config(&tls), 0), [("certificate", Finding::Bad)]);
        tls.certificate = PathBuf::from("/nowhere/at/all");
        assert_eq!(findings(&config(&tls), 0), [("certificate", Finding::Bad)]);
    }

    #[test]
    fn authorities_of_devices_and_destinations_are_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let mut tls = made(folder.path(), "served");
        let authorities = made(folder.path(), "authorities").certificate;
        tls.client_ca = Some(authorities.clone());
        let destination = Destination {
            name: "pacs".to_owned(),
            tenant: hilum_contracts::ids::TenantId::new("a").unwrap(),
            way: Way::Dicom {
                ae_title: "PACS".to_owned(),
                address: "pacs:104".to_owned(),
                calling_ae_title: "HILUM".to_owned(),
            },
            models: Vec::new(),
            tls_ca: Some(authorities.clone()),
        };
        let config = Config {
            tls: Some(tls),
            destinations: vec![destination],
            ..Config::default()
        };
        let of =
            |finding| ["certificate", "device CA", "destination CA"].map(|what| (what, finding));
        assert_eq!(findings(&config, 0), of(Finding::Good));
        assert_eq!(findings(&config, 70), of(Finding::Warning));
        assert_eq!(findings(&config, 100), of(Finding::Bad));
        std::fs::write(&authorities, "no PEM").unwrap();
        assert_eq!(findings(&config, 0)[1..], of(Finding::Bad)[1..]);
    }
}
