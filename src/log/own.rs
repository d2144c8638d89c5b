//! What people keep for themselves of a conversation, and what they share there. Nobody else is told of their choice, so
//! it is not in the log: each row is written by itself. It stays while its user is away, and holds again when they come
//! back.

use std::collections::HashMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, Value};
use uuid::Uuid;

use super::batch::{Each, KEYS_PER_STATEMENT, ask};
use super::entities::user;
use super::error::{During, StorageFault};
use super::head::Locked;
use super::sharing::share_as_chosen;
use super::sql::Sql;
use super::users::count_change;
use super::{Database, Unavailable};
use crate::messaging::{ConversationId, Edit, Metadata, Sharing, Timestamp, UserId};

/// What a user keeps for themselves of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnParticipation {
    /// The time up to which they do not want to be disturbed; `None` if they may be.
    pub muted_until: Option<Timestamp>,
    /// Whatever their clients keep.
    pub metadata: Option<Metadata>,
    /// What they share with others there.
    pub sharing: Sharing,
}

/// What is to change of it. To set a choice of sharing to nothing leaves it at what the user shares everywhere.
#[derive(Debug, Clone)]
pub struct OwnChange {
    /// The time up to which they do not want to be disturbed.
    pub muted_until: Edit<Timestamp>,
    /// Whatever their clients keep.
    pub metadata: Edit<Metadata>,
    /// Whether others are told of what they receive there.
    pub share_delivered: Edit<bool>,
    /// Whether others are told of what they read there.
    pub share_read: Edit<bool>,
}

#[derive(FromQueryResult)]
struct OwnRow {
    user_id: Uuid,
    conversation_id: Uuid,
    muted_until: Option<i64>,
    metadata: Option<String>,
    share_delivered: bool,
    share_read: bool,
}

impl OwnRow {
    fn own(self) -> ((UserId, ConversationId), OwnParticipation) {
        let own = OwnParticipation {
            muted_until: self.muted_until.map(Timestamp),
            metadata: self.metadata.map(Metadata::trusted),
            sharing: Sharing { delivered: self.share_delivered, read: self.share_read },
        };
        ((UserId(self.user_id), ConversationId(self.conversation_id)), own)
    }
}

impl Database {
    /// Reads what each user keeps of the conversation of their key, and what they share there. A user who never changed
    /// it keeps nothing.
    pub async fn own_participations(&self, keys: &[(UserId, ConversationId)]) -> Each<OwnParticipation> {
        let write = |sql: &mut Sql, keys: &[(UserId, ConversationId)]| {
            sql.push(
                "SELECT u.id AS user_id, wanted.column2 AS conversation_id, o.muted_until, o.metadata, \
                 COALESCE(o.share_delivered, u.share_delivered) AS share_delivered, \
                 COALESCE(o.share_read, u.share_read) AS share_read FROM ",
            );
            sql.bind_pairs(keys.iter().map(|(user, conversation)| (user.0, conversation.0)));
            sql.push(
                " JOIN users u ON u.id = wanted.column1 LEFT JOIN own_participations o \
                 ON o.user_id = wanted.column1 AND o.conversation_id = wanted.column2",
            );
        };
        let operation = "read what users keep of conversations";
        let sort = |keys: &[(UserId, ConversationId)], rows: Vec<OwnRow>| {
            let found: HashMap<_, _> = rows.into_iter().map(OwnRow::own).collect();
            keys.iter().map(|key| found.get(key).cloned().unwrap_or_default()).collect()
        };
        ask(operation, &self.reader, keys, KEYS_PER_STATEMENT, write, sort).await
    }

    /// Changes what a user keeps of a conversation, and what they share there. `false` if they take no part in it; then
    /// nothing changes.
    pub async fn change_own_participation(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: &OwnChange,
    ) -> Result<bool, Unavailable> {
        let operation = "change what a user keeps";
        if change.share_delivered == Edit::Keep && change.share_read == Edit::Keep {
            return write(&self.writer, user, conversation, change).await.during(operation);
        }
        self.change_sharing(user, conversation, change).await.during(operation)
    }

    /// Changes it while nobody marks, and counts it as a change of the user. So every node heeds it from here on.
    async fn change_sharing(
        &self,
        user: UserId,
        conversation: ConversationId,
        change: &OwnChange,
    ) -> Result<bool, StorageFault> {
        let Locked { transaction, head, .. } = self.lock().await?;
        if !write(&transaction, user, conversation, change).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        share_as_chosen(&transaction, user, Some(conversation), head.position).await?;
        let number = count_change(&transaction).await?;
        let changed = user::ActiveModel { id: Set(user.0), changed: Set(Some(number)), ..Default::default() };
        user::Entity::update(changed).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

/// Writes the row. `false` if the user takes no part.
async fn write(
    db: &impl ConnectionTrait,
    user: UserId,
    conversation: ConversationId,
    change: &OwnChange,
) -> Result<bool, DbErr> {
    let OwnChange { muted_until, metadata, share_delivered, share_read } = change;
    let columns: [(&str, &str, Option<Value>); 4] = [
        ("muted_until", "bigint", value(muted_until, |until| until.map(|until| until.0).into())),
        ("metadata", "text", value(metadata, |metadata| metadata.map(|given| given.to_string()).into())),
        ("share_delivered", "boolean", value(share_delivered, Value::from)),
        ("share_read", "boolean", value(share_read, Value::from)),
    ];
    let given: Vec<_> =
        columns.into_iter().filter_map(|(name, kind, value)| Some((name, kind, value?))).collect();
    let mut sql = Sql::default();
    sql.push("INSERT INTO own_participations (user_id, conversation_id");
    for (name, ..) in &given {
        sql.push(", ").push(name);
    }
    sql.push(") SELECT p.user_id, p.conversation_id");
    let mut sets = vec!["user_id = excluded.user_id".to_owned()];
    for (name, kind, value) in given {
        sql.push(", CAST(").bind(value).push(" AS ").push(kind).push(")");
        sets.push(format!("{name} = excluded.{name}"));
    }
    sql.push(" FROM participants p WHERE p.left_position IS NULL AND p.user_id = ").bind(user.0);
    sql.push(" AND p.conversation_id = ").bind(conversation.0);
    sql.push(" ON CONFLICT (user_id, conversation_id) DO UPDATE SET ").push(&sets.join(", "));
    let changed = db.execute_raw(sql.statement(db.get_database_backend())).await?;
    Ok(changed.rows_affected() > 0)
}

/// What is to be written; `None` for what stays.
fn value<T: Clone>(edit: &Edit<T>, write: impl FnOnce(Option<T>) -> Value) -> Option<Value> {
    match edit {
        Edit::Keep => None,
        Edit::Set(to) => Some(write(to.clone())),
    }
}
