//! Reads what users have not read: the first message of it, and how much it is.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};

use crate::log::batch::{Each, ask_union};
use crate::log::entities::message;
use crate::log::error::During;
use crate::log::sql::{Sql, Unsigned};
use crate::log::stays::END;
use crate::log::{Database, Unavailable, convert};
use crate::messaging::{ConversationId, Message, UserId};

/// How much a user has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnreadTotals {
    /// Messages from others.
    pub messages: u32,
    /// Conversations with such messages.
    pub conversations: u32,
}

#[derive(FromQueryResult)]
struct CountRow {
    count: Unsigned<u32>,
}

impl Database {
    /// Reads the oldest message from others that each user has not marked as read in the conversation of their key;
    /// `None` if there is none.
    pub async fn first_unread(&self, keys: &[(UserId, ConversationId)]) -> Each<Option<Arc<Message>>> {
        let backend = self.reader.get_database_backend();
        let found: Each<Vec<message::Model>> =
            ask_union("find the first unread messages", &self.reader, keys, |sql, (user, conversation)| {
                sql.push("m.*");
                unread_messages(sql, backend, 1);
                sql.push("s.user_id = ").bind(user.0);
                sql.push(" AND s.conversation_id = ").bind(conversation.0);
                sql.push(" ORDER BY s.joined_position, m.position LIMIT 1");
            })
            .await;
        let first =
            |rows: Vec<message::Model>| rows.into_iter().next().map(|row| Arc::new(convert::message(row)));
        found.into_iter().map(|rows| rows.map(first)).collect()
    }

    /// Counts what the user has not read, over all conversations that they take part in. Either count stops at `cap`, and
    /// costs no more than that.
    pub async fn unread_totals(&self, user: UserId, cap: u32) -> Result<UnreadTotals, Unavailable> {
        let mut messages = Sql::default();
        messages.push("SELECT COUNT(*) AS count FROM (SELECT m.position");
        unread_messages(&mut messages, self.reader.get_database_backend(), cap);
        in_present_conversations(&mut messages, user, cap);
        let mut conversations = Sql::default();
        conversations
            .push("SELECT COUNT(*) AS count FROM (SELECT DISTINCT s.conversation_id FROM participants s");
        conversations.push(" WHERE EXISTS (SELECT 1 FROM messages m WHERE ");
        unread_of_stay(&mut conversations);
        conversations.push(") AND ");
        in_present_conversations(&mut conversations, user, cap);
        let (messages, conversations) = tokio::try_join!(self.count(messages), self.count(conversations))?;
        Ok(UnreadTotals { messages, conversations })
    }

    async fn count(&self, sql: Sql) -> Result<u32, Unavailable> {
        let rows: Vec<CountRow> = sql.rows(&self.reader).await.during("count all unread messages")?;
        Ok(rows.first().map_or(0, |row| row.count.0))
    }
}

/// Writes the stays (`s`) and the messages (`m`) of each that its user has not read, up to the start of a condition on
/// the stays. Nobody needs more than `most` messages of a stay.
fn unread_messages(sql: &mut Sql, backend: DbBackend, most: u32) {
    sql.push(" FROM participants s CROSS JOIN ");
    if backend == DbBackend::Postgres {
        // Postgres sorts all rows of a join, so each stay is limited.
        sql.push("LATERAL (SELECT * FROM messages m WHERE ");
        unread_of_stay(sql);
        sql.push(" ORDER BY m.position LIMIT ").bind(i64::from(most)).push(") m WHERE ");
    } else {
        // SQLite reads stay by stay and in order, and stops at the limit of the statement.
        sql.push("messages m WHERE ");
        unread_of_stay(sql);
        sql.push(" AND ");
    }
    sql.push("(s.left_position IS NULL OR s.left_position > s.read_through) AND ");
}

/// Narrows messages (`m`) to those of the stay `s` that its user has not read. There is one bound on either side, so that
/// a stay costs only its unread messages.
fn unread_of_stay(sql: &mut Sql) {
    sql.push(
        "m.conversation_id = s.conversation_id AND m.position > CASE WHEN s.read_through > s.joined_position \
         THEN s.read_through ELSE s.joined_position END AND m.position < COALESCE(s.left_position, ",
    );
    sql.push(&END.0.to_string()).push(") AND m.sender_id <> s.user_id");
}

/// Narrows the stays to those of a user, past ones too, in conversations that they take part in, and ends the statement.
fn in_present_conversations(sql: &mut Sql, user: UserId, cap: u32) {
    sql.push("s.user_id = ").bind(user.0);
    sql.push(
        " AND EXISTS (SELECT 1 FROM participants o WHERE o.user_id = s.user_id \
         AND o.conversation_id = s.conversation_id AND o.left_position IS NULL) LIMIT ",
    );
    sql.bind(i64::from(cap)).push(") AS subselect");
}
