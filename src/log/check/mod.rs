//! Proving that a database holds what herald promises: the whole log is read once, from its beginning, and every row is
//! held against it. Here live the statements that read all of it; what the events come to is in [`ledger`]. Nothing is
//! changed, and a herald may go on writing meanwhile: one transaction sees one moment.

mod ledger;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult,
    IsolationLevel, TransactionOptions,
};
use uuid::Uuid;

use self::ledger::{Ledger, Named};
use super::connection::{Address, TimeLimited};
use super::convert;
use super::entities::{conversation, event, log_head, message, participant, start};
use super::error::StorageFault;
use super::file::SqliteFile;
use super::sql::Sql;
use super::{DatabaseOptions, schema};
use crate::messaging::{ConversationId, Message, Sent, UserId};

/// Rows that are read at once. Of a message all but its text is read.
const PAGE_ROWS: i64 = 250;

/// How much was found sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Events, which is also the position of the head.
    pub events: i64,
    /// Messages.
    pub messages: i64,
    /// Conversations.
    pub conversations: i64,
    /// Rows of participants: one for each stay.
    pub stays: i64,
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, messages, conversations, stays } = self;
        write!(f, "{events} events, {messages} messages, {conversations} conversations, {stays} stays")
    }
}

/// Reads the whole log, as it stands when this begins, and every row that says what it comes to.
///
/// # Errors
/// In words for the operator: the first row that breaks what always holds, or why it cannot be read.
pub async fn check(options: &DatabaseOptions) -> Result<Census, String> {
    let address = Address::parse(&options.url)?;
    if let Address::Sqlite(url) = &address {
        SqliteFile::find(url)?;
    }
    let connection = TimeLimited::for_checking(&address, options.patience).await?;
    // On a newer schema it would find fault with what it does not know, on an older one with what is yet to be made.
    if !schema::is_current(&connection).await? {
        return Err("the schema is not that of this herald: run `herald migrate`, or a newer herald".into());
    }
    let is_postgres = connection.get_database_backend() == DbBackend::Postgres;
    let one_moment = TransactionOptions {
        isolation_level: is_postgres.then_some(IsolationLevel::RepeatableRead),
        access_mode: is_postgres.then_some(AccessMode::ReadOnly),
        ..Default::default()
    };
    let snapshot = connection.begin(one_moment).await.map_err(unreadable)?;
    if is_postgres {
        let unhurried = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        snapshot.execute_unprepared(unhurried).await.map_err(unreadable)?;
    }
    let found = Check { db: snapshot.unhurried() }.run().await;
    snapshot.rollback().await.map_err(unreadable)?;
    connection.close().await.map_err(unreadable)?;
    found
}

fn unreadable(fault: impl Into<StorageFault>) -> String {
    match fault.into() {
        StorageFault::Inconsistent(row) => row.to_string(),
        fault => format!("cannot read the database: {fault}"),
    }
}

struct Check<'a> {
    db: &'a DatabaseTransaction,
}

#[derive(FromQueryResult)]
struct EventRow {
    #[sea_orm(nested)]
    event: event::Model,
    named_conversation: Option<Uuid>,
    named_sender: Option<Uuid>,
}

#[derive(FromQueryResult)]
struct ParticipantRow {
    #[sea_orm(nested)]
    participant: participant::Model,
    known_user: Option<Uuid>,
}

#[derive(FromQueryResult)]
struct Found {
    number: i64,
}

