//! An OpenID provider of others: npm's `oidc-provider`, run by node.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use crate::peers::{free_address, start};
use crate::tools::{root, wait_until};

/// The secret of its clients `hilum` (RS256) and `symmetric` (HS256).
pub const OIDC_SECRET: &str = "a secret between two servers";

/// A provider.
pub struct OidcProvider {
    address: SocketAddr,
    child: Child,
}

impl OidcProvider {
    /// One that sends people back to `redirect_uri` only.
    #[must_use]
    pub fn up(redirect_uri: &str) -> Self {
        let folder = root().join(".cache/oidc-provider");
        assert!(
            folder.join("node_modules/oidc-provider").is_dir(),
            "there is no {}: run `make test-deps`",
            folder.display()
        );
        let address = free_address();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/oidc_provider.mjs");
        let mut command = Command::new("node");
        command
            .arg(script)
            .arg(folder)
            .arg(address.port().to_string())
            .arg(redirect_uri);
        let child = start(&mut command);
        wait_until("the provider listens", 30, || {
            TcpStream::connect(address).ok()
        });
        Self { address, child }
    }

    /// What it calls itself.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes where a browser was sent, as the person of `account`; the address
    /// that the provider sends it back to.
    pub async fn signs_in(&self, to: &str, account: &str) -> String {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let mut cookies = BTreeMap::new();
        let mut next = to.to_owned();
        for _ in 0..10 {
            let shown: Vec<_> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let answer = client
                .get(&next)
                .header("x-account", account)
                .header("cookie", shown.join("; "))
                .send()
                .await
                .unwrap();
            for set in answer.headers().get_all("set-cookie") {
                let pair = set.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let Some(location) = answer.headers().get("location") else {
                let status = answer.status();
                panic!(
                    "the provider answers {status}: {}",
                    answer.text().await.unwrap()
                );
            };
            let location = location.to_str().unwrap().to_owned();
            next = if location.starts_with('/') {
                format!("{}{location}", self.issuer())
            } else {
                location
            };
            if !next.starts_with(&self.issuer()) {
                return next;
            }
        }
        panic!("the provider leads in a circle");
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
