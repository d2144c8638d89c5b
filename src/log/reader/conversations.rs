//! Conversations and those who take part in them.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, QueryFilter};
use uuid::Uuid;

use super::{Direction, Page};
use crate::log::entities::{conversation, participant};
use crate::log::sql::{Sql, union};
use crate::log::{Database, Unavailable, convert};
use crate::messaging::{Conversation, ConversationId, Participation, Position, UserId};

/// A place in a list of people: in the order in which they joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParticipantKey {
    /// Where they joined.
    pub joined: Position,
    /// Who they are, since many can join at once.
    pub user: UserId,
}

impl Database {
    /// The conversations that `viewer` takes part in, the latest activity first.
    pub async fn conversations(
        &self,
        viewer: UserId,
        page: &Page<Position>,
    ) -> Result<Vec<Conversation>, Unavailable> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT c.* FROM participants p JOIN conversations c ON c.id = p.conversation_id \
             WHERE p.left_position IS NULL AND p.user_id = ",
        );
        sql.bind(viewer.0);
        // Latest first: what comes after in the list has a smaller position.
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
        let mut rows: Vec<conversation::Model> = sql.rows(&self.reader).await?;
        if page.direction == Direction::Last {
            rows.reverse();
        }
        Ok(rows.into_iter().map(convert::conversation).collect())
    }

    /// These conversations, as far as they exist.
    pub async fn conversations_by_id(
        &self,
        ids: impl IntoIterator<Item = ConversationId>,
    ) -> Result<Vec<Conversation>, Unavailable> {
        let ids = ids.into_iter().map(|id| id.0);
        let rows = conversation::Entity::find()
            .filter(conversation::Column::Id.is_in(ids))
            .all(&self.reader)
            .await?;
        Ok(rows.into_iter().map(convert::conversation).collect())
    }

    /// Those who take part now, or took part right after a position, for many conversations in one statement: a
    /// list for each key.
    pub async fn participants(
        &self,
        keys: &[(ConversationId, Option<Position>, Page<ParticipantKey>)],
    ) -> Result<Vec<Vec<Participation>>, Unavailable> {
        let rows: Vec<NumberedParticipant> =
            union(&self.reader, keys, |sql, number, (conversation, as_of, page)| {
                sql.push("SELECT ").bind(number);
                sql.push(" AS number, p.* FROM participants p WHERE p.conversation_id = ")
                    .bind(conversation.0);
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
            .await?;
        let mut lists = vec![Vec::new(); keys.len()];
        for row in &rows {
            if let Some(list) = usize::try_from(row.number).ok().and_then(|n| lists.get_mut(n)) {
                list.push(convert::participation(&row.participant));
            }
        }
        for list in &mut lists {
            list.sort_by_key(|part| (part.interval.joined, part.user));
        }
        Ok(lists)
    }

    /// For each of these conversations, how many messages from others `viewer` has not marked as read.
    pub async fn unread(
        &self,
        viewer: UserId,
        conversations: impl IntoIterator<Item = ConversationId>,
    ) -> Result<HashMap<ConversationId, u64>, Unavailable> {
        let mut sql = Sql::default();
        sql.push(
            "SELECT p.conversation_id AS conversation, COUNT(*) AS unread \
             FROM participants p JOIN messages m ON m.conversation_id = p.conversation_id \
             AND m.position > p.read_through AND +m.position > p.joined_position \
             AND (p.left_position IS NULL OR m.position <= p.left_position) \
             AND m.sender_id <> p.user_id WHERE p.user_id = ",
        );
        sql.bind(viewer.0).push(" AND p.conversation_id IN ");
        sql.bind_list(conversations.into_iter().map(|c| c.0)).push(" GROUP BY p.conversation_id");
        let rows: Vec<Unread> = sql.rows(&self.reader).await?;
        Ok(rows
            .into_iter()
            .map(|row| (ConversationId(row.conversation), u64::try_from(row.unread).unwrap_or(0)))
            .collect())
    }
}

/// Narrows a list of people (`p`) to a page of it, in the order in which they joined.
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
struct NumberedParticipant {
    number: i64,
    #[sea_orm(nested)]
    participant: participant::Model,
}

#[derive(FromQueryResult)]
struct Unread {
    conversation: Uuid,
    unread: i64,
}
