//! The WAL of an SQLite file: how large it is, and that nothing of what was redacted stays in it. What never lives here:
//! how SQLite is set up, which is in `connection.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::address::Address;
use super::connection::TimeLimited;
use crate::messaging::{Change, Event};

/// The longest time that a checkpoint waits for those who read, since the writer waits meanwhile.
const PATIENCE: Duration = Duration::from_millis(100);

/// The first and the longest pause before a try. Redactions that come in the first one are done together.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));

/// The WAL of an SQLite file.
#[derive(Debug)]
pub(super) struct Wal {
    path: PathBuf,
    /// The URL of the database.
    url: String,
}

impl Wal {
    pub(super) fn new(path: PathBuf, url: String) -> Self {
        Self { path, url }
    }

    /// The path of its file, which exists while somebody has the database open.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves everything from the WAL into the database, and empties the WAL. `false` when somebody reads from it or
    /// writes.
    async fn empty(&self) -> Result<bool, String> {
        let connection = TimeLimited::for_migration(&Address::Sqlite(self.url.clone()), PATIENCE).await?;
        let emptied = checkpoint(&connection).await;
        connection.close().await.map_err(|error| error.to_string())?;
        emptied.map_err(|error| error.to_string())
    }
}

/// Moves everything from the WAL into the database by this connection, and empties the WAL. `false` when somebody else reads
/// from it or writes for longer than the connection waits.
pub(super) async fn checkpoint(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
    let row = connection.query_one_raw(statement).await?;
    row.map_or(Ok(false), |row| Ok(row.try_get::<i64>("", "busy")? == 0))
}

/// Empties the WAL soon after each redaction, beside the writer.
pub(super) struct Emptying {
    asked: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Emptying {
    /// Starts its task.
    pub(super) fn start(wal: Arc<Wal>) -> Self {
        let (asked, asks) = mpsc::channel(1);
        Self { asked, task: tokio::spawn(keep_empty(wal, asks)) }
    }

    /// Has the WAL emptied if one of these events, which were committed, is a redaction. It does not wait.
    pub(super) fn after<'e>(&self, mut events: impl Iterator<Item = &'e Event>) {
        if events.any(|event| matches!(event.change, Change::Redacted(_))) {
            // If the channel is full, it was asked for already and is still to come.
            let _ = self.asked.try_send(());
        }
    }

    /// Waits until the task has ended. Whoever closes the database last empties the WAL.
    pub(super) async fn end(self) {
        drop(self.asked);
        let _ = self.task.await;
    }
}

async fn keep_empty(wal: Arc<Wal>, mut asks: mpsc::Receiver<()>) {
    while asks.recv().await.is_some() {
        let mut pause = PAUSE.0;
        while rest(pause, &mut asks).await {
            match wal.empty().await {
                Ok(true) => break,
                Ok(false) => tracing::debug!("the WAL is in use: it is emptied later"),
                Err(error) => tracing::warn!(%error, "what was redacted stays in the WAL for now"),
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// Waits so long. Returns false when nobody can ask any more.
async fn rest(pause: Duration, asks: &mut mpsc::Receiver<()>) -> bool {
    let end = Instant::now() + pause;
    loop {
        tokio::select! {
            () = sleep_until(end) => return true,
            asked = asks.recv() => if asked.is_none() { return false },
        }
    }
}
