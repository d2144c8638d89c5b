//! Notifications as bytes, for feeds that carry events. The bytes travel between nodes of one herald and are never
//! stored. A node that cannot read them, for example because it is of another version, reads the log instead.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LogNotification;
use crate::messaging::{
    Body, Chain, Change, ConnectionId, ConversationId, Epoch, Event, Message, MessageId, Metadata, Origin,
    Place, Position, Range, Record, ServiceName, SessionId, Timestamp, Unreadable, UserId,
};
use crate::trace::TraceContext;

/// The version of the format. It changes whenever the format or its meaning changes.
const VERSION: u32 = 5;

#[derive(Serialize, Deserialize)]
struct WireNotification {
    version: u32,
    epoch: i64,
    head: i64,
    chain: i64,
    events: Vec<WireEvent>,
    /// As in [`LogNotification`]. A node that does not know this member traces less, and misses nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    traces: Vec<Option<String>>,
}

#[derive(Serialize, Deserialize)]
struct WireEvent {
    position: i64,
    chain: i64,
    at: i64,
    conversation: Uuid,
    actor: Uuid,
    origin: Option<(Uuid, String)>,
    via: Option<String>,
    kind: i64,
    users: Option<Vec<Uuid>>,
    range: Option<(i64, i64)>,
    data: Option<String>,
    /// Its id, text and metadata. Everything else about it is in the event.
    message: Option<(Uuid, String, Option<String>)>,
}

