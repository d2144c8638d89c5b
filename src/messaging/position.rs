//! Places in the log, and instants. Positions give the order of events; clocks never do.

use sha2::{Digest, Sha256};

use super::{Event, Range};

/// A position in the log. The first event has position 1, and [`Position::START`] is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub i64);

impl Position {
    /// The position before the first event.
    pub const START: Self = Self(0);

    /// The position right after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Microseconds since 1970-01-01 in UTC. The times of events strictly increase with their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest instant after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A random number that names one unbroken history of the log. herald draws a new one when it creates the database,
/// when the log does not continue the events that a node knows, and when an operator asks for it. A cursor is valid
/// only in its own epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub i64);

/// A digest of the log up to a position. It covers the event at the position and the chain before it. So two logs that
/// differ anywhere before a position have different chains there, although they have the same positions.
///
/// It has 64 bits. That is enough against chance. A forged chain gains nothing: a viewer sees only what they may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chain(pub i64);

impl Chain {
    /// The chain before the first event. In a log from an earlier version, the events without a chain have it too.
    pub const START: Self = Self(0);

    /// The chain at `event`, which comes right after the place with this chain. It covers everything in the event
    /// except the text and the metadata of a message, which may be redacted.
    #[must_use]
    pub fn after(self, event: &Event) -> Self {
        let mut digest = Sha256::new();
        for number in [self.0, event.position.0, event.at.0] {
            digest.update(number.to_be_bytes());
        }
        digest.update(event.conversation.0.as_bytes());
        digest.update(event.actor.0.as_bytes());
        if let Some(origin) = &event.origin {
            let name = origin.connection.as_str();
            digest.update(origin.session.0.as_bytes());
            digest.update(name.len().to_be_bytes());
            digest.update(name);
        }
        let record = event.change.record();
        // One byte is enough, because kinds have small numbers.
        digest.update(&record.kind.to_be_bytes()[7..]);
        for user in record.users.iter().flat_map(|users| users.iter()) {
            digest.update(user.0.as_bytes());
        }
        if let Some(message) = &record.message {
            digest.update(message.id.0.as_bytes());
        }
        if let Some(Range { from, through }) = record.range {
            digest.update(from.0.to_be_bytes());
            digest.update(through.0.to_be_bytes());
        }
        if let Some(data) = &record.data {
            digest.update(data);
        }
        if let Some(via) = &event.via {
            // No text has this byte, so that the name is told from data before it.
            digest.update([0xff]);
            digest.update(via.as_str().len().to_be_bytes());
            digest.update(via.as_str());
        }
        let digest = digest.finalize();
        Self(i64::from_be_bytes(std::array::from_fn(|index| digest[index])))
    }
}

/// A place in one particular log. A cursor names a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The position in the log.
    pub position: Position,
    /// The chain of the log at the position.
    pub chain: Chain,
}

impl Place {
    /// The place of `event` in the same log.
    #[must_use]
    pub fn at(self, event: &Event) -> Self {
        Self { epoch: self.epoch, position: event.position, chain: event.chain }
    }

