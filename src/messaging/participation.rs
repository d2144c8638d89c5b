//! Who took part when, how far their marks have come, and what they may therefore see.

use super::{Audience, Change, ConversationId, Event, Mark, Position, Timestamp, UserId};

/// The part of the log during which someone takes part: from the event that brought them in up to and with
/// the event by which they left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The event that brought them in.
    pub joined: Position,
    /// The event by which they left; absent while they take part.
    pub left: Option<Position>,
}

impl Interval {
    /// Whether what happened at `position` happened while they took part.
    pub fn holds(&self, position: Position) -> bool {
        self.joined <= position && self.left.is_none_or(|left| position <= left)
    }
}

/// One person's part in one conversation, from one joining to one leaving. Whoever comes back begins another,
/// and brings along how far their marks had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participation {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// When, in positions.
    pub interval: Interval,
    /// When they joined, by the clock.
    pub joined_at: Timestamp,
    /// Everything up to here has been received.
    pub delivered_through: Position,
    /// Everything up to here has been read. Never beyond `delivered_through`.
    pub read_through: Position,
}

impl Participation {
    /// Someone who just joined: nothing before that concerns them.
    pub fn new(conversation: ConversationId, user: UserId, joined: Position, at: Timestamp) -> Self {
        Self {
            conversation,
            user,
            interval: Interval { joined, left: None },
            joined_at: at,
            delivered_through: joined,
            read_through: joined,
        }
    }

    /// Whether they take part now.
    pub fn is_open(&self) -> bool {
        self.interval.left.is_none()
    }

    /// How far the given mark has come.
    pub fn through(&self, mark: Mark) -> Position {
        match mark {
            Mark::Delivered => self.delivered_through,
            Mark::Read => self.read_through,
        }
    }

    /// Moves the mark forward, never back. To have read is to have received.
    pub fn advance(&mut self, mark: Mark, through: Position) {
        self.delivered_through = self.delivered_through.max(through);
        if mark == Mark::Read {
            self.read_through = self.read_through.max(through);
        }
    }
}

/// How one viewer sees one event. Viewers with the same view of an event see exactly the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// Of the messages that a mark covers, the viewer sees those after this position.
    pub after: Position,
}

/// What a person who took part during `intervals` sees of `event`; `None` when it is nothing to them.
pub fn view(event: &Event, viewer: UserId, intervals: &[Interval]) -> Option<View> {
    let holding = |position| intervals.iter().find(|interval| interval.holds(position));
    holding(event.position)?;
    match &event.change {
        Change::Marked { from, through, audience, .. } => {
            if let Audience::Only(users) = audience
                && !users.contains(&viewer)
            {
                return None;
            }
            // A mark on a message that the viewer may not see is nothing to the viewer.
            let interval = holding(*through)?;
            Some(View { after: interval.joined.max(*from) })
        }
        _ => Some(View { after: Position::START }),
    }
}
