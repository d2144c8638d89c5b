//! News as bytes, for the feeds that bring events along. They travel between nodes of one herald and are never kept: a
//! node that does not understand them, of another version perhaps, reads the log instead.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::News;
use crate::messaging::{
    Audience, Body, Chain, Change, ConnectionId, ConversationId, Epoch, Event, Mark, Message, MessageId,
    Origin, Place, Position, SessionId, Timestamp, UserId,
};

/// Changed whenever what follows changes its meaning.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct WireNews {
    version: u32,
    epoch: i64,
    head: i64,
    chain: i64,
    events: Vec<WireEvent>,
}

#[derive(Serialize, Deserialize)]
struct WireEvent {
    position: i64,
    chain: i64,
    at: i64,
    conversation: Uuid,
    actor: Uuid,
    origin: Option<(Uuid, String)>,
    change: WireChange,
}

#[derive(Serialize, Deserialize)]
enum WireChange {
    Started(Vec<Uuid>),
    Joined(Vec<Uuid>),
    Left,
    /// Where, when and by whom is that of the event.
    Sent {
        id: Uuid,
        body: String,
    },
    Marked {
        read: bool,
        from: i64,
        through: i64,
        only: Option<Vec<Uuid>>,
    },
}

/// Writes news, with the events or only how far the log has grown.
pub(super) fn encode(news: &News, with_events: bool) -> Vec<u8> {
    let events = if with_events { news.events.iter().map(|event| pack(event)).collect() } else { Vec::new() };
    let Place { epoch, position, chain } = news.head;
    let wire = WireNews { version: VERSION, epoch: epoch.0, head: position.0, chain: chain.0, events };
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// Reads news; `None` when they are not understood.
pub(super) fn decode(bytes: &[u8]) -> Option<News> {
    let wire: WireNews = serde_json::from_slice(bytes).ok()?;
    let events = wire.events.into_iter().map(|event| Arc::new(unpack(event))).collect();
    let head = Place { epoch: Epoch(wire.epoch), position: Position(wire.head), chain: Chain(wire.chain) };
    (wire.version == VERSION).then_some(News { head, events })
}

fn pack(event: &Event) -> WireEvent {
    WireEvent {
        position: event.position.0,
        chain: event.chain.0,
        at: event.at.0,
        conversation: event.conversation.0,
        actor: event.actor.0,
        origin: event.origin.as_ref().map(|origin| (origin.session.0, origin.connection.to_string())),
        change: match &event.change {
            Change::Started { users } => WireChange::Started(ids(users)),
            Change::Joined { users } => WireChange::Joined(ids(users)),
            Change::Left => WireChange::Left,
            Change::Sent(message) => {
                WireChange::Sent { id: message.id.0, body: message.body.as_str().to_owned() }
            }
            Change::Marked { mark, from, through, audience } => WireChange::Marked {
                read: *mark == Mark::Read,
                from: from.0,
                through: through.0,
                only: match audience {
                    Audience::Everyone => None,
                    Audience::Only(users) => Some(ids(users)),
                },
            },
        },
    }
}

fn unpack(wire: WireEvent) -> Event {
    let (position, at) = (Position(wire.position), Timestamp(wire.at));
    let (conversation, actor) = (ConversationId(wire.conversation), UserId(wire.actor));
    let change = match wire.change {
        WireChange::Started(ids) => Change::Started { users: users(ids) },
        WireChange::Joined(ids) => Change::Joined { users: users(ids) },
        WireChange::Left => Change::Left,
        WireChange::Sent { id, body } => {
            let (id, body) = (MessageId(id), Body::trusted(body));
            Change::Sent(Arc::new(Message { position, id, conversation, sender: actor, body, sent_at: at }))
        }
        WireChange::Marked { read, from, through, only } => Change::Marked {
            mark: if read { Mark::Read } else { Mark::Delivered },
            from: Position(from),
            through: Position(through),
            audience: only.map_or(Audience::Everyone, |only| Audience::Only(users(only))),
        },
    };
    let origin = wire.origin.map(|(session, connection)| Origin {
        session: SessionId(session),
        connection: ConnectionId::trusted(connection),
    });
    Event { position, chain: Chain(wire.chain), at, conversation, actor, origin, change }
}

fn ids(users: &[UserId]) -> Vec<Uuid> {
    users.iter().map(|user| user.0).collect()
}

fn users(ids: Vec<Uuid>) -> Arc<[UserId]> {
    ids.into_iter().map(UserId).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            change,
        })
    }

    fn news() -> News {
        let users: Arc<[UserId]> = [2, 4].into_iter().map(Uuid::from_u128).map(UserId).collect();
        let message = Arc::new(Message {
            position: Position(14),
            id: MessageId(Uuid::from_u128(5)),
            conversation: ConversationId(Uuid::from_u128(1)),
            sender: UserId(Uuid::from_u128(2)),
            body: Body::trusted("\u{1f54a} \"quoted\"\n"),
            sent_at: Timestamp(1_764_000_000_000),
        });
        let (from, through) = (Position(13), Position(14));
        let marked = |mark, audience| Change::Marked { mark, from, through, audience };
        let changes = [
            Change::Started { users: Arc::clone(&users) },
            Change::Joined { users: Arc::clone(&users) },
            Change::Left,
            Change::Sent(message),
            marked(Mark::Delivered, Audience::Everyone),
            marked(Mark::Read, Audience::Only(users)),
        ];
        let events = (11..).zip(changes).map(|(position, change)| event(position, change)).collect();
        let head = Place { epoch: Epoch(-9), position: Position(16), chain: Chain(-16) };
        News { head, events }
    }

    #[test]
    fn news_arrive_as_they_were_sent() {
        let sent = news();
        let heard = decode(&encode(&sent, true)).unwrap();
        assert_eq!((heard.head, &heard.events), (sent.head, &sent.events));
        let heard = decode(&encode(&sent, false)).unwrap();
        assert_eq!((heard.head, heard.events.len()), (sent.head, 0));
    }

    #[test]
    fn what_is_not_understood_is_no_news() {
        let bytes = encode(&news(), true);
        assert!(decode(&bytes[..bytes.len() - 1]).is_none());
        assert!(decode(b"").is_none());
        let newer = String::from_utf8(bytes).unwrap().replace("\"version\":2", "\"version\":3");
        assert!(decode(newer.as_bytes()).is_none());
    }
}
