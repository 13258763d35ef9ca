//! Where a test's services keep their rows: a folder, or a private PostgreSQL with
//! or without a PgBouncer before it. `HILUM_TEST_DATABASE=postgres` has every test
//! that asks for no engine use PostgreSQL.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hilum_platform::config::Database;
use hilum_platform::db::Home;

use crate::wait_until;

/// `nobody`: neither server starts as root.
const NOBODY: u32 = 65_534;

/// A folder, and the servers that a test started in it. They end with it.
pub struct Place {
    servers: Vec<Child>,
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
            servers: Vec::new(),
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
        let server = as_nobody(&binary("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c"])
            .arg(format!("unix_socket_directories={}", dir.display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        place.servers.push(server);
        wait_until("PostgreSQL", 30, || {
            let asked = Command::new(binary("pg_isready"))
                .arg("-qh")
                .arg(&dir)
                .status();
            asked.is_ok_and(|status| status.success()).then_some(())
        });
        place.sql(
            "CREATE ROLE hilum_owner LOGIN; CREATE ROLE hilum LOGIN;
             CREATE DATABASE hilum OWNER hilum_owner",
            "postgres",
        );
        place.database = Some(Database {
            url_file: place.address("app.url", "hilum", &dir, 5432),
            owner_url_file: Some(place.address("owner.url", "hilum_owner", &dir, 5432)),
            schema_prefix: "hilum_".to_owned(),
            connections: 4,
        });
        place
    }

    /// The same, behind a PgBouncer that gives each transaction another connection: of
    /// enough for an archive, which asks for a key while it reads.
    #[must_use]
    pub fn pooled() -> Self {
        let mut place = Self::postgres();
        let dir = place.folder("pgbouncer");
        fs::write(dir.join("users"), "\"hilum\" \"\"\n").unwrap();
        let server = place.dir.path().join("postgres");
        let text = format!(
            "[databases]\nhilum = host={} port=5432\n[pgbouncer]\nlisten_addr =\n\
             listen_port = 6432\nunix_socket_dir = {}\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = 12\nserver_round_robin = 1\n",
            server.display(),
            dir.display(),
            dir.join("users").display()
        );
        let file = dir.join("ini");
        fs::write(&file, text).unwrap();
        let pooler = as_nobody(Path::new("/usr/sbin/pgbouncer"))
            .arg("-q")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .expect("pgbouncer is installed");
        place.servers.push(pooler);
        let socket = dir.join(".s.PGSQL.6432");
        wait_until("PgBouncer", 30, || socket.exists().then_some(()));
        let url_file = place.address("pooled.url", "hilum", &dir, 6432);
        if let Some(database) = &mut place.database {
            database.url_file = url_file;
        }
        place
    }

    /// Keeps it for as long as this process lives, for tests that have nobody to hold
    /// it: whoever ends the servers then waits for this process's end.
    #[must_use]
    pub fn until_the_end(mut self) -> &'static Self {
        let servers: Vec<String> = self
            .servers
            .iter()
            .rev()
            .map(|server| server.id().to_string())
            .collect();
        let mut waits = Command::new("sh")
            .args(["-c", "cat; kill -QUIT $0; sleep 1; rm -rf \"$1\""])
            .arg(servers.join(" "))
            .arg(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Closed with this process, however it ends.
        std::mem::forget(waits.stdin.take());
        self.servers.push(waits);
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

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What the superuser's statement gives, as text.
    pub fn sql(&self, text: &str, database: &str) -> String {
        // Each its own transaction: a database is made in none.
        let mut psql = Command::new(binary("psql"));
        psql.args([
            "-X", "-q", "-A", "-t", "-U", "postgres", "-d", database, "-h",
        ]);
        psql.arg(self.dir.path().join("postgres"));
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
        let file = self.dir.path().join(name);
        fs::write(&file, format!("postgres://{role}@{host}:{port}/hilum\n")).unwrap();
        file
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for server in self.servers.iter_mut().rev() {
            if let Some(process) = i32::try_from(server.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                // At once: nobody needs what it holds.
                let _gone = rustix::process::kill_process(process, rustix::process::Signal::QUIT);
            }
            let _gone = server.wait();
        }
    }
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
