//! Converts between rows and the types of `messaging`, both ways.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::entities::{conversation, event, message, participant, start};
use super::error::{InconsistentRow, Problem};
use crate::messaging::{
    Body, Chain, Change, ConnectionId, Conversation, ConversationId, Event, IdempotencyKey, Interval,
    KeyedStart, Message, MessageId, Metadata, Origin, Participation, People, Position, Range, Reason, Record,
    Request, ServiceName, SessionId, Timestamp, Title, Undeliverable, Unreadable, UserId,
};

pub(super) fn message(row: message::Model) -> Message {
    Message {
        position: Position(row.position),
        id: MessageId(row.id),
        conversation: ConversationId(row.conversation_id),
        sender: UserId(row.sender_id),
        body: Body::trusted(row.body),
        metadata: row.metadata.map(Metadata::trusted),
        sent_at: Timestamp(row.sent_at_micros),
        redacted_at: row.redacted_at_micros.map(Timestamp),
    }
}

pub(super) fn message_row(message: &Message, key: Option<&IdempotencyKey>) -> message::ActiveModel {
    message::ActiveModel {
        position: Set(message.position.0),
        id: Set(message.id.0),
        conversation_id: Set(message.conversation.0),
        sender_id: Set(message.sender.0),
        body: Set(message.body.to_string()),
        idempotency_key: Set(key.map(ToString::to_string)),
        sent_at_micros: Set(message.sent_at.0),
        metadata: Set(message.metadata.as_ref().map(ToString::to_string)),
        redacted_at_micros: Set(message.redacted_at.map(|at| at.0)),
    }
}

pub(super) fn conversation(row: conversation::Model) -> Result<Conversation, InconsistentRow> {
    let inconsistent = |column| {
        move |problem| InconsistentRow { table: "conversations", column, id: row.id.to_string(), problem }
    };
    Ok(Conversation {
        id: ConversationId(row.id),
        title: row.title.map(Title::trusted),
        metadata: row.metadata.map(Metadata::trusted),
        created_at: Timestamp(row.created_at),
        latest: Position(row.latest_position),
        participants: u32::try_from(row.participant_count)
            // The integer's own error says no more.
            .map_err(|_| Problem::OutOfRange(row.participant_count))
            .map_err(inconsistent("participant_count"))?,
        people: row.people.map(digest).transpose().map_err(inconsistent("people"))?.map(People),
    })
}

pub(super) fn conversation_row(conversation: &Conversation) -> conversation::ActiveModel {
    conversation::ActiveModel {
        id: Set(conversation.id.0),
        title: Set(conversation.title.as_ref().map(ToString::to_string)),
        created_at: Set(conversation.created_at.0),
        latest_position: Set(conversation.latest.0),
        participant_count: Set(i64::from(conversation.participants)),
        people: Set(conversation.people.map(|people| people.0.to_vec())),
        metadata: Set(conversation.metadata.as_ref().map(ToString::to_string)),
    }
}

pub(super) fn start(row: start::Model) -> Result<KeyedStart, InconsistentRow> {
    let request = digest(row.request).map_err(|problem| InconsistentRow {
        table: "starts",
        column: "request",
        id: format!("({}, {:?})", row.actor_id, row.idempotency_key),
        problem,
    })?;
    Ok(KeyedStart {
        actor: UserId(row.actor_id),
        key: IdempotencyKey::trusted(row.idempotency_key),
        request: Request(request),
        conversation: ConversationId(row.conversation_id),
    })
}

pub(super) fn start_row(start: &KeyedStart) -> start::ActiveModel {
    start::ActiveModel {
        actor_id: Set(start.actor.0),
        idempotency_key: Set(start.key.to_string()),
        request: Set(start.request.0.to_vec()),
        conversation_id: Set(start.conversation.0),
    }
}

pub(super) fn participation(row: &participant::Model) -> Participation {
    Participation {
        conversation: ConversationId(row.conversation_id),
        user: UserId(row.user_id),
        interval: Interval { joined: Position(row.joined_position), left: row.left_position.map(Position) },
        joined_at: Timestamp(row.joined_at),
        delivered_through: Position(row.delivered_through),
        read_through: Position(row.read_through),
        delivered_shared_after: row.delivered_shared_after.map(Position),
        read_shared_after: row.read_shared_after.map(Position),
        owner_since: row.owner_since.map(Position),
    }
}