impl Check<'_> {
    async fn run(&self) -> Result<Census, String> {
        if self.db.get_database_backend() == DbBackend::Sqlite {
            self.file().await?;
        }
        let mut census = Census::default();
        let mut ledger = Ledger::new();
        self.events(&mut ledger, &mut census).await?;
        self.head(&ledger, &census).await?;
        self.conversations(&mut ledger, &mut census).await?;
        self.participants(&mut ledger, &mut census).await?;
        ledger.all_was_stored()?;
        self.starts(&ledger).await?;
        self.distinct().await?;
        self.keys().await?;
        self.sessions().await?;
        Ok(census)
    }

    /// The pages of an SQLite file and their indexes. Postgres has tools of its own for its files.
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

    /// All events, in order, and beside them their messages.
    async fn events(&self, ledger: &mut Ledger, census: &mut Census) -> Result<(), String> {
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT e.*, m.conversation_id AS named_conversation, m.sender_id AS named_sender");
            sql.push(" FROM events e LEFT JOIN messages m ON m.position = e.through_position");
            sql.push(" WHERE e.position > ").bind(ledger.position.0);
            sql.push(" ORDER BY e.position LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<EventRow> = sql.rows(self.db).await.map_err(unreadable)?;
            let is_last = rows.is_empty();
            let through = rows.last().map_or(i64::MAX, |row| row.event.position);
            let mut messages = self.messages(ledger.position.0, through).await?;
            for row in rows {
                let is_sent = Sent::is_stored_as(row.event.kind);
                event(row, &mut messages, ledger)?;
                census.events += 1;
                census.messages += i64::from(is_sent);
            }
            if let Some(stray) = messages.keys().min() {
                return Err(format!("message at {stray}: no event sent it"));
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The messages in `after < position <= through`, without their texts.
    async fn messages(&self, after: i64, through: i64) -> Result<HashMap<i64, Arc<Message>>, String> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT position, id, conversation_id, sender_id, '' AS body, idempotency_key, sent_at_micros",
        );
        sql.push(" FROM messages WHERE position > ").bind(after).push(" AND position <= ").bind(through);
        // Without gaps there are not more.
        sql.push(" ORDER BY position LIMIT ").bind(PAGE_ROWS);
        let rows: Vec<message::Model> = sql.rows(self.db).await.map_err(unreadable)?;
        Ok(rows.into_iter().map(|row| (row.position, Arc::new(convert::message(row)))).collect())
    }

    async fn head(&self, ledger: &Ledger, census: &Census) -> Result<(), String> {
        let head = log_head::Entity::find_by_id(1).one(self.db).await.map_err(unreadable)?;
        let Some(head) = head else { return Err("log_head: its row is missing".into()) };
        let newest = (ledger.position.0, ledger.chain.0);
        if (head.position, head.chain) != newest {
            return Err(format!(
                "log_head: position {} and chain {}, where the newest event has {} and {}",
                head.position, head.chain, newest.0, newest.1
            ));
        }
        if census.events > 0 && head.at_micros != ledger.at.0 {
            return Err(format!(
                "log_head: at_micros is {}, and that of the newest event {}",
                head.at_micros, ledger.at.0
            ));
        }
        Ok(())
    }

    async fn conversations(&self, ledger: &mut Ledger, census: &mut Census) -> Result<(), String> {
        let mut last: Option<Uuid> = None;
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT * FROM conversations");
            if let Some(id) = last {
                sql.push(" WHERE id > ").bind(id);
            }
            sql.push(" ORDER BY id LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<conversation::Model> = sql.rows(self.db).await.map_err(unreadable)?;
            let Some(row) = rows.last() else { return Ok(()) };
            last = Some(row.id);
            for row in rows {
                let row = convert::conversation(row).map_err(unreadable)?;
                ledger
                    .compare_conversation(&row)
                    .map_err(|reason| format!("conversation {}: {reason}", row.id.0))?;
                census.conversations += 1;
            }
        }
    }

    async fn participants(&self, ledger: &mut Ledger, census: &mut Census) -> Result<(), String> {
        let mut last: Option<(Uuid, Uuid, i64)> = None;
        loop {
            let mut sql = Sql::default();
            sql.push(
                "SELECT p.*, u.id AS known_user FROM participants p LEFT JOIN users u ON u.id = p.user_id",
            );
            if let Some((conversation, user, joined)) = last {
                sql.push(" WHERE (p.conversation_id, p.user_id, p.joined_position) > (");
                sql.bind(conversation).push(", ").bind(user).push(", ").bind(joined).push(")");
            }
            sql.push(" ORDER BY p.conversation_id, p.user_id, p.joined_position LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<ParticipantRow> = sql.rows(self.db).await.map_err(unreadable)?;
            let Some(ParticipantRow { participant: row, .. }) = rows.last() else { return Ok(()) };
            last = Some((row.conversation_id, row.user_id, row.joined_position));
            for ParticipantRow { participant: row, known_user } in rows {
                let compared = match known_user {
                    Some(_) => ledger.compare_participation(&convert::participation(&row)),
                    None => Err("there is no such user".into()),
                };
                compared.map_err(|reason| {
                    let (conversation, user, joined) =
                        (row.conversation_id, row.user_id, row.joined_position);
                    format!("participant {user} of conversation {conversation}, joined at {joined}: {reason}")
                })?;
                census.stays += 1;
            }
        }
    }

    /// What was started, or found, under a key.
    async fn starts(&self, ledger: &Ledger) -> Result<(), String> {
        let mut last: Option<(Uuid, String)> = None;
        loop {
            let mut sql = Sql::default();
            sql.push("SELECT * FROM starts");
            if let Some((actor, key)) = last {
                sql.push(" WHERE (actor_id, idempotency_key) > (").bind(actor).push(", ").bind(key).push(")");
            }
            sql.push(" ORDER BY actor_id, idempotency_key LIMIT ").bind(PAGE_ROWS);
            let rows: Vec<start::Model> = sql.rows(self.db).await.map_err(unreadable)?;
            let Some(row) = rows.last() else { return Ok(()) };
            last = Some((row.actor_id, row.idempotency_key.clone()));
            for row in rows {
                if !ledger.took_part(UserId(row.actor_id), ConversationId(row.conversation_id)) {
                    let (actor, key, conversation) = (row.actor_id, row.idempotency_key, row.conversation_id);
                    return Err(format!(
                        "start of user {actor} with key {key:?}: they never took part in conversation {conversation}"
                    ));
                }
            }
        }
    }

    /// No two conversations are the one of just the same people.
    async fn distinct(&self) -> Result<(), String> {
        let twice = "SELECT MAX(latest_position) AS number FROM conversations WHERE people IS NOT NULL \
             GROUP BY people HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1";
        self.none(twice, "conversation with the latest_position", "another one has the same people").await
    }

    /// Each key stands for one message of its sender.
    async fn keys(&self) -> Result<(), String> {
        let twice = "SELECT MAX(position) AS number FROM messages WHERE idempotency_key IS NOT NULL \
             GROUP BY sender_id, idempotency_key HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1";
        self.none(twice, "message at", "its sender used its idempotency key before").await
    }

    async fn sessions(&self) -> Result<(), String> {
        let uncounted = "SELECT e.number FROM session_ends e CROSS JOIN log_head h \
             WHERE e.number > h.sessions_ended OR e.number < 1 ORDER BY e.number LIMIT 1";
        self.none(uncounted, "session end", "log_head.sessions_ended does not count it").await?;
        let alive = "SELECT e.number FROM session_ends e JOIN sessions s ON s.id = e.session_id ORDER BY e.number LIMIT 1";
        self.none(alive, "session end", "its session is still stored").await?;
        let nobodys = "SELECT COUNT(*) AS number FROM sessions s LEFT JOIN users u ON u.id = s.user_id \
             WHERE u.id IS NULL HAVING COUNT(*) > 0";
        self.none(nobodys, "sessions:", "so many belong to no user").await
    }

    /// Makes sure that this statement finds nothing.
    async fn none(&self, statement: &str, row: &str, reason: &str) -> Result<(), String> {
        let mut sql = Sql::default();
        sql.push(statement);
        let found: Vec<Found> = sql.rows(self.db).await.map_err(unreadable)?;
        match found.first() {
            Some(Found { number }) => Err(format!("{row} {number}: {reason}")),
            None => Ok(()),
        }
    }
}

/// Adds an event to the ledger, and takes its message out of `messages`.
fn event(
    row: EventRow,
    messages: &mut HashMap<i64, Arc<Message>>,
    ledger: &mut Ledger,
) -> Result<(), String> {
    let EventRow { event: row, named_conversation, named_sender } = row;
    let position = row.position;
    let wrong = |reason| format!("event {position}: {reason}");
    let named = named_conversation.zip(named_sender).map(|(conversation, sender)| Named {
        conversation: ConversationId(conversation),
        sender: UserId(sender),
    });
    let is_sent = Sent::is_stored_as(row.kind);
    let event = convert::event(row, messages).map_err(unreadable)?;
    if is_sent {
        messages.remove(&position);
    }
    ledger.add(&event, named).map_err(wrong)
}
