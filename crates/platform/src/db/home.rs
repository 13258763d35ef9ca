//! Where the databases of the services are: in a folder, or on a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use uuid::Uuid;

use super::migrations::{AFTER, Owner, owners};
use super::postgres::Schema;
use super::{Db, DbError, Engine, Migration, Step};
use crate::config::{Database, is_here};
use crate::durable;
use crate::limits::PG_ACQUIRE;

/// The file in the data folder that names it among those who share a database.
const NODE: &str = "node";

/// Where the databases of the services are.
#[derive(Clone, Debug)]
pub enum Home {
    /// Each a file of SQLite in this folder.
    Folder(PathBuf),
    /// Each a schema of one database of PostgreSQL.
    Server(Box<Server>),
}

/// A database of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Server {
    application: PgConnectOptions,
    owner: Option<PgConnectOptions>,
    replica: Option<PgConnectOptions>,
    prefix: String,
    connections: u32,
    /// Which of the shards it is, where there are several.
    number: u32,
    /// The data folder, which names this process among those who share the database.
    data: PathBuf,
}

impl Home {
    /// Where the configuration has them: in `data`, unless it names a server.
    ///
    /// # Errors
    /// When the file of an address can't be read, or its address can't be used.
    pub fn of(data: &Path, database: Option<&Database>) -> Result<Self, DbError> {
        let Some(database) = database else {
            return Ok(Self::Folder(data.to_owned()));
        };
        let files = data.join("identity.sqlite");
        if files.exists() {
            return Err(DbError::Configuration(
                format!(
                    "{} is of an installation whose databases are files, and nothing moves them to \
                     PostgreSQL: name another data folder, or no [database]",
                    files.display()
                )
                .into(),
            ));
        }
        let owner = database.owner_url_file.as_deref().map(options);
        let replica = database.replica_url_file.as_deref().map(options);
        Ok(Self::Server(Box::new(Server {
            application: options(&database.url_file)?,
            owner: owner.transpose()?,
            replica: replica.transpose()?,
            prefix: database.schema_prefix.clone(),
            connections: database.connections,
            number: database.shard_number,
            data: data.to_owned(),
        })))
    }

    /// Opens the database of a service, and brings its tables up to date.
    ///
    /// # Errors
    /// When it can't be reached or a migration fails; then nothing of that migration
    /// is kept.
    pub async fn open(&self, service: &str, migrations: &[Migration]) -> Result<Db, DbError> {
        let server = match self {
            Self::Folder(folder) => {
                return Db::open(&folder.join(format!("{service}.sqlite")), migrations).await;
            }
            Self::Server(server) => server,
        };
        let schema = server.opened(service, &owners(migrations), &AFTER).await?;
        Ok(Db(Engine::Postgres(schema)))
    }

    /// The server, where databases are on one.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Folder(_) => None,
            Self::Server(server) => Some(server),
        }
    }

    /// Brings the tables of a service up to date, and nothing else: as a step of its
    /// own, while the version before may be serving. The steps that were taken.
    ///
    /// # Errors
    /// When they are files, nobody says who owns them, the server can't be reached or
    /// a migration fails; then nothing of the service's is changed.
    pub async fn migrate(
        &self,
        service: &str,
        migrations: &[Migration],
    ) -> Result<Vec<Step>, DbError> {
        let server = self.server().ok_or_else(|| {
            DbError::Configuration(
                "no [database] is configured: the tables are files, and `hilum serve` brings them \
                 up to date when it starts"
                    .into(),
            )
        })?;
        server.migrate(service, &owners(migrations), &AFTER).await
    }

    /// Asks whether the databases can be reached.
    ///
    /// # Errors
    /// When the server can't be reached, or lets us not in.
    pub async fn answers(&self) -> Result<(), DbError> {
        let Self::Server(server) = self else {
            return Ok(());
        };
        let connecting = PgConnection::connect_with(&server.application);
        let connection = tokio::time::timeout(PG_ACQUIRE, connecting)
            .await
            .map_err(|_| DbError::PoolTimedOut)??;
        connection.close().await
    }
}

