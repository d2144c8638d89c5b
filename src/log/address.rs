//! Where the database is.

use sea_orm::sqlx::postgres::PgConnectOptions;

use crate::postgres;

/// Which database herald uses.
#[derive(Clone)]
pub(super) enum Address {
    /// The URL of a file.
    Sqlite(String),
    Postgres(Box<PgConnectOptions>),
}

impl Address {
    /// # Errors
    /// A sentence for the operator. It holds no part of `url`: even a malformed URL may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if postgres::is_postgres(url) {
            return Ok(Self::Postgres(Box::new(postgres::parse(url)?)));
        }
        if !url.starts_with("sqlite:") {
            let form = if url.contains('=') && !url.contains("://") {
                ". host=… dbname=… is not read"
            } else {
                ""
            };
            return Err(format!(
                "the database's URL cannot be read: expected sqlite://FILE?mode=rwc or \
                 postgres://USER:PASSWORD@HOST:PORT/NAME{form}"
            ));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err("an SQLite database in memory is not supported: name a file, \
                 such as sqlite://herald.db?mode=rwc"
                .into());
        }
        Ok(Self::Sqlite(url.into()))
    }
}
