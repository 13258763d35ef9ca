//! Where a test's services keep their rows: a folder, or a private PostgreSQL with
//! or without a PgBouncer before it. `HILUM_TEST_DATABASE=postgres` has every test
//! that asks for no engine use PostgreSQL.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hilum_platform::config::Database;
use hilum_platform::db::Home;
use hilum_platform::limits::PG_CONNECTIONS;
use rustix::process::Signal;

use crate::processes::Server;
use crate::relay::{Behind, Relay};
use crate::wait_until;

/// `nobody`: neither server starts as root.
const NOBODY: u32 = 65_534;

/// A folder, and the servers that a test started in it. They end with it.
pub struct Place {
    /// The pooler first, so that it ends first.
    pooler: Option<Server>,
    postgres: Option<Server>,
    replica: Option<Server>,
    /// Ways to the pooler, from it to PostgreSQL, and to the replica, that can be cut off.
    ways: Option<[Relay; 3]>,
    database: Option<Database>,
    dir: tempfile::TempDir,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// On the engine that the run of the tests is about.
    #[must_use]
    pub fn new() -> Self {
        match std::env::var("HILUM_TEST_DATABASE").as_deref() {
            Ok("postgres") => Self::postgres(),
            Ok("pgbouncer") => Self::pooled(),
            _ => Self::embedded(),
        }
    }

    /// In files.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            pooler: None,
            postgres: None,
            replica: None,
            ways: None,
            database: None,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// On a PostgreSQL of its own.
    #[must_use]
    pub fn postgres() -> Self {
        let mut place = Self::embedded();
        let dir = place.folder("postgres");
        let data = dir.join("data");
        let made = as_nobody(&binary("initdb"))
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {made:?}");
        place.postgres = Some(postgres_in(dir.clone()));
        place.postgres_answers();
        place.sql(
            "CREATE ROLE hilum_owner LOGIN; CREATE ROLE hilum LOGIN;
             CREATE DATABASE hilum OWNER hilum_owner",
            "postgres",
        );
        place.database = Some(Database {
            url_file: place.address("app.url", "hilum", &dir, 5432),
            owner_url_file: Some(place.address("owner.url", "hilum_owner", &dir, 5432)),
            replica_url_file: None,
            schema_prefix: "hilum_".to_owned(),
            connections: 4,
            shard_number: 0,
        });
        place
    }

    /// The same, with a hot standby that is read from.
    #[must_use]
    pub fn with_replica() -> Self {
        let mut place = Self::postgres();
        let dir = place.folder("replica");
        let copied = as_nobody(&binary("pg_basebackup"))
            .args(["-U", "postgres", "-c", "fast", "--no-sync", "-R", "-h"])
            .arg(place.dir.path().join("postgres"))
            .arg("-D")
            .arg(dir.join("data"))
            .output()
            .unwrap();
        assert!(copied.status.success(), "pg_basebackup: {copied:?}");
        place.replica = Some(postgres_in(dir.clone()));
        place.answers("replica");
        let address = place.address("replica.url", "hilum", &dir, 5432);
        if let Some(database) = &mut place.database {
            database.replica_url_file = Some(address);
        }
        place
    }

    /// The same, behind a PgBouncer that gives each transaction another connection: of
    /// enough for an archive, which asks for a key while it reads.
    #[must_use]
    pub fn pooled() -> Self {
        let mut place = Self::postgres();
        let server = place.dir.path().join("postgres").display().to_string();
        place.pool(&format!("host={server} port=5432"), 12);
        let address = place.address(
            "pooled.url",
            "hilum",
            &place.dir.path().join("pgbouncer"),
            6432,
        );
        place.is_reached_at(address);
        place
    }

