//! Reads conversations and their participants.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::FromQueryResult;
use uuid::Uuid;

use super::receipts::mark_told;
use super::unread::{MAX_EXAMINED_OF_ONE, after_read_mark};
use super::{Direction, Page};
use crate::log::batch::{Each, KEYS_PER_STATEMENT, ask, ask_union};
use crate::log::convert;
use crate::log::entities::{conversation, event, participant};
use crate::log::error::During;
use crate::log::sql::{Sql, Unsigned};
use crate::log::{Database, Unavailable};
use crate::messaging::{
    ConversationId, Event, Mark, Metadata, Participation, Position, Renamed, Timestamp, Title, Updated,
    UserId,
};

/// A place in a list of participants, which is in the order of joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParticipantKey {
    /// The position of the event that brought them in.
    pub joined: Position,
    /// The user: many can join with one event.
    pub user: UserId,
}

/// Somebody who takes part in a conversation, and how far others are told that their marks have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participating {
    /// The participation. Its marks are those of now, also the part of them that only their user knows.
    pub participation: Participation,
    /// Others are told that everything up to here was received, or the newest of it.
    pub delivered_told: Position,
    /// Others are told that everything up to here was read, or the newest of it.
    pub read_told: Position,
}

/// The kinds of events that change what is kept of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Described {
    /// [`Renamed`].
    Renamed,
    /// [`Updated`].
    Updated,
}

/// What is shown of a conversation. What only the rules need is not in it, so that nothing is wrong with a page of
/// conversations where a damaged row fails the commands that turn on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its identity.
    pub id: ConversationId,
    /// Its title; `None` where it has none.
    pub title: Option<Title>,
    /// What clients keep with it; `None` where that is nothing.
    pub metadata: Option<Metadata>,
    /// The time at which it was started.
    pub created_at: Timestamp,
    /// The position of its latest activity, by which lists are ordered.
    pub latest: Position,
}

impl ConversationRow {
    /// The bytes of its title and metadata.
    pub fn bytes(&self) -> usize {
        let title = self.title.as_ref().map_or(0, |title| title.as_str().len());
        title + self.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len())
    }
}

impl From<conversation::Model> for ConversationRow {
    fn from(row: conversation::Model) -> Self {
        Self {
            id: ConversationId(row.id),
            title: row.title.map(Title::trusted),
            metadata: row.metadata.map(Metadata::trusted),
            created_at: Timestamp(row.created_at),
            latest: Position(row.latest_position),
        }
    }
}

impl Database {
    /// Reads a page of the conversations that `viewer` takes part in, the latest activity first.
    pub async fn conversations(
        &self,
        viewer: UserId,
        page: &Page<Position>,
    ) -> Result<Vec<ConversationRow>, Unavailable> {
        let mut sql = Sql::default();
        sql.push("SELECT ").columns::<conversation::Entity>("c").push(
            " FROM participants p JOIN conversations c ON c.id = p.conversation_id \
             WHERE p.left_position IS NULL AND p.user_id = ",
        );
        sql.bind(viewer.0);
        // The latest comes first, so a conversation that comes after another has a smaller position.
        if let Some(after) = page.after {
            sql.push(" AND c.latest_position < ").bind(after.0);
        }
        if let Some(before) = page.before {
            sql.push(" AND c.latest_position > ").bind(before.0);
        }
        sql.push(" ORDER BY c.latest_position ").push(match page.direction {
            Direction::First => "DESC",
            Direction::Last => "ASC",
        });
        sql.push(" LIMIT ").bind(limit(page));
        let operation = "read a page of conversations";
        let mut rows: Vec<conversation::Model> = sql.rows(&self.reader).await.during(operation)?;
        if page.direction == Direction::Last {
            rows.reverse();
        }
        Ok(rows.into_iter().map(ConversationRow::from).collect())
    }

    /// Reads these conversations; `None` for one that does not exist.
    pub async fn conversations_by_id(&self, keys: &[ConversationId]) -> Each<Option<ConversationRow>> {
        let write = |sql: &mut Sql, keys: &[ConversationId]| {
            sql.push("SELECT ")
                .columns::<conversation::Entity>("c")
                .push(" FROM conversations c WHERE c.id IN ")
                .bind_list(keys.iter().map(|id| id.0));
        };
        let operation = "read conversations";
        let sort = |keys: &[ConversationId], rows: Vec<conversation::Model>| {
            let mut found: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
            keys.iter().map(|key| found.remove(&key.0).map(ConversationRow::from)).collect()
        };
        ask(operation, &self.reader, keys, KEYS_PER_STATEMENT, write, sort).await
    }

