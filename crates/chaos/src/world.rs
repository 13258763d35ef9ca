//! The installation that is broken: every service in a process of its own, what
//! they stand on, relays on every way between, and who works with it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use hilum_testkit::{As, Cluster, Place, Redis, S3, SERVICES};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::receiver::Receiver;

/// Who works here: a name and the AE title that is called.
pub(crate) const TENANTS: [(&str, &str); 2] = [("a", "HILUM_A"), ("b", "HILUM_B")];
/// The person who signs in again and again, by which a first session ends some day;
pub(crate) const EMAIL: &str = "anna@example.org";
/// and the one who stays.
const STAYS: &str = "berta@example.org";
pub(crate) const PASSWORD: &str = "four quiet words together";

const MODEL: &str = include_str!("model.toml");

pub(crate) struct World {
    /// Before what it stands on: it ends first.
    pub(crate) cluster: Cluster,
    pub(crate) place: Place,
    pub(crate) bucket: S3,
    pub(crate) cache: Redis,
    pub(crate) receiver: Receiver,
}

/// How people and programs come in.
#[derive(Clone)]
pub(crate) struct Keys {
    /// API keys, in the order of [`TENANTS`].
    pub(crate) keys: [String; 2],
    /// A key of tenant `a`'s auditor,
    pub(crate) auditor: String,
    /// and a session there.
    pub(crate) cookie: String,
}

impl World {
    /// Everything, running.
    pub(crate) fn start(hilum: &Path, runtime: &Runtime) -> io::Result<Self> {
        let receiver = Receiver::default();
        let address = runtime.block_on(receiver.listen())?;
        let place = Place::over_relays();
        let (bucket, cache) = (S3::over_relay(), Redis::over_relay());
        let settings = settings(&place, &bucket, &cache, address)?;
        let hilum = hilum
            .to_str()
            .ok_or_else(|| io::Error::other("a path that is no text"))?;
        let cluster = Cluster::over_relays(hilum, &settings);
        put_model(&cluster.models())?;
        Ok(Self {
            cluster: cluster.started(),
            place,
            bucket,
            cache,
            receiver,
        })
    }

    /// Makes keys and a person with a session.
    pub(crate) fn let_in(&self) -> io::Result<Keys> {
        let [a, b] = TENANTS.map(|(tenant, _)| self.key(tenant, "integration"));
        self.person(EMAIL)?;
        Ok(Keys {
            keys: [a?, b?],
            auditor: self.key(TENANTS[0].0, "auditor")?,
            cookie: self.person(STAYS)?,
        })
    }

    /// Makes an API key of a tenant.
    fn key(&self, tenant: &str, role: &str) -> io::Result<String> {
        let api = self.cluster.api("identity");
        let asked = json!({ "name": format!("chaos {role}"), "role": role });
        let made = api.send("POST", "/api/v1/keys", As::Operator(tenant), Some(&asked));
        let no_key = || io::Error::other(format!("no key: {}", made.text()));
        made.json()["key"]
            .as_str()
            .map(ToOwned::to_owned)
            .ok_or_else(no_key)
    }

    /// Makes a person of tenant `a`; their session.
    fn person(&self, email: &str) -> io::Result<String> {
        let api = self.cluster.api("identity");
        let asked = json!({ "email": email, "role": "radiologist" });
        let who = As::Operator("a");
        let invited = api.send("POST", "/api/v1/invitations", who, Some(&asked));
        let invited = invited.json();
        let link = invited["link"].as_str().unwrap_or_default();
        let token = link.rsplit(['#', '/']).next().unwrap_or_default();
        let asked = json!({ "token": token, "name": "Anna Berg", "password": PASSWORD });
        let path = "/auth/invitation/accept";
        let accepted = api.send("POST", path, As::Browser(""), Some(&asked));
        match accepted.status {
            200..300 => Ok(accepted.cookies),
            _ => Err(io::Error::other(format!(
                "nobody was let in: {}",
                accepted.text()
            ))),
        }
    }

    /// The HTTP doors of all processes but that of `without`: a load balancer has
    /// taken it out.
    pub(crate) fn doors(&self, without: Option<&str>) -> Vec<SocketAddr> {
        let rest = SERVICES.iter().filter(|service| Some(**service) != without);
        rest.map(|service| self.cluster.api(service).0).collect()
    }
}

fn settings(place: &Place, bucket: &S3, cache: &Redis, receiver: SocketAddr) -> io::Result<String> {
    let none = || io::Error::other("a place without a database");
    let database = place.database().ok_or_else(none)?;
    let owner = database.owner_url_file.ok_or_else(none)?;
    let replica = database.replica_url_file.ok_or_else(none)?;
    let destinations = TENANTS.map(|(tenant, _)| {
        format!(
            "{{ name = \"pacs\", tenant = \"{tenant}\", ae_title = \"PACS\", address = \"{receiver}\" }}"
        )
    });
    Ok(format!(
        "database = {{ url_file = {:?}, owner_url_file = {owner:?}, replica_url_file = {replica:?} }}\nobjects = {}\ncache = {}\ndestinations = [{}]",
        database.url_file,
        bucket.setting(),
        cache.setting(),
        destinations.join(", ")
    ))
}

/// Puts the model there, and no other.
fn put_model(models: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(models)?;
    let folder = models.join("bright-voxels");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("hilum-model.toml"), MODEL)
}
