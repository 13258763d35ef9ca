//! Where the databases of the services are: in a folder, or on a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::migrations::{AFTER, Owner, owners};
use super::postgres::Schema;
use super::{Db, DbError, Engine, Migration};
use crate::config::Database;

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
    prefix: String,
    connections: u32,
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
        Ok(Self::Server(Box::new(Server {
            application: options(&database.url_file)?,
            owner: owner.transpose()?,
            prefix: database.schema_prefix.clone(),
            connections: database.connections,
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
        let schema = server.schema(service, &owners(migrations), &AFTER).await?;
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

    /// Brings the tables of a service up to date that asks them on connections of its
    /// own; the name of their schema. `after`: statements behind the steps of each
    /// owner, which hold the tables to their tenants.
    ///
    /// # Errors
    /// When it can't be reached or a migration fails; then nothing of them is kept.
    pub async fn prepare(
        &self,
        service: &str,
        owners: &[(&'static str, &[Migration])],
        after: &[&'static str],
    ) -> Result<String, DbError> {
        let schema = self.schema(service, owners, after).await?;
        schema.pool.close().await;
        Ok(schema.name.to_string())
    }

    async fn schema(
        &self,
        service: &str,
        owners: &[Owner<'_>],
        after: &[&'static str],
    ) -> Result<Schema, DbError> {
        let name = format!("{}{service}", self.prefix);
        let schema = Schema::new(self.application.clone(), &name, self.connections);
        if let Some(owner) = &self.owner {
            let role = self.application.get_username();
            schema.migrate(owner, role, owners, after).await?;
        }
        schema.check(owners).await?;
        Ok(schema)
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

/// The address in a file.
fn options(file: &Path) -> Result<PgConnectOptions, DbError> {
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
    let is_here = options.get_socket().is_some()
        || options.get_host() == "localhost"
        || options
            .get_host()
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
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
