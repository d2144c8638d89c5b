//! What people keep for themselves of a conversation. Nobody else is told, so it is not in the log: each row is written
//! by itself. It stays while its user is away, and holds again when they come back.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::batch::{Each, KEYS_PER_STATEMENT, ask};
use super::entities::own_participation;
use super::error::During;
use super::sql::Sql;
use super::{Database, Unavailable};
use crate::messaging::{ConversationId, Edit, Metadata, Timestamp, UserId};

/// What a user keeps for themselves of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnParticipation {
    /// The time up to which they do not want to be disturbed; `None` if they may be.
    pub muted_until: Option<Timestamp>,
    /// Whatever their clients keep.
    pub metadata: Option<Metadata>,
}

impl Database {
    /// Reads what each user keeps of the conversation of their key. A user who never changed it keeps nothing.
    pub async fn own_participations(&self, keys: &[(UserId, ConversationId)]) -> Each<OwnParticipation> {
        let write = |sql: &mut Sql, keys: &[(UserId, ConversationId)]| {
            sql.push("SELECT ").columns::<own_participation::Entity>("o").push(" FROM ");
            sql.bind_pairs(keys.iter().map(|(user, conversation)| (user.0, conversation.0)));
            sql.push(
                " CROSS JOIN own_participations o WHERE o.user_id = wanted.column1 \
                 AND o.conversation_id = wanted.column2",
            );
        };
        let operation = "read what users keep of conversations";
        let sort = |keys: &[(UserId, ConversationId)], rows: Vec<own_participation::Model>| {
            let own = |row: own_participation::Model| {
                let muted_until = row.muted_until.map(Timestamp);
                let metadata = row.metadata.map(Metadata::trusted);
                let key = (UserId(row.user_id), ConversationId(row.conversation_id));
                (key, OwnParticipation { muted_until, metadata })
            };
            let found: HashMap<_, _> = rows.into_iter().map(own).collect();
            keys.iter().map(|key| found.get(key).cloned().unwrap_or_default()).collect()
        };
        ask(operation, &self.reader, keys, KEYS_PER_STATEMENT, write, sort).await
    }

    /// Changes what a user keeps of a conversation. `false` if they take no part in it; then nothing changes.
    pub async fn change_own_participation(
        &self,
        user: UserId,
        conversation: ConversationId,
        muted_until: Edit<Timestamp>,
        metadata: Edit<Metadata>,
    ) -> Result<bool, Unavailable> {
        // A value that stays is set to itself.
        let (mut sets, until) = match muted_until {
            Edit::Keep => ("muted_until = own_participations.muted_until".to_owned(), None),
            Edit::Set(until) => ("muted_until = excluded.muted_until".to_owned(), until),
        };
        let metadata = match metadata {
            Edit::Keep => None,
            Edit::Set(metadata) => {
                sets.push_str(", metadata = excluded.metadata");
                metadata
            }
        };
        let mut sql = Sql::default();
        sql.push("INSERT INTO own_participations (user_id, conversation_id, muted_until, metadata) ");
        sql.push("SELECT p.user_id, p.conversation_id, ");
        sql.push("CAST(").bind(until.map(|until| until.0)).push(" AS bigint), CAST(");
        sql.bind(metadata.map(|metadata| metadata.to_string())).push(" AS text) FROM participants p");
        sql.push(" WHERE p.left_position IS NULL AND p.user_id = ").bind(user.0);
        sql.push(" AND p.conversation_id = ").bind(conversation.0);
        sql.push(" ON CONFLICT (user_id, conversation_id) DO UPDATE SET ").push(&sets);
        let statement = sql.statement(self.writer.get_database_backend());
        let changed = self.writer.execute_raw(statement).await.during("change what a user keeps")?;
        Ok(changed.rows_affected() > 0)
    }
}