pub(super) fn participation_row(part: &Participation) -> participant::ActiveModel {
    participant::ActiveModel {
        conversation_id: Set(part.conversation.0),
        user_id: Set(part.user.0),
        joined_position: Set(part.interval.joined.0),
        joined_at: Set(part.joined_at.0),
        left_position: Set(part.interval.left.map(|p| p.0)),
        delivered_through: Set(part.delivered_through.0),
        read_through: Set(part.read_through.0),
        delivered_shared_after: Set(part.delivered_shared_after.map(|after| after.0)),
        read_shared_after: Set(part.read_shared_after.map(|after| after.0)),
        owner_since: Set(part.owner_since.map(|since| since.0)),
    }
}

pub(super) fn event_row(event: &Event, record: &Record) -> event::ActiveModel {
    let bytes = |users: &Arc<[UserId]>| users.iter().flat_map(|user| *user.0.as_bytes()).collect();
    event::ActiveModel {
        position: Set(event.position.0),
        kind: Set(record.kind),
        conversation_id: Set(event.conversation.0),
        actor_id: Set(event.actor.0),
        origin_session: Set(event.origin.as_ref().map(|o| o.session.0)),
        origin_connection: Set(event.origin.as_ref().map(|o| o.connection.to_string())),
        users: Set(record.users.as_ref().map(bytes)),
        from_position: Set(record.range.map(|range| range.from.0)),
        through_position: Set(record.range.map(|range| range.through.0)),
        data: Set(record.data.clone()),
        at_micros: Set(event.at.0),
        chain: Set(event.chain.0),
        via: Set(event.via.as_ref().map(ToString::to_string)),
    }
}

/// Reads an event. If the event sent a message, `messages` must have it under the event's position.
pub(super) fn event(
    row: event::Model,
    messages: &HashMap<i64, Arc<Message>>,
) -> Result<Event, InconsistentRow> {
    let position = row.position;
    let inconsistent =
        |column, problem| InconsistentRow { table: "events", column, id: position.to_string(), problem };
    let range = |(from, through)| Range { from: Position(from), through: Position(through) };
    let record = Record {
        kind: row.kind,
        users: row
            .users
            .as_deref()
            .map(users)
            .transpose()
            .map_err(|problem| inconsistent("users", problem))?,
        range: row.from_position.zip(row.through_position).map(range),
        data: row.data,
        message: messages.get(&position).cloned(),
    };
    Ok(Event {
        position: Position(position),
        chain: Chain(row.chain),
        at: Timestamp(row.at_micros),
        conversation: ConversationId(row.conversation_id),
        actor: UserId(row.actor_id),
        origin: row.origin_session.zip(row.origin_connection).map(|(session, connection)| Origin {
            session: SessionId(session),
            connection: ConnectionId::trusted(connection),
        }),
        via: row.via.map(ServiceName::trusted),
        change: Change::read(record).map_err(|unreadable| {
            let column = match unreadable {
                Unreadable::Kind | Unreadable::Missing(_) => "kind",
                Unreadable::Malformed(_) => "data",
            };
            inconsistent(column, unreadable.into())
        })?,
    })
}

/// Reads the reason in the data of an event that says that a message was undeliverable.
pub(super) fn reason(position: i64, data: Option<String>) -> Result<Reason, InconsistentRow> {
    let read = data.ok_or(Unreadable::Missing("data")).and_then(|data| Undeliverable::reason_in(&data));
    read.map_err(|unreadable| InconsistentRow {
        table: "events",
        column: "data",
        id: position.to_string(),
        problem: unreadable.into(),
    })
}

fn users(bytes: &[u8]) -> Result<Arc<[UserId]>, Problem> {
    let (ids, []) = bytes.as_chunks::<16>() else {
        return Err(Problem::Length { bytes: bytes.len(), expected: "16 for each user" });
    };
    Ok(ids.iter().map(|id| UserId(Uuid::from_bytes(*id))).collect())
}

/// Reads a digest of SHA-256.
pub(super) fn digest(bytes: Vec<u8>) -> Result<[u8; 32], Problem> {
    bytes.try_into().map_err(|bytes: Vec<u8>| Problem::Length { bytes: bytes.len(), expected: "32" })
}