    /// Whether `event` comes right after this place in the same log. Both its position and its chain must fit.
    pub fn is_continued_by(&self, event: &Event) -> bool {
        event.position == self.position.next() && event.chain == self.chain.after(event)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::messaging::{
        Audience, Change, ConnectionId, ConversationId, Description, Joined, Left, Mark, Marked, Metadata,
        Origin, Redacted, Removed, Renamed, ServiceName, SessionId, Started, Title, Updated, UserId,
    };

    #[test]
    fn any_difference_in_an_event_changes_its_chain() {
        let id = Uuid::from_u128;
        let users = |ids: &[u128]| ids.iter().map(|n| UserId(id(*n))).collect::<Vec<_>>().into();
        let marked = |mark, from, through, audience| {
            let range = Range { from: Position(from), through: Position(through) };
            Change::from(Marked { mark, range, audience })
        };
        let title = |text: &str| (!text.is_empty()).then(|| Title::trusted(text));
        let renamed = |to, from| Change::from(Renamed { title: title(to), former: title(from) });
        let updated = |metadata: Option<&str>, former: &str| {
            let metadata = metadata.map(Metadata::trusted);
            let former = Description { title: title(former), metadata: None };
            Updated { to: Description { title: None, metadata }, former }
        };
        let event = Event {
            position: Position(7),
            chain: Chain::START,
            at: Timestamp(5),
            conversation: ConversationId(id(1)),
            actor: UserId(id(2)),
            origin: None,
            via: None,
            change: Left { successor: None }.into(),
        };
        let origin =
            |name| Some(Origin { session: SessionId(id(3)), connection: ConnectionId::trusted(name) });
        let via = |name| Some(ServiceName::trusted(name));
        let only = |ids| Audience::Only(users(ids));
        let others = [
            event.clone(),
            Event { position: Position(8), ..event.clone() },
            Event { at: Timestamp(6), ..event.clone() },
            Event { conversation: ConversationId(id(9)), ..event.clone() },
            Event { actor: UserId(id(9)), ..event.clone() },
            Event { origin: origin("a"), ..event.clone() },
            Event { origin: origin("b"), ..event.clone() },
            Event { via: via("a"), ..event.clone() },
            Event { via: via("b"), ..event.clone() },
            Event { via: via("a"), origin: origin("a"), ..event.clone() },
            Event { via: via("a"), change: renamed("b", "a"), ..event.clone() },
            Event { change: Started { users: users(&[2, 3]) }.into(), ..event.clone() },
            Event { change: Joined { users: users(&[2, 3]) }.into(), ..event.clone() },
            Event { change: Joined { users: users(&[2]) }.into(), ..event.clone() },
            Event { change: marked(Mark::Read, 1, 2, Audience::Everyone), ..event.clone() },
            Event { change: marked(Mark::Delivered, 1, 2, Audience::Everyone), ..event.clone() },
            Event { change: marked(Mark::Delivered, 0, 2, Audience::Everyone), ..event.clone() },
            Event { change: marked(Mark::Delivered, 1, 3, Audience::Everyone), ..event.clone() },
            Event { change: marked(Mark::Delivered, 1, 2, only(&[2])), ..event.clone() },
            Event { change: marked(Mark::Delivered, 1, 2, Audience::Oneself), ..event.clone() },
            Event { change: marked(Mark::Read, 1, 2, Audience::Oneself), ..event.clone() },
            Event { change: Left { successor: Some(UserId(id(3))) }.into(), ..event.clone() },
            Event { change: Removed { users: users(&[2, 3]) }.into(), ..event.clone() },
            Event { change: updated(None, "a").into(), ..event.clone() },
            Event { change: updated(Some("a"), "a").into(), ..event.clone() },
            Event { change: Redacted { position: Position(2) }.into(), ..event.clone() },
            Event { change: Redacted { position: Position(3) }.into(), ..event.clone() },
            Event { change: renamed("a", ""), ..event.clone() },
            Event { change: renamed("", "a"), ..event.clone() },
            Event { change: renamed("b", "a"), ..event.clone() },
        ];
        let chains: std::collections::HashSet<Chain> =
            others.iter().flat_map(|other| [Chain(0), Chain(1)].map(|chain| chain.after(other))).collect();
        assert_eq!(chains.len(), 2 * others.len());
    }

    #[test]
    fn the_chain_of_what_no_service_did_is_the_one_that_earlier_versions_stored() {
        let event = Event {
            position: Position(7),
            chain: Chain::START,
            at: Timestamp(5),
            conversation: ConversationId(Uuid::from_u128(1)),
            actor: UserId(Uuid::from_u128(2)),
            origin: None,
            via: None,
            change: Left { successor: None }.into(),
        };
        // The first eight bytes of SHA-256 over 0, 7, 5, the two ids and the number of the kind, computed elsewhere.
        assert_eq!(Chain::START.after(&event), Chain(457_404_677_032_524_579));
    }
}
