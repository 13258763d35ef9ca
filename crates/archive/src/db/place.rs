//! Where the index and the keys are: files of SQLite in the archive's folder, or
//! schemas of PostgreSQL.

use std::path::{Path, PathBuf};

use hilum_platform::db::{DbError, Migration, Server};

use super::postgres::{Schema, Session};
use super::{Connection, Held, Lease, Whose, sqlite};
use crate::archive::Elsewhere;
use crate::error::{ArchiveError, Result};

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A file of SQLite.
    File(PathBuf),
    /// A schema of PostgreSQL.
    Schema(Schema),
}

/// The tables of a database.
pub(crate) struct Tables<'t> {
    /// What its schema is called, behind the configured beginning.
    pub service: &'t str,
    /// The steps of each owner of tables of PostgreSQL.
    pub owners: &'t [(&'static str, &'t [Migration])],
    /// What holds them to their tenants.
    pub held: &'t [&'static str],
}

/// Where those of an archive are, and that they are this process's.
pub(crate) struct Places {
    pub index: Place,
    pub keys: Place,
    /// Connections for reading at most.
    pub readers: usize,
    /// Kept as long as the archive is open.
    pub lease: Option<Lease>,
}

impl Places {
    /// Those of the archive in `dir`. On PostgreSQL the tables are brought up to date,
    /// and the archive is taken for this process. `keeps_objects`: they are files in
    /// `dir`.
    ///
    /// # Errors
    /// [`ArchiveError::InUse`] when another process has it.
    pub(crate) fn of(
        dir: &Path,
        server: Option<&Server>,
        [index, keys]: [&Tables<'_>; 2],
        keeps_objects: bool,
    ) -> Result<Self> {
        let (index_file, keys_file) = (dir.join("archive.sqlite"), dir.join("keys.sqlite"));
        let Some(server) = server else {
            return Ok(Self {
                index: Place::File(index_file),
                keys: Place::File(keys_file),
                readers: usize::MAX,
                lease: None,
            });
        };
        if index_file.exists() || keys_file.exists() {
            return Err(ArchiveError::Invalid(
                "this folder's index and keys are files, and nothing moves them to PostgreSQL: \
                 name another data folder, or no [database]",
            ));
        }
        let index = prepared(server, index)?;
        let keys = prepared(server, keys)?;
        let lease = Lease::take(&index, dir, keeps_objects)?;
        let keys = keys.owned_with(&index, lease.token());
        // Behind whatever the process before changes of the keys: it begins nothing more.
        on(&keys).begin(Whose::Every)?.commit()?;
        Ok(Self {
            index: Place::Schema(index.owned_by(lease.token())),
            keys: Place::Schema(keys),
            readers: usize::try_from(server.connections()).unwrap_or(usize::MAX),
            lease: Some(lease),
        })
    }
}

/// What a process of another folder than `dir` does with the archive.
pub(crate) fn elsewhere(server: &Server, index: &Tables<'_>, dir: &Path) -> Result<Elsewhere> {
    Lease::elsewhere(&prepared(server, index)?, dir)
}

impl Place {
    /// The one connection that writes; a file is made when there is none, with its
    /// tables up to date.
    pub(crate) fn writer(&self, migrations: &[&str]) -> Result<Connection> {
        match self {
            Self::File(path) => {
                let mut db = sqlite::open_writer(path)?;
                sqlite::migrate(&mut db, migrations)?;
                Ok(Connection::of_sqlite(db))
            }
            Self::Schema(schema) => Ok(on(schema)),
        }
    }

    /// One of many that read.
    pub(crate) fn reader(&self) -> Result<Connection> {
        match self {
            Self::File(path) => Ok(Connection::of_sqlite(sqlite::open_reader(path)?)),
            Self::Schema(schema) => Ok(on(schema)),
        }
    }

    /// Whether it is a file, which is copied and rewritten as such.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// A connection that is made when somebody asks.
pub(super) fn on(schema: &Schema) -> Connection {
    Connection(Held::Postgres(Box::new(Session::new(schema.clone()))))
}

fn prepared(server: &Server, tables: &Tables<'_>) -> Result<Schema> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let prepared = runtime.block_on(server.prepare(tables.service, tables.owners, tables.held));
    runtime.shutdown_background();
    let name = prepared.map_err(|error| match error {
        // What the operator has to do, and nobody's data.
        DbError::Configuration(said) => ArchiveError::Index(said.to_string()),
        error => super::error::Error::Postgres(error).into(),
    })?;
    Ok(Schema::new(server.application().clone(), &name))
}
