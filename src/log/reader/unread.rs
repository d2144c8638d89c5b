//! Reads what users have not read: the first message of it, and how much it is.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};

use crate::log::batch::{Each, ask_union};
use crate::log::entities::message;
use crate::log::sql::{Sql, Unsigned};
use crate::log::stays::END;
use crate::log::{Database, convert};
use crate::messaging::{ConversationId, Message, UserId};

/// Messages that one count looks at, at most, an entry of an index for each: for the messages of all conversations, and
/// for whether there is one in a conversation. Messages of the user's own are passed over, and somebody who never marks
/// anything may have sent any number of them.
const MAX_EXAMINED: u32 = 100_000;

/// The same for one conversation: for its first unread message, and for the count of a stay.
pub(super) const MAX_EXAMINED_OF_ONE: u32 = 10_000;

/// How much a user has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnreadTotals {
    /// Messages from others.
    pub messages: u32,
    /// Conversations with such messages.
    pub conversations: u32,
}

impl UnreadTotals {
    /// The same, with either count stopped at `cap`.
    #[must_use]
    pub fn up_to(self, cap: u32) -> Self {
        Self { messages: self.messages.min(cap), conversations: self.conversations.min(cap) }
    }
}

#[derive(FromQueryResult)]
struct CountRow {
    count: Unsigned<u32>,
}

impl Database {
    /// Reads the oldest message from others that each user has not marked as read in the conversation of their key;
    /// `None` if there is none. Looking past messages of the user's own ends after `MAX_EXAMINED_OF_ONE` messages.
    pub async fn first_unread(&self, keys: &[(UserId, ConversationId)]) -> Each<Option<Arc<Message>>> {
        let backend = self.reader.get_database_backend();
        let found: Each<Vec<message::Model>> =
            ask_union("find the first unread messages", &self.reader, keys, |sql, (user, conversation)| {
                sql.columns::<message::Entity>("m");
                sql.push(" FROM messages m WHERE m.position = (SELECT MIN(subselect.position) FROM (");
                sql.push("SELECT m.position, m.sender_id");
                examined_messages(sql, backend, MAX_EXAMINED_OF_ONE);
                sql.push("s.user_id = ").bind(user.0);
                sql.push(" AND s.conversation_id = ").bind(conversation.0);
                sql.push(" ORDER BY s.joined_position, m.position LIMIT ")
                    .bind(i64::from(MAX_EXAMINED_OF_ONE));
                sql.push(") AS subselect WHERE subselect.sender_id <> ").bind(user.0).push(")");
            })
            .await;
        let first =
            |rows: Vec<message::Model>| rows.into_iter().next().map(|row| Arc::new(convert::message(row)));
        found.into_iter().map(|rows| rows.map(first)).collect()
    }

    /// Counts what each user has not read, over all conversations that they take part in. Either count stops at the cap
    /// beside the user. Looking past messages of the user's own ends after `MAX_EXAMINED` messages.
    pub async fn unread_totals(&self, keys: &[(UserId, u32)]) -> Each<UnreadTotals> {
        let backend = self.reader.get_database_backend();
        let operation = "count all unread messages";
        let messages = ask_union::<_, CountRow>(operation, &self.reader, keys, |sql, (user, cap)| {
            sql.push("COUNT(*) AS count FROM (SELECT 1 FROM (SELECT m.sender_id");
            examined_messages(sql, backend, MAX_EXAMINED);
            in_present_conversations(sql, *user, MAX_EXAMINED);
            sql.push(" WHERE subselect.sender_id <> ").bind(user.0);
            sql.push(" LIMIT ").bind(i64::from(*cap)).push(") AS subselect");
        });
        let conversations = ask_union::<_, CountRow>(operation, &self.reader, keys, |sql, (user, cap)| {
            sql.push("COUNT(*) AS count FROM (SELECT DISTINCT s.conversation_id FROM participants s");
            sql.push(" WHERE EXISTS (SELECT 1 FROM (SELECT m.sender_id FROM messages m WHERE ");
            after_read_mark(sql);
            sql.push(" ORDER BY m.position LIMIT ").bind(i64::from(MAX_EXAMINED)).push(") AS subselect");
            sql.push(" WHERE subselect.sender_id <> s.user_id) AND ");
            in_present_conversations(sql, *user, *cap);
        });
        let (messages, conversations) = tokio::join!(messages, conversations);
        let count = |rows: Vec<CountRow>| rows.first().map_or(0, |row| row.count.0);
        let total = |(messages, conversations): (Result<Vec<CountRow>, _>, Result<Vec<CountRow>, _>)| {
            Ok(UnreadTotals { messages: count(messages?), conversations: count(conversations?) })
        };
        messages.into_iter().zip(conversations).map(total).collect()
    }
}

/// Writes the stays (`s`) and the messages (`m`) of each after its user's mark, also the user's own, up to the start of a
/// condition on the stays. Nobody needs more than `most` messages of a stay.
fn examined_messages(sql: &mut Sql, backend: DbBackend, most: u32) {
    sql.push(" FROM participants s CROSS JOIN ");
    if backend == DbBackend::Postgres {
        // Postgres may sort all rows of a join, so each stay is limited.
        sql.push("LATERAL (SELECT m.position, m.sender_id FROM messages m WHERE ");
        after_read_mark(sql);
        sql.push(" ORDER BY m.position LIMIT ").bind(i64::from(most)).push(") m WHERE ");
    } else {
        sql.push("messages m WHERE ");
        after_read_mark(sql);
        sql.push(" AND ");
    }
    sql.push("(s.left_position IS NULL OR s.left_position > s.read_through) AND ");
}

/// Narrows messages (`m`) to those of the stay `s` after its user's mark, also the user's own. There is one bound on
/// either side, so that a stay costs only its messages after the mark.
pub(super) fn after_read_mark(sql: &mut Sql) {
    sql.push(
        "m.conversation_id = s.conversation_id AND m.position > CASE WHEN s.read_through > s.joined_position \
         THEN s.read_through ELSE s.joined_position END AND m.position < COALESCE(s.left_position, ",
    );
    sql.push(&END.0.to_string()).push(")");
}

/// Narrows the stays to those of a user, past ones too, in conversations that they take part in, and ends the subselect
/// after `most` rows.
fn in_present_conversations(sql: &mut Sql, user: UserId, most: u32) {
    sql.push("s.user_id = ").bind(user.0);
    sql.push(
        " AND EXISTS (SELECT 1 FROM participants o WHERE o.user_id = s.user_id \
         AND o.conversation_id = s.conversation_id AND o.left_position IS NULL) LIMIT ",
    );
    sql.bind(i64::from(most)).push(") AS subselect");
}