    /// Reads the first event of a kind in each conversation after a position; `None` if there is none. What such an event
    /// says was so before it was so at the position.
    pub async fn next_described(
        &self,
        keys: &[(ConversationId, Position, Described)],
    ) -> Each<Option<Arc<Event>>> {
        let operation = "read the next changes of conversations";
        let found: Each<Vec<event::Model>> =
            ask_union(operation, &self.reader, keys, |sql, (conversation, position, kind)| {
                sql.columns::<event::Entity>("e")
                    .push(" FROM events e WHERE e.conversation_id = ")
                    .bind(conversation.0);
                sql.push(" AND e.position > ").bind(position.0).push(" AND e.kind = ");
                // Written, not bound: each index holds events of one kind alone.
                let number = match kind {
                    Described::Renamed => Renamed::NUMBER,
                    Described::Updated => Updated::NUMBER,
                };
                sql.push(&number.to_string()).push(" ORDER BY e.position LIMIT 1");
            })
            .await;
        let event = |rows: Vec<event::Model>| {
            let event = rows.into_iter().next().map(|row| convert::event(row, &HashMap::new()));
            Ok(event.transpose().during(operation)?.map(Arc::new))
        };
        found.into_iter().map(|rows| rows.and_then(event)).collect()
    }

    /// Reads whether each user takes part in the conversation of their key.
    pub async fn take_part(&self, keys: &[(UserId, ConversationId)]) -> Each<bool> {
        let write = |sql: &mut Sql, keys: &[(UserId, ConversationId)]| {
            sql.push("SELECT p.user_id AS viewer, p.conversation_id AS conversation FROM ");
            sql.bind_pairs(keys.iter().map(|(user, conversation)| (user.0, conversation.0)));
            sql.push(
                " CROSS JOIN participants p WHERE p.user_id = wanted.column1 \
                 AND p.conversation_id = wanted.column2 AND p.left_position IS NULL",
            );
        };
        ask("read who takes part", &self.reader, keys, KEYS_PER_STATEMENT, write, |keys, rows: Vec<Pair>| {
            let found: HashSet<_> = rows.iter().map(Pair::key).collect();
            keys.iter().map(|key| found.contains(key)).collect()
        })
        .await
    }

    /// Reads the latest part that each user takes or took in the conversation of their key; `None` if they never did.
    pub async fn latest_parts(&self, keys: &[(UserId, ConversationId)]) -> Each<Option<Participation>> {
        let found: Each<Vec<participant::Model>> =
            ask_union("read the latest stays of users", &self.reader, keys, |sql, (user, conversation)| {
                sql.columns::<participant::Entity>("p")
                    .push(" FROM participants p WHERE p.conversation_id = ")
                    .bind(conversation.0);
                sql.push(" AND p.user_id = ").bind(user.0).push(" ORDER BY p.joined_position DESC LIMIT 1");
            })
            .await;
        found.into_iter().map(|rows| rows.map(|rows| rows.first().map(convert::participation))).collect()
    }

    /// Reads a page of participants for each key, in one statement. Without a position these are the present
    /// participants. With a position they are those who took part right after it, with what was told of their marks as
    /// of it.
    pub async fn participants(
        &self,
        keys: &[(ConversationId, Option<Position>, Page<ParticipantKey>)],
    ) -> Each<Vec<Participating>> {
        let found: Each<Vec<ParticipatingRow>> =
            ask_union("read participants", &self.reader, keys, |sql, (conversation, as_of, page)| {
                sql.columns::<participant::Entity>("p").push(", ");
                mark_told(sql, Mark::Delivered, *as_of);
                sql.push(" AS delivered_told, ");
                mark_told(sql, Mark::Read, *as_of);
                sql.push(" AS read_told");
                sql.push(" FROM participants p WHERE p.conversation_id = ").bind(conversation.0);
                match as_of {
                    None => sql.push(" AND p.left_position IS NULL"),
                    Some(position) => {
                        sql.push(" AND p.joined_position <= ").bind(position.0);
                        sql.push(" AND (p.left_position IS NULL OR p.left_position > ")
                            .bind(position.0)
                            .push(")")
                    }
                };
                people_page(sql, page);
            })
            .await;
        let people = |rows: Vec<ParticipatingRow>| {
            let mut list: Vec<_> = rows.iter().map(ParticipatingRow::participating).collect();
            list.sort_by_key(|one| (one.participation.interval.joined, one.participation.user));
            list
        };
        found.into_iter().map(|rows| rows.map(people)).collect()
    }