/// Writes a notification, with its events or with the head alone.
pub(super) fn encode(notification: &LogNotification, with_events: bool) -> Vec<u8> {
    let events =
        if with_events { notification.events.iter().map(|event| pack(event)).collect() } else { Vec::new() };
    let traces = notification.traces.iter().map(|trace| trace.as_ref().map(TraceContext::to_text));
    let wire = WireNotification {
        version: VERSION,
        epoch: notification.head.epoch.0,
        head: notification.head.position.0,
        chain: notification.head.chain.0,
        traces: if with_events { traces.collect() } else { Vec::new() },
        events,
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// Reads a notification. `None` when this version of herald cannot.
pub(super) fn decode(bytes: &[u8]) -> Option<LogNotification> {
    let wire: WireNotification = serde_json::from_slice(bytes).ok()?;
    let events =
        wire.events.into_iter().map(|event| unpack(event).map(Arc::new)).collect::<Result<_, _>>().ok()?;
    let head = Place { epoch: Epoch(wire.epoch), position: Position(wire.head), chain: Chain(wire.chain) };
    let traces = wire.traces.iter().map(|text| TraceContext::of_text(text.as_ref()?)).collect();
    (wire.version == VERSION).then_some(LogNotification { head, events, traces })
}

fn pack(event: &Event) -> WireEvent {
    let Record { kind, users, range, data, message } = event.change.record();
    WireEvent {
        position: event.position.0,
        chain: event.chain.0,
        at: event.at.0,
        conversation: event.conversation.0,
        actor: event.actor.0,
        origin: event.origin.as_ref().map(|origin| (origin.session.0, origin.connection.to_string())),
        via: event.via.as_ref().map(ToString::to_string),
        kind,
        users: users.map(|users| users.iter().map(|user| user.0).collect()),
        range: range.map(|range| (range.from.0, range.through.0)),
        data,
        message: message.map(|message| {
            let metadata = message.metadata.as_ref().map(ToString::to_string);
            (message.id.0, message.body.to_string(), metadata)
        }),
    }
}

fn unpack(wire: WireEvent) -> Result<Event, Unreadable> {
    let (position, at) = (Position(wire.position), Timestamp(wire.at));
    let (conversation, actor) = (ConversationId(wire.conversation), UserId(wire.actor));
    let message = wire.message.map(|(id, body, metadata)| {
        Arc::new(Message {
            position,
            id: MessageId(id),
            conversation,
            sender: actor,
            body: Body::trusted(body),
            metadata: metadata.map(Metadata::trusted),
            sent_at: at,
            redacted_at: None,
        })
    });
    let record = Record {
        kind: wire.kind,
        users: wire.users.map(|ids| ids.into_iter().map(UserId).collect()),
        range: wire.range.map(|(from, through)| Range { from: Position(from), through: Position(through) }),
        data: wire.data,
        message,
    };
    let origin = wire.origin.map(|(session, connection)| Origin {
        session: SessionId(session),
        connection: ConnectionId::trusted(connection),
    });
    let change = Change::read(record)?;
    let via = wire.via.map(ServiceName::trusted);
    Ok(Event { position, chain: Chain(wire.chain), at, conversation, actor, origin, via, change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messaging::{
        Audience, Description, Joined, Left, Mark, Marked, Redacted, Removed, Renamed, Sent, Started, Title,
        Updated,
    };

    fn event(position: i64, change: Change) -> Arc<Event> {
        Arc::new(Event {
            position: Position(position),
            chain: Chain(-position),
            at: Timestamp(1_764_000_000_000),
            conversation: ConversationId(Uuid::from_u128(1)),
            actor: UserId(Uuid::from_u128(2)),
            origin: (position % 2 == 0).then(|| Origin {
                session: SessionId(Uuid::from_u128(3)),
                connection: ConnectionId::trusted("desk"),
            }),
            via: (position % 3 == 0).then(|| ServiceName::trusted("crm")),
            change,
        })
    }

    fn notification() -> LogNotification {
        let users: Arc<[UserId]> = [2, 4].into_iter().map(Uuid::from_u128).map(UserId).collect();
        let message = Arc::new(Message {
            position: Position(14),
            id: MessageId(Uuid::from_u128(5)),
            conversation: ConversationId(Uuid::from_u128(1)),
            sender: UserId(Uuid::from_u128(2)),
            body: Body::trusted("\u{1f54a} \"quoted\"\n"),
            metadata: Some(Metadata::trusted("{\"a\":1}")),
            sent_at: Timestamp(1_764_000_000_000),
            redacted_at: None,
        });
        let range = Range { from: Position(13), through: Position(14) };
        let marked = |mark, audience| Marked { mark, range, audience }.into();
        let changes = [
            Started { users: Arc::clone(&users) }.into(),
            Joined { users: Arc::clone(&users) }.into(),
            Left { successor: None }.into(),
            Sent { message }.into(),
            marked(Mark::Delivered, Audience::Everyone),
            marked(Mark::Read, Audience::Only(Arc::clone(&users))),
            marked(Mark::Delivered, Audience::Oneself),
            marked(Mark::Read, Audience::Oneself),
            Renamed { title: Some(Title::trusted("New")), former: None }.into(),
            Left { successor: Some(users[0]) }.into(),
            Removed { users }.into(),
            Redacted { position: Position(14) }.into(),
            Updated {
                to: Description { title: None, metadata: Some(Metadata::trusted("[1]")) },
                former: Description::default(),
            }
            .into(),
        ];
        let events = (11..).zip(changes).map(|(position, change)| event(position, change)).collect();
        let head = Place { epoch: Epoch(-9), position: Position(21), chain: Chain(-21) };
        let traces =
            vec![None, TraceContext::of_text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
        LogNotification { head, events, traces }
    }

    #[test]
    fn a_notification_arrives_as_it_was_sent() {
        let sent = notification();
        let received = decode(&encode(&sent, true)).unwrap();
        assert_eq!((received.head, &received.events), (sent.head, &sent.events));
        assert_eq!(received.traces, sent.traces);
        let received = decode(&encode(&sent, false)).unwrap();
        assert_eq!((received.head, received.events.len(), received.traces.len()), (sent.head, 0, 0));
    }

    #[test]
    fn bytes_of_another_version_are_ignored() {
        let bytes = encode(&notification(), true);
        assert!(decode(&bytes[..bytes.len() - 1]).is_none());
        assert!(decode(b"").is_none());
        let newer = String::from_utf8(bytes).unwrap().replace("\"version\":5", "\"version\":6");
        assert!(decode(newer.as_bytes()).is_none());
    }
}
