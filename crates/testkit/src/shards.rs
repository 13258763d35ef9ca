//! An installation of two shards on one machine: `main`, where Identity is, and `north`,
//! each a process on a database of its own on one private PostgreSQL, with one bucket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::hilum::{Hilum, Setup};
use crate::peers::free_address;
use crate::place::Place;
use crate::rabbitmq::RabbitMq;
use crate::s3::S3;

/// The services of a shard that is not the first.
const OF_SHARD: &str = "[\"imaging\", \"patients\", \"inference\", \"integration\", \"audit\"]";

/// Two shards. What runs is ended when this is dropped.
pub struct Shards {
    /// The first, with Identity.
    pub main: Hilum,
    /// The other.
    pub north: Hilum,
    /// Their databases.
    pub place: Place,
    _bucket: S3,
    _brokers: Vec<RabbitMq>,
    _folder: TempDir,
}

impl Shards {
    /// Both, running, with the fast model; `a`'s results go to `pacs`, where there is one.
    #[must_use]
    pub fn up(binary: &str, pacs: Option<SocketAddr>) -> Self {
        Self::on(binary, pacs, Place::postgres(), Vec::new())
    }

    /// The same with a PgBouncer before the databases, and a RabbitMQ for each.
    #[must_use]
    pub fn over_brokers(binary: &str, pacs: Option<SocketAddr>) -> Self {
        let brokers = vec![RabbitMq::up(), RabbitMq::up()];
        Self::on(binary, pacs, Place::pooled(), brokers)
    }

    fn on(binary: &str, pacs: Option<SocketAddr>, place: Place, brokers: Vec<RabbitMq>) -> Self {
        let (folder, bucket) = (tempfile::tempdir().unwrap(), S3::up());
        let authority = Authority::new(folder.path());
        let tls = authority.vouches_for("own");
        let databases = [database(&place, "hilum", 0), database(&place, "north", 1)];
        place.sql("CREATE DATABASE north OWNER hilum_owner", "postgres");
        let doors = [free_address(), free_address()];
        let at = |door: SocketAddr, identity: bool| {
            let mut all = vec!["imaging", "patients", "inference", "integration", "audit"];
            all.extend(identity.then_some("identity"));
            let each: Vec<_> = all
                .iter()
                .map(|one| format!("{one} = \"https://{door}\""))
                .collect();
            format!("{{ {} }}", each.join(", "))
        };
        let shards = format!(
            "{{ main = {{ at = {}, database = {} }}, north = {{ at = {}, database = {} }} }}",
            at(doors[0], true),
            databases[0],
            at(doors[1], false),
            databases[1]
        );
        let neighbours = |door: SocketAddr, at: &str| {
            format!(
                "{{ listen = \"{door}\", certificate = {:?}, key = {:?}, ca = {:?}, at = {{ {at} }} }}",
                tls.certificate,
                tls.key,
                authority.certificate()
            )
        };
        let of = |nth: usize, at: &str| {
            let setup = Setup::new(binary)
                .with_fast_model()
                .with_setting("database", &databases[nth])
                .with_setting("objects", bucket.setting())
                .with_setting("neighbours", neighbours(doors[nth], at))
                .with_setting("shards", &shards);
            let setup = match brokers.get(nth) {
                Some(broker) => {
                    setup.with_setting("bus", format!("{{ amqp = {:?} }}", broker.amqp()))
                }
                None => setup,
            };
            match pacs {
                Some(address) => setup.delivering_to("pacs", "PACS", address),
                None => setup,
            }
        };
        let main = of(0, "").start();
        let north = of(1, &format!("identity = \"https://{}\"", doors[0]))
            .with_setting("shard", "{ name = \"north\" }")
            .with_setting("services", OF_SHARD);
        // One master key for all shards.
        copy_key(main.data(), north.data());
        Self {
            main,
            north: north.start(),
            place,
            _bucket: bucket,
            _brokers: brokers,
            _folder: folder,
        }
    }

    /// How many rows the archive of a database has for a tenant, of some tables.
    #[must_use]
    pub fn rows(&self, database: &str, tenant: &str) -> u64 {
        let of_archive = ["object", "study", "series", "instance", "pack"].map(|table| {
            format!(
                "(SELECT count(*) FROM hilum_archive.{table} x JOIN hilum_archive.tenant t
                  ON t.id = x.tenant WHERE t.name = '{tenant}')"
            )
        });
        let others = [
            "keys.study_key",
            "keys.tenant_key",
            "imaging.input_sets",
            "imaging.audit_entry",
            "patients.patients",
            "patients.outbox",
            "inference.runs",
            "inference.jobs",
            "inference.inbox",
            "integration.deliveries",
            "audit.seal",
            "audit.audit_head",
        ]
        .map(|table| format!("(SELECT count(*) FROM hilum_{table} WHERE tenant = '{tenant}')"));
        let all: Vec<_> = of_archive.into_iter().chain(others).collect();
        let text = format!("SELECT {}", all.join(" + "));
        self.place.sql(&text, database).parse().unwrap()
    }
}

fn database(place: &Place, name: &str, number: u32) -> String {
    let [application, owner] = place.addresses_of(name);
    format!(
        "{{ url_file = {application:?}, owner_url_file = {owner:?}, connections = 4, \
         shard_number = {number} }}"
    )
}

fn copy_key(from: &Path, to: &Path) {
    let key = |data: &Path| -> PathBuf { data.join("keys").join("master.key") };
    std::fs::create_dir_all(to.join("keys")).unwrap();
    std::fs::copy(key(from), key(to)).unwrap();
}
