//! Proves that a database holds what herald promises. It reads the whole log once, from the first event, and compares
//! every row with it. It changes nothing. Other heralds may go on writing, because one transaction sees one moment.
//!
//! [`ledger`] applies the events to a state of its own. [`events`] reads the log into it, [`rows`] compares the rows of
//! conversations, participants and starts with it, and [`unique`] checks what no event says.

mod events;
mod ledger;
mod rows;
mod unique;

use std::fmt;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, FromQueryResult, IsolationLevel,
    TransactionOptions,
};

use self::ledger::Ledger;
use super::address::Address;
use super::connection::TimeLimited;
use super::error::StorageFault;
use super::file::SqliteFile;
use super::sql::Sql;
use super::{DatabaseOptions, schema};

/// Rows that one statement reads. Of a message, everything except its text is read.
const PAGE_ROWS: i64 = 250;

/// How much a check has read and found sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Events. This is also the position of the head, unless the log was trimmed.
    pub events: i64,
    /// Messages.
    pub messages: i64,
    /// Conversations.
    pub conversations: i64,
    /// Rows of participants, one for each stay.
    pub stays: i64,
    /// Conversations that nobody owns, because a herald of an earlier version worked beside a later one.
    /// `herald migrate` gives them their owners.
    pub unowned: i64,
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, messages, conversations, stays, unowned: _ } = self;
        write!(f, "{events} events, {messages} messages, {conversations} conversations, {stays} stays")
    }
}

/// Reads the whole log as it stands when this begins, and compares every row with it.
///
/// # Errors
/// The first row that breaks a promise, or why a row cannot be read, for the operator.
pub async fn check(options: &DatabaseOptions) -> Result<Census, String> {
    let address = Address::parse(&options.url)?;
    if let Address::Sqlite(url) = &address {
        SqliteFile::find(url)?;
    }
    let connection = TimeLimited::for_checking(&address, options.patience).await?;
    // On another schema the check would report columns that it does not know, or that do not exist yet.
    if !schema::is_current(&connection).await? {
        return Err(
            "the schema is not that of this herald: run `herald migrate`, or use a newer herald".into()
        );
    }
    let is_postgres = connection.get_database_backend() == DbBackend::Postgres;
    let one_moment = TransactionOptions {
        isolation_level: is_postgres.then_some(IsolationLevel::RepeatableRead),
        access_mode: is_postgres.then_some(AccessMode::ReadOnly),
        ..Default::default()
    };
    let snapshot = connection.begin(one_moment).await.map_err(unreadable)?;
    if is_postgres {
        let without_limits =
            "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        snapshot.execute_unprepared(without_limits).await.map_err(unreadable)?;
    }
    let census = Check { db: snapshot.unhurried() }.run().await;
    snapshot.rollback().await.map_err(unreadable)?;
    connection.close().await.map_err(unreadable)?;
    census
}

fn unreadable(fault: impl Into<StorageFault>) -> String {
    match fault.into() {
        StorageFault::Inconsistent(row) => row.to_string(),
        fault => format!("cannot read the database: {fault}"),
    }
}

/// A check that reads from one snapshot of the database.
struct Check<'a> {
    db: &'a DatabaseTransaction,
}

impl Check<'_> {
    async fn run(&self) -> Result<Census, String> {
        if self.db.get_database_backend() == DbBackend::Sqlite {
            self.file().await?;
        }
        let mut census = Census::default();
        let mut ledger = Ledger::new(self.trimmed().await?);
        self.events(&mut ledger, &mut census).await?;
        self.head(&ledger, &census).await?;
        self.conversations(&mut ledger, &mut census).await?;
        self.participants(&mut ledger, &mut census).await?;
        ledger.all_was_stored()?;
        census.unowned = ledger.unowned()?;
        ledger.all_redactions_happened()?;
        self.redacted().await?;
        self.starts(&ledger).await?;
        self.distinct().await?;
        self.keys().await?;
        self.sessions().await?;
        self.sharing().await?;
        Ok(census)
    }

    /// Checks the pages of an SQLite file and their indexes. Postgres has its own tools for its files.
    async fn file(&self) -> Result<(), String> {
        #[derive(FromQueryResult)]
        struct Row {
            integrity_check: String,
        }
        let mut sql = Sql::default();
        sql.push("PRAGMA integrity_check(1)");
        let rows: Vec<Row> = sql.rows(self.db).await.map_err(unreadable)?;
        match rows.first() {
            Some(row) if row.integrity_check != "ok" => {
                Err(format!("the file is damaged: {}", row.integrity_check))
            }
            _ => Ok(()),
        }
    }
}
