//! Writes the outcome of a batch, table by table.

use sea_orm::{ConnectionTrait, DbErr};

use super::convert;
use super::sql::Sql;
use super::writes::Writes;
use crate::messaging::{Event, Facts, IdempotencyKey};

/// Of a conversation, all but its id and the time when it was started may change.
const CONVERSATION_CHANGES: &str = " ON CONFLICT (id) DO UPDATE SET title = excluded.title, \
     latest_position = excluded.latest_position, participant_count = excluded.participant_count, people = excluded.people, \
     metadata = excluded.metadata";

/// Of a participation, its end, its marks and its role may change.
const PARTICIPATION_CHANGES: &str = " ON CONFLICT (conversation_id, user_id, joined_position) DO UPDATE SET \
     left_position = excluded.left_position, delivered_through = excluded.delivered_through, \
     read_through = excluded.read_through, owner_since = excluded.owner_since";

/// Appends `events`, each with the idempotency key of its message, and writes the rows that they changed.
pub(super) async fn store(
    db: &impl ConnectionTrait,
    events: &[(&Event, Option<&IdempotencyKey>)],
    facts: &Facts,
) -> Result<(), DbErr> {
    let mut writes = Writes::new(db);
    let conversations = facts.changed_conversations().map(convert::conversation_row);
    writes.insert(conversations, CONVERSATION_CHANGES).await?;
    let participations = facts.changed_participations().map(convert::participation_row);
    writes.insert(participations, PARTICIPATION_CHANGES).await?;
    writes.insert(facts.new_starts().iter().map(convert::start_row), "").await?;
    let records: Vec<_> = events.iter().map(|(event, key)| (event, event.change.record(), *key)).collect();
    let messages = records
        .iter()
        .filter_map(|(_, record, key)| Some(convert::message_row(record.message.as_ref()?, *key)));
    writes.insert(messages, "").await?;
    for message in facts.redacted_messages() {
        let mut redaction = Sql::default();
        redaction.push("UPDATE messages SET body = '', metadata = NULL, redacted_at_micros = ");
        redaction
            .bind(message.redacted_at.map(|at| at.0))
            .push(" WHERE position = ")
            .bind(message.position.0);
        writes.add(redaction).await?;
    }
    writes.insert(records.iter().map(|(event, record, _)| convert::event_row(event, record)), "").await?;
    let mut head = Sql::default();
    head.push("UPDATE log_head SET position = ").bind(facts.head.position.0);
    head.push(", chain = ").bind(facts.head.chain.0);
    // Each event moves `now` on, so this is the time of the newest event, or later.
    head.push(", at_micros = ").bind(facts.now.0 - 1).push(" WHERE id = 1");
    writes.add(head).await?;
    writes.send().await
}