    /// Counts the messages from others that each user has not marked as read in the conversation of their key. Of a stay it
    /// looks at the first `MAX_EXAMINED_OF_ONE` messages after the mark.
    pub async fn unread(&self, keys: &[(UserId, ConversationId)]) -> Each<u64> {
        let write = |sql: &mut Sql, keys: &[(UserId, ConversationId)]| {
            sql.push(
                "SELECT s.user_id AS viewer, s.conversation_id AS conversation, CAST(SUM((SELECT COUNT(*) \
                 FROM (SELECT m.sender_id FROM messages m WHERE ",
            );
            after_read_mark(sql);
            sql.push(" ORDER BY m.position LIMIT ").push(&MAX_EXAMINED_OF_ONE.to_string());
            sql.push(") AS subselect WHERE subselect.sender_id <> s.user_id)) AS bigint) AS unread FROM ");
            sql.bind_pairs(keys.iter().map(|(user, conversation)| (user.0, conversation.0)));
            sql.push(
                " CROSS JOIN participants s WHERE s.user_id = wanted.column1 \
                 AND s.conversation_id = wanted.column2 \
                 AND (s.left_position IS NULL OR s.left_position > s.read_through) \
                 GROUP BY s.user_id, s.conversation_id",
            );
        };
        ask(
            "count unread messages",
            &self.reader,
            keys,
            KEYS_PER_STATEMENT,
            write,
            |keys, rows: Vec<Unread>| {
                let count = |row: &Unread| (row.pair.key(), row.unread.0);
                let found: HashMap<_, _> = rows.iter().map(count).collect();
                // A key without a row has no unread message.
                keys.iter().map(|key| found.get(key).copied().unwrap_or(0)).collect()
            },
        )
        .await
    }
}

/// Narrows a list of participants (`p`) to a page, in the order of joining.
pub(super) fn people_page(sql: &mut Sql, page: &Page<ParticipantKey>) {
    for (key, comparison) in [(&page.after, " > ("), (&page.before, " < (")] {
        if let Some(key) = key {
            sql.push(" AND (p.joined_position, p.user_id)").push(comparison);
            sql.bind(key.joined.0).push(", ").bind(key.user.0).push(")");
        }
    }
    sql.push(match page.direction {
        Direction::First => " ORDER BY p.joined_position ASC, p.user_id ASC LIMIT ",
        Direction::Last => " ORDER BY p.joined_position DESC, p.user_id DESC LIMIT ",
    });
    sql.bind(limit(page));
}

pub(super) fn limit<K>(page: &Page<K>) -> i64 {
    i64::try_from(page.limit).unwrap_or(i64::MAX)
}

#[derive(FromQueryResult)]
struct ParticipatingRow {
    #[sea_orm(nested)]
    participant: participant::Model,
    delivered_told: i64,
    read_told: i64,
}

impl ParticipatingRow {
    fn participating(&self) -> Participating {
        Participating {
            participation: convert::participation(&self.participant),
            // Whoever tells that they read tells that they received.
            delivered_told: Position(self.delivered_told.max(self.read_told)),
            read_told: Position(self.read_told),
        }
    }
}

#[derive(FromQueryResult)]
struct Pair {
    viewer: Uuid,
    conversation: Uuid,
}

impl Pair {
    fn key(&self) -> (UserId, ConversationId) {
        (UserId(self.viewer), ConversationId(self.conversation))
    }
}

#[derive(FromQueryResult)]
struct Unread {
    #[sea_orm(nested)]
    pair: Pair,
    unread: Unsigned<u64>,
}
