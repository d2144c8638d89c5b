//! Reads the database directly, with statements of its own.

use sea_orm::prelude::Uuid;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbErr, QueryResult, Statement};
use serde_json::Value;

use super::{Event, Kind, Log, Message, Part, Renaming};

/// Reads everything from the database at `url`.
pub(crate) async fn read(url: &str) -> Result<Log, String> {
    let failed = |error: DbErr| format!("cannot read the database: {error}");
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let database = Database::connect(options).await.map_err(failed)?;
    let log = read_all(&database).await.map_err(failed);
    database.close().await.map_err(failed)?;
    log
}

/// Reads everything on a connection, or in a transaction.
pub(crate) async fn read_all(database: &impl ConnectionTrait) -> Result<Log, DbErr> {
    let mut log = Log::default();
    for row in rows(database, "SELECT position FROM log_head").await? {
        log.head = row.try_get("", "position")?;
    }
    for row in rows(database, "SELECT * FROM events ORDER BY position").await? {
        log.events.push(event(&row)?);
    }
    for row in rows(database, "SELECT * FROM messages ORDER BY position").await? {
        log.messages.push(message(&row)?);
    }
    for row in rows(database, "SELECT * FROM participants ORDER BY joined_position").await? {
        log.parts.push(part(&row)?);
    }
    for row in rows(database, "SELECT id, title FROM conversations").await? {
        log.titles.insert(id(&row, "cnv", "id")?, row.try_get("", "title")?);
    }
    Ok(log)
}

async fn rows(database: &impl ConnectionTrait, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    database.query_all_raw(Statement::from_string(database.get_database_backend(), sql)).await
}

fn event(row: &QueryResult) -> Result<Event, DbErr> {
    let number: i64 = row.try_get("", "kind")?;
    let kind =
        Kind::numbered(number).ok_or_else(|| DbErr::Custom(format!("an event has the kind {number}")))?;
    let data: Option<String> = row.try_get("", "data")?;
    let users: Option<Vec<u8>> = row.try_get("", "users")?;
    Ok(Event {
        position: row.try_get("", "position")?,
        kind,
        conversation: id(row, "cnv", "conversation_id")?,
        actor: id(row, "usr", "actor_id")?,
        connection: row.try_get("", "origin_connection")?,
        users: users.map(|users| {
            let ids = users.chunks_exact(16).filter_map(|bytes| Uuid::from_slice(bytes).ok());
            ids.map(|id| text("usr", id)).collect()
        }),
        from: row.try_get("", "from_position")?,
        through: row.try_get("", "through_position")?,
        is_private: Kind::is_private(number),
        renaming: data
            .as_ref()
            .filter(|_| matches!(kind, Kind::Renamed | Kind::Updated))
            .map(|data| renaming(data, kind))
            .transpose()?,
        reason: data.filter(|_| kind == Kind::Undeliverable).map(|data| reason(&data)).transpose()?,
        at: row.try_get("", "at_micros")?,
    })
}

/// Reads the data of an event that gives a title. (Nobody changes metadata here.)
fn renaming(data: &str, kind: Kind) -> Result<Renaming, DbErr> {
    let wrong = || DbErr::Custom(format!("an event that renames has the data {data}"));
    let titles: Value = serde_json::from_str(data).map_err(|_| wrong())?;
    let title = |name: &str| match titles.get(name) {
        Some(Value::Null) => Ok(None),
        Some(Value::String(title)) => Ok(Some(title.clone())),
        _ => Err(wrong()),
    };
    Ok(Renaming {
        title: title("title")?,
        former: title(if kind == Kind::Updated { "former_title" } else { "former" })?,
    })
}

/// Reads the data of an event that says that a message was undeliverable.
fn reason(data: &str) -> Result<String, DbErr> {
    let read = serde_json::from_str::<Value>(data).ok();
    let reason = read.as_ref().and_then(|data| data["reason"].as_str());
    reason
        .map(str::to_owned)
        .ok_or_else(|| DbErr::Custom(format!("an undeliverable message has the data {data}")))
}

fn message(row: &QueryResult) -> Result<Message, DbErr> {
    Ok(Message {
        position: row.try_get("", "position")?,
        id: id(row, "msg", "id")?,
        conversation: id(row, "cnv", "conversation_id")?,
        sender: id(row, "usr", "sender_id")?,
        body: row.try_get("", "body")?,
        key: row.try_get("", "idempotency_key")?,
        sent_at: row.try_get("", "sent_at_micros")?,
        redacted_at: row.try_get("", "redacted_at_micros")?,
    })
}

fn part(row: &QueryResult) -> Result<Part, DbErr> {
    Ok(Part {
        conversation: id(row, "cnv", "conversation_id")?,
        user: id(row, "usr", "user_id")?,
        joined: row.try_get("", "joined_position")?,
        left: row.try_get("", "left_position")?,
        delivered: row.try_get("", "delivered_through")?,
        read: row.try_get("", "read_through")?,
        owner_since: row.try_get("", "owner_since")?,
    })
}

/// The id in a column, as clients know it.
fn id(row: &QueryResult, prefix: &str, column: &str) -> Result<String, DbErr> {
    Ok(text(prefix, row.try_get("", column)?))
}

fn text(prefix: &str, id: Uuid) -> String {
    format!("{prefix}_{}", id.simple())
}
