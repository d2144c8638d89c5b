//! Between rows and the types of `messaging`, both ways, in one place.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::ActiveValue::Set;
use sea_orm::DbErr;
use uuid::Uuid;

use super::entities::{conversation, event, message, participant, start};
use crate::messaging::{
    Audience, Body, Chain, Change, ConnectionId, Conversation, ConversationId, Event, IdempotencyKey,
    Interval, KeyedStart, Mark, Message, MessageId, Origin, Participation, People, Position, Request,
    SessionId, Timestamp, Title, UserId,
};

/// How the kinds of events are numbered in the table. Never renumber: the numbers are in people's databases.
pub(super) mod kind {
    pub(in crate::log) const STARTED: i64 = 1;
    pub(in crate::log) const JOINED: i64 = 2;
    pub(in crate::log) const LEFT: i64 = 3;
    pub(in crate::log) const SENT: i64 = 4;
    pub(in crate::log) const DELIVERED: i64 = 5;
    pub(in crate::log) const READ: i64 = 6;
}

pub(super) fn kind_of_mark(mark: Mark) -> i64 {
    match mark {
        Mark::Delivered => kind::DELIVERED,
        Mark::Read => kind::READ,
    }
}

pub(super) fn message(row: message::Model) -> Message {
    Message {
        position: Position(row.position),
        id: MessageId(row.id),
        conversation: ConversationId(row.conversation_id),
        sender: UserId(row.sender_id),
        body: Body::trusted(row.body),
        sent_at: Timestamp(row.sent_at_micros),
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
    }
}

pub(super) fn conversation(row: conversation::Model) -> Conversation {
    Conversation {
        id: ConversationId(row.id),
        title: row.title.map(Title::trusted),
        created_at: Timestamp(row.created_at),
        latest: Position(row.latest_position),
        participants: u32::try_from(row.participant_count).unwrap_or(0),
        people: row.people.and_then(|people| people.try_into().ok()).map(People),
    }
}

pub(super) fn conversation_row(conversation: &Conversation) -> conversation::ActiveModel {
    conversation::ActiveModel {
        id: Set(conversation.id.0),
        title: Set(conversation.title.as_ref().map(ToString::to_string)),
        created_at: Set(conversation.created_at.0),
        latest_position: Set(conversation.latest.0),
        participant_count: Set(i64::from(conversation.participants)),
        people: Set(conversation.people.map(|people| people.0.to_vec())),
    }
}

/// `None` for a row that herald did not write.
pub(super) fn start(row: start::Model) -> Option<KeyedStart> {
    Some(KeyedStart {
        actor: UserId(row.actor_id),
        key: IdempotencyKey::trusted(row.idempotency_key),
        request: Request(row.request.try_into().ok()?),
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
    }
}

pub(super) fn event_row(event: &Event) -> event::ActiveModel {
    let (kind, users, range) = match &event.change {
        Change::Started { users } => (kind::STARTED, Some(users), None),
        Change::Joined { users } => (kind::JOINED, Some(users), None),
        Change::Left => (kind::LEFT, None, None),
        Change::Sent(_) => (kind::SENT, None, None),
        Change::Marked { mark, from, through, audience } => {
            let told = match audience {
                Audience::Everyone => None,
                Audience::Only(users) => Some(users),
            };
            (kind_of_mark(*mark), told, Some((from.0, through.0)))
        }
    };
    event::ActiveModel {
        position: Set(event.position.0),
        kind: Set(kind),
        conversation_id: Set(event.conversation.0),
        actor_id: Set(event.actor.0),
        origin_session: Set(event.origin.as_ref().map(|o| o.session.0)),
        origin_connection: Set(event.origin.as_ref().map(|o| o.connection.to_string())),
        users: Set(users.map(|users| users.iter().flat_map(|u| *u.0.as_bytes()).collect())),
        from_position: Set(range.map(|r| r.0)),
        through_position: Set(range.map(|r| r.1)),
        at_micros: Set(event.at.0),
        chain: Set(event.chain.0),
    }
}

/// Reads an event; what a `SENT` row sent is looked up in `messages`.
pub(super) fn event(row: event::Model, messages: &HashMap<i64, Arc<Message>>) -> Result<Event, DbErr> {
    let broken = |what: &str| DbErr::Custom(format!("event {} has {what}", row.position));
    let users = row.users.as_deref().map(users);
    let mark = |mark| -> Result<Change, DbErr> {
        Ok(Change::Marked {
            mark,
            from: Position(row.from_position.ok_or_else(|| broken("no beginning"))?),
            through: Position(row.through_position.ok_or_else(|| broken("no end"))?),
            audience: users.clone().map_or(Audience::Everyone, Audience::Only),
        })
    };
    let change = match row.kind {
        kind::STARTED => Change::Started { users: users.ok_or_else(|| broken("no users"))? },
        kind::JOINED => Change::Joined { users: users.ok_or_else(|| broken("no users"))? },
        kind::LEFT => Change::Left,
        kind::SENT => {
            let message = messages.get(&row.position).ok_or_else(|| broken("no message"))?;
            Change::Sent(Arc::clone(message))
        }
        kind::DELIVERED => mark(Mark::Delivered)?,
        kind::READ => mark(Mark::Read)?,
        _ => return Err(broken("a kind that this version of herald does not know")),
    };
    Ok(Event {
        position: Position(row.position),
        chain: Chain(row.chain),
        at: Timestamp(row.at_micros),
        conversation: ConversationId(row.conversation_id),
        actor: UserId(row.actor_id),
        origin: row.origin_session.zip(row.origin_connection).map(|(session, connection)| Origin {
            session: SessionId(session),
            connection: ConnectionId::trusted(connection),
        }),
        change,
    })
}

fn users(bytes: &[u8]) -> Arc<[UserId]> {
    bytes.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).map(UserId).collect()
}
