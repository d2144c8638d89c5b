//! Reads the messages that a user may see, and those that a mark covers.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter};
use uuid::Uuid;

use super::{Direction, Page, Viewer};
use crate::log::batch::{Each, KEYS_PER_STATEMENT, ask, ask_union};
use crate::log::entities::message;
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::stays::{END, InStays, end_of_stay, messages_in_stays};
use crate::log::{Database, Unavailable, convert};
use crate::messaging::{ConversationId, Covered, Event, Message, MessageId, Position, Range, UserId, View};

/// The messages of one conversation that a user received: others sent them while the user took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Received {
    /// The conversation.
    pub conversation: ConversationId,
    /// The user who received them.
    pub recipient: UserId,
    /// Only those that this user may see too. Everyone may see what they received themselves.
    pub seen_by: UserId,
    /// Only those after this position.
    pub after: Position,
    /// Only those up to this position.
    pub through: Position,
}

impl Database {
    /// Reads a page of messages for each key, in one statement, in the order of sending. A user sees only messages that
    /// were sent while they took part, and a service sees all.
    pub async fn messages(
        &self,
        keys: &[(ConversationId, Viewer, Page<Position>)],
    ) -> Each<Vec<Arc<Message>>> {
        let backend = self.reader.get_database_backend();
        let found: Each<Vec<message::Model>> =
            ask_union("read pages of messages", &self.reader, keys, |sql, (conversation, viewer, page)| {
                sql.columns::<message::Entity>("m");
                let Viewer::User(user) = viewer else { return messages_of_all(sql, *conversation, page) };
                let wanted = InStays {
                    conversation: *conversation,
                    of: *user,
                    received_by: None,
                    after: page.after.unwrap_or(Position::START),
                    before: page.before.unwrap_or(END),
                    direction: page.direction,
                    limit: page.limit,
                };
                messages_in_stays(sql, backend, &wanted);
            })
            .await;
        found.into_iter().map(|list| list.map(in_order)).collect()
    }

    /// Reads a message for whoever sees all.
    pub async fn message(&self, id: MessageId) -> Result<Option<Arc<Message>>, Unavailable> {
        let found = message::Entity::find().filter(message::Column::Id.eq(id.0)).one(&self.reader).await;
        Ok(found.during("read a message")?.map(arc))
    }

    /// Reads the messages with these ids. `None` when the user of the key may not see the message or takes no part in
    /// its conversation now. A message that does not exist and one that is hidden cost the same statement.
    pub async fn messages_by_id(&self, keys: &[(UserId, MessageId)]) -> Each<Option<Arc<Message>>> {
        let write = |sql: &mut Sql, keys: &[(UserId, MessageId)]| {
            sql.push("SELECT wanted.column1 AS viewer, ").columns::<message::Entity>("m").push(" FROM ");
            sql.bind_pairs(keys.iter().map(|(viewer, message)| (viewer.0, message.0)));
            sql.push(" CROSS JOIN messages m WHERE m.id = wanted.column2 AND ");
            end_of_stay(sql, |sql| {
                sql.push("wanted.column1");
            });
            sql.push(
                " > m.position AND EXISTS (SELECT 1 FROM participants o \
                 WHERE o.conversation_id = m.conversation_id AND o.user_id = wanted.column1 \
                 AND o.left_position IS NULL)",
            );
        };
        ask("read messages", &self.reader, keys, KEYS_PER_STATEMENT, write, |keys, rows: Vec<Viewed>| {
            let found: HashMap<_, _> = rows
                .into_iter()
                .map(|row| ((UserId(row.viewer), MessageId(row.message.id)), arc(row.message)))
                .collect();
            keys.iter().map(|key| found.get(key).cloned()).collect()
        })
        .await
    }

    /// Reads the messages at these positions; `None` where there is none.
    pub async fn messages_at(&self, keys: &[Position]) -> Each<Option<Arc<Message>>> {
        let write = |sql: &mut Sql, keys: &[Position]| {
            sql.push("SELECT ").columns::<message::Entity>("m").push(" FROM messages m WHERE m.position IN ");
            sql.bind_list(keys.iter().map(|position| position.0));
        };
        ask(
            "read messages by position",
            &self.reader,
            keys,
            KEYS_PER_STATEMENT,
            write,
            |keys, rows: Vec<message::Model>| {
                let found: HashMap<_, _> = rows.into_iter().map(|row| (row.position, arc(row))).collect();
                keys.iter().map(|key| found.get(&key.0).cloned()).collect()
            },
        )
        .await
    }

