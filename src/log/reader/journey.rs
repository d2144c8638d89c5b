//! Reads the whole journey of one message, for an operator who looks at it. No client waits for this.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Direction, Page, ParticipantKey, Receipt, ReceiptsPage, Whose};
use crate::log::entities::event;
use crate::log::error::During;
use crate::log::sql::Sql;
use crate::log::{Database, Unavailable, UserRow};
use crate::messaging::{Event, Message, MessageId, UserId};

/// Receipts that one statement reads.
const PAGE_RECEIPTS: usize = 1_000;

/// Everything that the log says of one message.
#[derive(Debug, Clone)]
pub struct Journey {
    /// The message.
    pub message: Arc<Message>,
    /// What happened to it: that it was sent, marked, or could not be delivered. In the order of the log.
    pub events: Vec<Arc<Event>>,
    /// How far it has come with each recipient, in the order in which they joined.
    pub receipts: Vec<Receipt>,
    /// The sender, the recipients, and everyone who caused an event.
    pub people: HashMap<UserId, UserRow>,
}

impl Database {
    /// Reads the journey of a message; `None` when there is no such message.
    pub async fn journey(&self, id: MessageId) -> Result<Option<Journey>, Unavailable> {
        let operation = "read the journey of a message";
        let Some(message) = self.message(id).await? else { return Ok(None) };
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .columns::<event::Entity>("e")
            .push(" FROM events e WHERE e.conversation_id = ")
            .bind(message.conversation.0);
        sql.push(" AND e.position >= ").bind(message.position.0);
        sql.push(" AND (e.position = ").bind(message.position.0);
        sql.push(" OR (e.from_position < ").bind(message.position.0);
        sql.push(" AND e.through_position >= ").bind(message.position.0);
        sql.push(")) ORDER BY e.position");
        let rows: Vec<event::Model> = sql.rows(&self.reader).await.during(operation)?;
        let events = self.events_of(rows).await?;
        let receipts = self.all_receipts(&message).await?;
        let mut ids: Vec<UserId> = events.iter().map(|event| event.actor).collect();
        ids.extend(receipts.iter().map(|receipt| receipt.key.user));
        ids.push(message.sender);
        ids.sort_unstable();
        ids.dedup();
        let mut people = HashMap::with_capacity(ids.len());
        for (id, row) in ids.iter().zip(self.users_by_id(&ids).await) {
            if let Some(row) = row? {
                people.insert(*id, row);
            }
        }
        Ok(Some(Journey { message, events, receipts, people }))
    }

    async fn all_receipts(&self, message: &Message) -> Result<Vec<Receipt>, Unavailable> {
        let mut found: Vec<Receipt> = Vec::new();
        loop {
            let after: Option<ParticipantKey> = found.last().map(|receipt| receipt.key);
            let page = Page { after, before: None, limit: PAGE_RECEIPTS, direction: Direction::First };
            let wanted = ReceiptsPage::of(message, None, Whose::Everybody, page);
            let read = self.receipts(&[wanted]).await.pop();
            let read = read.unwrap_or(Err(Unavailable::Now))?;
            let is_last = read.len() < PAGE_RECEIPTS;
            found.extend(read);
            if is_last {
                return Ok(found);
            }
        }
    }
}