    /// The same, over ways that can be cut off ([`Place::way_to_server`], [`Place::way_to_pooler`]), with as many
    /// connections as an installation would have.
    #[must_use]
    pub fn over_relays() -> Self {
        let mut place = Self::with_replica();
        let socket = |folder: &str, port: u16| {
            let path = place.dir.path().join(folder);
            Relay::to(Behind::Socket(path.join(format!(".s.PGSQL.{port}"))))
        };
        let (to_pooler, to_server) = (socket("pgbouncer", 6432), socket("postgres", 5432));
        let to_replica = socket("replica", 5432);
        let at = |relay: &Relay, role: &str| {
            format!(
                "postgres://{role}@{}/hilum?sslmode=disable",
                relay.address()
            )
        };
        let owner = place.names("owner.url", &at(&to_server, "hilum_owner"));
        let pooled = place.names("pooled.url", &at(&to_pooler, "hilum"));
        let replica = place.names("replica.url", &at(&to_replica, "hilum"));
        place.pool(
            &format!("host=127.0.0.1 port={}", to_server.address().port()),
            20,
        );
        place.is_reached_at(pooled);
        if let Some(database) = &mut place.database {
            database.owner_url_file = Some(owner);
            database.replica_url_file = Some(replica);
            database.connections = PG_CONNECTIONS;
        }
        place.ways = Some([to_pooler, to_server, to_replica]);
        place
    }

    /// Starts a PgBouncer before the server that `to` names.
    fn pool(&mut self, to: &str, connections: u32) {
        let dir = self.folder("pgbouncer");
        fs::write(dir.join("users"), "\"hilum\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = {to}\n[pgbouncer]\nlisten_addr =\n\
             listen_port = 6432\nunix_socket_dir = {}\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nserver_round_robin = 1\n\
             server_login_retry = 1\n",
            dir.display(),
            dir.join("users").display()
        );
        let file = dir.join("ini");
        fs::write(&file, text).unwrap();
        let log = dir.clone();
        let launch = move || {
            let mut pooler = as_nobody(Path::new("/usr/sbin/pgbouncer"));
            let command = pooler.arg("-q").arg(&file);
            command.stdout(Stdio::null()).stderr(log_in(&log));
            pooler
        };
        // It holds nothing, and what else ends it differs from version to version.
        self.pooler = Some(Server::start(launch, Signal::KILL));
        self.pooler_answers();
    }

    fn is_reached_at(&mut self, url_file: PathBuf) {
        if let Some(database) = &mut self.database {
            database.url_file = url_file;
        }
    }

    /// The PostgreSQL.
    pub fn server(&mut self) -> &mut Server {
        self.postgres.as_mut().expect("a place on PostgreSQL")
    }

    /// The hot standby.
    pub fn replica(&mut self) -> &mut Server {
        self.replica.as_mut().expect("a place with a replica")
    }

    /// The PgBouncer.
    pub fn pooler(&mut self) -> &mut Server {
        self.pooler.as_mut().expect("a place behind PgBouncer")
    }

    /// The way from the pooler to PostgreSQL.
    #[must_use]
    pub fn way_to_server(&self) -> &Relay {
        &self.ways.as_ref().expect("a place over relays")[1]
    }

    /// The way to the replica.
    #[must_use]
    pub fn way_to_replica(&self) -> &Relay {
        &self.ways.as_ref().expect("a place over relays")[2]
    }

    /// The way to the pooler.
    #[must_use]
    pub fn way_to_pooler(&self) -> &Relay {
        &self.ways.as_ref().expect("a place over relays")[0]
    }

    /// Waits until PostgreSQL takes connections.
    pub fn postgres_answers(&self) {
        self.answers("postgres");
    }

    fn answers(&self, folder: &str) {
        let dir = self.dir.path().join(folder);
        wait_until("PostgreSQL", 60, || {
            let asked = Command::new(binary("pg_isready"))
                .arg("-qh")
                .arg(&dir)
                .status();
            asked.is_ok_and(|status| status.success()).then_some(())
        });
    }

    /// Waits until PgBouncer takes connections.
    pub fn pooler_answers(&self) {
        let socket = self.dir.path().join("pgbouncer/.s.PGSQL.6432");
        wait_until("PgBouncer", 60, || UnixStream::connect(&socket).ok());
    }