    /// Reads the messages at these positions; `None` where the user of the key took no part when it was sent.
    pub async fn messages_seen_at(&self, keys: &[(UserId, Position)]) -> Each<Option<Arc<Message>>> {
        let write = |sql: &mut Sql, keys: &[(UserId, Position)]| {
            sql.push("SELECT s.user_id AS viewer, ").columns::<message::Entity>("m").push(
                " FROM messages m CROSS JOIN participants s \
                 WHERE s.conversation_id = m.conversation_id AND s.joined_position < m.position \
                 AND (s.left_position IS NULL OR s.left_position > m.position) AND m.position IN ",
            );
            sql.bind_list(keys.iter().map(|(_, position)| position.0)).push(" AND s.user_id IN ");
            sql.bind_list(keys.iter().map(|(viewer, _)| viewer.0));
        };
        ask("read messages", &self.reader, keys, KEYS_PER_STATEMENT, write, |keys, rows: Vec<Viewed>| {
            let found: HashMap<_, _> = rows
                .into_iter()
                .map(|row| ((UserId(row.viewer), Position(row.message.position)), arc(row.message)))
                .collect();
            keys.iter().map(|key| found.get(key).cloned()).collect()
        })
        .await
    }

    /// Reads the newest message that was received, for many keys in one statement.
    pub async fn newest_received(&self, keys: &[Received]) -> Each<Option<Arc<Message>>> {
        let backend = self.reader.get_database_backend();
        let found: Each<Vec<message::Model>> =
            ask_union("find the newest received messages", &self.reader, keys, |sql, received| {
                sql.columns::<message::Entity>("m");
                messages_in_stays(sql, backend, &received.newest(1));
            })
            .await;
        found.into_iter().map(|rows| rows.map(|rows| rows.into_iter().next().map(arc))).collect()
    }

    /// Reads the messages that were received, newest first, at most `limit`.
    pub async fn messages_received(
        &self,
        received: Received,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT ").columns::<message::Entity>("m");
        messages_in_stays(&mut sql, self.reader.get_database_backend(), &received.newest(limit));
        let rows: Vec<message::Model> = sql.rows(&self.reader).await.during("read received messages")?;
        Ok(rows.into_iter().map(arc).collect())
    }
}

impl Received {
    /// The messages that an event of a range covers, as far as a viewer sees them.
    pub fn by(event: &Event, range: Range, view: View) -> Self {
        let Range { from, through } = range;
        let (seen_by, after) = match view.covered {
            Covered::After(after) => (event.actor, after),
            Covered::StaysOf(viewer) => (viewer, from),
        };
        Self { conversation: event.conversation, recipient: event.actor, seen_by, after, through }
    }

    fn newest(&self, limit: usize) -> InStays {
        InStays {
            conversation: self.conversation,
            of: self.seen_by,
            received_by: Some(self.recipient),
            after: self.after,
            before: self.through.next(),
            direction: Direction::Last,
            limit,
        }
    }
}

/// Writes what follows the columns of `messages m`, for a page of all messages of a conversation.
fn messages_of_all(sql: &mut Sql, conversation: ConversationId, page: &Page<Position>) {
    sql.push(" FROM messages m WHERE m.conversation_id = ").bind(conversation.0);
    sql.push(" AND m.position > ").bind(page.after.unwrap_or(Position::START).0);
    sql.push(" AND m.position < ").bind(page.before.unwrap_or(END).0);
    sql.push(match page.direction {
        Direction::First => " ORDER BY m.position ASC LIMIT ",
        Direction::Last => " ORDER BY m.position DESC LIMIT ",
    });
    sql.bind(i64::try_from(page.limit).unwrap_or(i64::MAX));
}

fn arc(row: message::Model) -> Arc<Message> {
    Arc::new(convert::message(row))
}

fn in_order(rows: Vec<message::Model>) -> Vec<Arc<Message>> {
    let mut list: Vec<_> = rows.into_iter().map(arc).collect();
    list.sort_by_key(|message| message.position);
    list
}

#[derive(FromQueryResult)]
struct Viewed {
    viewer: Uuid,
    #[sea_orm(nested)]
    message: message::Model,
}
