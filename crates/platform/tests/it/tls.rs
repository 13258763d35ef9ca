//! Certificates are read, read anew, and asked for.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use hilum_platform::config::Tls;
use hilum_platform::tls::{Certificate, Feed, facts, fingerprint};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::certificates::{client, der, files, make};

/// What each side learns of the other's certificate, or why there is none.
async fn shake(
    feed: &Feed,
    client: Arc<ClientConfig>,
) -> (
    std::io::Result<CertificateDer<'static>>,
    std::io::Result<Option<CertificateDer<'static>>>,
) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let server = TlsAcceptor::from(Arc::clone(&feed.borrow())).accept(theirs);
    let name = "localhost".try_into().unwrap();
    let client = TlsConnector::from(client).connect(name, ours);
    let (server, client) = tokio::join!(server, client);
    let first = |chain: Option<&[CertificateDer<'static>]>| chain.and_then(|c| c.first().cloned());
    (
        client.map(|stream| first(stream.get_ref().1.peer_certificates()).unwrap()),
        server.map(|stream| first(stream.get_ref().1.peer_certificates())),
    )
}

fn copy(from: (&Path, &Path), to: &Tls) {
    std::fs::copy(from.0, &to.certificate).unwrap();
    std::fs::copy(from.1, &to.key).unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_served_to_the_next_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let served = files(folder.path(), "served");
    let (old, new) = (make(folder.path(), "old"), make(folder.path(), "new"));
    copy((&old.0, &old.1), &served);
    let certificate = Certificate::open(&served).unwrap();
    let feed = certificate.http();
    let seen = shake(&feed, client(&old.0, None)).await.0.unwrap();
    assert_eq!(seen, der(&old.0));
    assert!(!certificate.look(), "nothing has changed");

    // The certificate comes before its key: until then the old ones hold.
    std::fs::copy(&new.0, &served.certificate).unwrap();
    assert!(!certificate.look());
    assert!(shake(&feed, client(&old.0, None)).await.0.is_ok());
    std::fs::copy(&new.1, &served.key).unwrap();
    assert!(certificate.look());
    let seen = shake(&feed, client(&new.0, None)).await.0.unwrap();
    assert_eq!(seen, der(&new.0));
    assert!(shake(&feed, client(&old.0, None)).await.0.is_err());

    std::fs::write(&served.certificate, "no PEM").unwrap();
    assert!(!certificate.look());
    std::fs::remove_file(&served.key).unwrap();
    assert!(!certificate.look());
    assert!(shake(&feed, client(&new.0, None)).await.0.is_ok());
}

#[tokio::test]
async fn a_device_shows_any_certificate_whose_key_it_holds_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let served = files(folder.path(), "served");
    let feed = Certificate::open(&served).unwrap().dicom();
    let (shown, key) = make(folder.path(), "device");
    let (_, other_key) = make(folder.path(), "thief");

    let known = client(&served.certificate, Some((&shown, &key)));
    let seen = shake(&feed, known).await.1.unwrap().unwrap();
    let said = std::process::Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&shown)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).replace(':', "");
    let ours: String = fingerprint(&seen)
        .iter()
        .map(|b| format!("{b:02X}"))
        .collect();
    assert!(said.contains(&ours), "{said} {ours}");

    let silent = client(&served.certificate, None);
    assert_eq!(shake(&feed, silent).await.1.unwrap(), None);

    // Another's certificate without its key proves nothing.
    let mut thief = client(&served.certificate, None);
    let provider = Arc::clone(thief.crypto_provider());
    let stolen = rustls::pki_types::PrivateKeyDer::from_pem_file(&other_key).unwrap();
    let signer = provider.key_provider.load_private_key(stolen).unwrap();
    let pair = rustls::sign::CertifiedKey::new(vec![der(&shown)], signer);
    Arc::make_mut(&mut thief).client_auth_cert_resolver =
        Arc::new(rustls::sign::SingleCertAndKey::from(pair));
    assert!(shake(&feed, thief).await.1.is_err());
}

#[tokio::test]
async fn with_authorities_only_their_certificates_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = files(folder.path(), "served");
    let (known, known_key) = make(folder.path(), "known");
    let (other, other_key) = make(folder.path(), "other");
    served.client_ca = Some(known.clone());
    let feed = Certificate::open(&served).unwrap().dicom();
    let shows = |certificate, key| client(&served.certificate, Some((certificate, key)));
    assert!(shake(&feed, shows(&known, &known_key)).await.1.is_ok());
    assert!(shake(&feed, shows(&other, &other_key)).await.1.is_err());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let served = files(folder.path(), "served");
    for (mode, good) in [(0o600, true), (0o640, true), (0o644, false), (0o660, false)] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&served.key, permissions).unwrap();
        let opened = Certificate::open(&served);
        assert_eq!(opened.is_ok(), good, "{mode:o}: {opened:?}");
    }
}

#[test]
fn what_is_no_certificate_is_refused_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = files(folder.path(), "served");
    let other = files(folder.path(), "other");
    served.key = other.key;
    let error = Certificate::open(&served).unwrap_err().to_string();
    assert!(error.contains("other.key"), "{error}");
    std::fs::write(&served.certificate, "").unwrap();
    let error = Certificate::open(&served).unwrap_err().to_string();
    assert!(error.contains("served.pem holds no certificate"), "{error}");
}

#[test]
fn a_certificate_says_for_whom_and_for_how_long_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = make(folder.path(), "served");
    let found = facts(&certificate).unwrap().remove(0);
    assert_eq!(found.names, ["localhost", "127.0.0.1"]);
    assert_eq!((found.not_after - found.not_before).whole_days(), 2);
    assert!(found.is_for("localhost") && found.is_for("127.0.0.1"));
    assert!(!found.is_for("hilum.example.org") && !found.is_for("not a name"));
    assert!(facts(&key).is_err());
    assert!(facts(&folder.path().join("none")).is_err());
}