    /// Keeps it for as long as this process lives, for tests that have nobody to hold
    /// it: whoever ends the servers then waits for this process's end.
    #[must_use]
    pub fn until_the_end(self) -> &'static Self {
        let servers = [&self.pooler, &self.postgres].into_iter().flatten();
        let servers: Vec<String> = servers.map(|server| server.id().to_string()).collect();
        let waits = Command::new("sh")
            .args(["-c", "cat; kill -QUIT $0; sleep 1; rm -rf \"$1\""])
            .arg(servers.join(" "))
            .arg(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Closed with this process, however it ends.
        std::mem::forget(waits);
        Box::leak(Box::new(self))
    }

    /// Where services open their databases.
    #[must_use]
    pub fn home(&self) -> Home {
        Home::of(self.dir.path(), self.database.as_ref()).unwrap()
    }

    /// What the configuration says of it.
    #[must_use]
    pub fn database(&self) -> Option<Database> {
        self.database.clone()
    }

    /// Files with the addresses of a database of this server: the application's, by way of
    /// the PgBouncer where there is one, and its owner's.
    #[must_use]
    pub fn addresses_of(&self, database: &str) -> [PathBuf; 2] {
        let to = match self.pooler {
            Some(_) => ("pgbouncer", 6432),
            None => ("postgres", 5432),
        };
        let of = [
            ("app", "hilum", to),
            ("owner", "hilum_owner", ("postgres", 5432)),
        ];
        of.map(|(file, role, (folder, port))| {
            let host = self.dir.path().join(folder).display().to_string();
            let host = host.replace('/', "%2F");
            let address = format!("postgres://{role}@{host}:{port}/{database}");
            self.names(&format!("{database}-{file}.url"), &address)
        })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What the superuser's statement gives, as text.
    pub fn sql(&self, text: &str, database: &str) -> String {
        self.said_by("postgres", text, database)
    }

    /// The same of the hot standby.
    pub fn sql_of_replica(&self, text: &str) -> String {
        self.said_by("replica", text, "hilum")
    }

    fn said_by(&self, folder: &str, text: &str, database: &str) -> String {
        // Each its own transaction: a database is made in none.
        let mut psql = Command::new(binary("psql"));
        psql.args([
            "-X", "-q", "-A", "-t", "-U", "postgres", "-d", database, "-h",
        ]);
        psql.arg(self.dir.path().join(folder));
        for one in text.split(';').filter(|one| !one.trim().is_empty()) {
            psql.args(["-c", one]);
        }
        let done = psql.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn folder(&self, name: &str) -> PathBuf {
        // Whoever the servers run as reaches their folders, and others only those.
        let open = fs::Permissions::from_mode(0o711);
        fs::set_permissions(self.dir.path(), open).unwrap();
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        if is_root() {
            chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        dir
    }

    fn address(&self, name: &str, role: &str, socket: &Path, port: u16) -> PathBuf {
        let host = socket.display().to_string().replace('/', "%2F");
        self.names(name, &format!("postgres://{role}@{host}:{port}/hilum"))
    }

    /// The file with this address.
    fn names(&self, name: &str, address: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, format!("{address}\n")).unwrap();
        file
    }
}

/// A PostgreSQL on the data in a folder, which also holds its socket and its log.
fn postgres_in(dir: PathBuf) -> Server {
    let launch = move || {
        let mut server = as_nobody(&binary("postgres"));
        server
            .arg("-D")
            .arg(dir.join("data"))
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c"])
            .arg(format!("unix_socket_directories={}", dir.display()))
            .stdout(Stdio::null())
            .stderr(log_in(&dir));
        server
    };
    // At once: nobody needs what it holds.
    Server::start(launch, Signal::QUIT)
}

fn log_in(dir: &Path) -> fs::File {
    let mut log = fs::File::options();
    log.create(true).append(true).open(dir.join("log")).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A program of the newest PostgreSQL there is.
fn binary(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = versions.flatten().map(|one| one.path()).collect();
    versions.sort();
    let newest = versions.pop().expect("PostgreSQL is installed");
    newest.join("bin").join(name)
}