impl Server {
    /// How the role of the application reaches it; at most [`Server::connections`]
    /// for each service.
    #[must_use]
    pub fn application(&self) -> &PgConnectOptions {
        &self.application
    }

    /// Connections that a service holds at most.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections
    }

    /// Opens the tables of a service that asks them on connections of its own, brought
    /// up to date where somebody says who owns them; the name of their schema. `after`:
    /// statements behind the steps of each owner, which hold the tables to their
    /// tenants.
    ///
    /// # Errors
    /// When it can't be reached or a migration fails; then nothing of them is kept.
    pub async fn prepare(
        &self,
        service: &str,
        owners: &[(&'static str, &[Migration])],
        after: &[&'static str],
    ) -> Result<String, DbError> {
        let schema = self.opened(service, owners, after).await?;
        schema.close().await;
        Ok(schema.name.to_string())
    }

    /// Brings the tables of such a service up to date, and nothing else; the steps that
    /// were taken.
    ///
    /// # Errors
    /// When nobody says who owns them, and as [`Server::prepare`].
    pub async fn migrate(
        &self,
        service: &str,
        owners: &[(&'static str, &[Migration])],
        after: &[&'static str],
    ) -> Result<Vec<Step>, DbError> {
        let owner = self.owner.as_ref().ok_or_else(|| {
            DbError::Configuration(
                "name database.owner_url_file, the address of the role that owns the tables".into(),
            )
        })?;
        let role = self.application.get_username();
        // It holds nothing, and may have no folder.
        let schema = self.schema(service, String::new());
        let ours = (role, self.number);
        schema.migrate(owner, ours, owners, after).await
    }

    async fn opened(
        &self,
        service: &str,
        owners: &[Owner<'_>],
        after: &[&'static str],
    ) -> Result<Schema, DbError> {
        if self.owner.is_some() {
            self.migrate(service, owners, after).await?;
        }
        let schema = self.schema(service, node(&self.data)?);
        schema.check(owners, self.number).await?;
        Ok(schema)
    }

    /// The schema of a service, not reached yet.
    fn schema(&self, service: &str, node: String) -> Schema {
        let name = format!("{}{service}", self.prefix);
        let options = self.application.clone();
        let replica = self.replica.clone();
        Schema::new(options, &name, self.connections, node.into(), replica)
    }
}

impl From<&Path> for Home {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&Home> for Home {
    fn from(home: &Home) -> Self {
        home.clone()
    }
}

/// By what a process that begins on this folder knows what it held before it
/// ended: others share the database.
fn node(data: &Path) -> Result<String, DbError> {
    let file = data.join(NODE);
    match std::fs::read_to_string(&file) {
        Ok(node) => return Ok(node),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let node = Uuid::new_v4().to_string();
    std::fs::create_dir_all(data)?;
    durable::replace(&file, node.as_bytes())?;
    Ok(node)
}

/// The address in a file.
pub(super) fn options(file: &Path) -> Result<PgConnectOptions, DbError> {
    let unusable = |what: String| DbError::Configuration(what.into());
    let shown = file.display();
    let url = std::fs::read_to_string(file)
        .map_err(|error| unusable(format!("can't read {shown}: {error}")))?;
    // Not told in the parser's words: an address holds a password.
    let options = PgConnectOptions::from_str(url.trim()).map_err(|_| {
        unusable(format!(
            "{shown} holds no address of PostgreSQL: postgres://…"
        ))
    })?;
    let is_here = options.get_socket().is_some() || is_here(options.get_host());
    if !is_here && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Err(unusable(format!(
            "{shown} names a server elsewhere: its address needs sslmode=verify-full"
        )));
    }
    Ok(options
        .application_name("hilum")
        // Poolers refuse what they can't carry to the next connection.
        .extra_float_digits(None)
        .statement_cache_capacity(0))
}
