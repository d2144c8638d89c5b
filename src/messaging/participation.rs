//! Who took part when, how far their marks have moved, and which events they may see.

use super::{Audience, ConversationId, Event, Mark, Position, Range, Timestamp, UserId};

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
    /// The conversation.
    pub conversation: ConversationId,
    /// The user.
    pub user: UserId,
    /// The positions between which the user takes part.
    pub interval: Interval,
    /// The time of the event that brought them in.
    pub joined_at: Timestamp,
    /// The user has received every message up to here. It may be behind the position where this participation begins or
    /// ended.
    pub delivered_through: Position,
    /// The user has read every message up to here. Never after `delivered_through`.
    pub read_through: Position,
}

impl Participation {
    /// The participation of a user who just joined. Messages before that position are not theirs to receive.
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

    /// Whether a mark up to `through` covers anything of this part that was not covered before.
    pub fn is_reached(&self, mark: Mark, through: Position) -> bool {
        self.interval.joined < through && self.interval.left.is_none_or(|left| self.through(mark) < left)
    }

    /// Moves the mark forward, never back. A message that is read is also received.
    pub fn advance(&mut self, mark: Mark, through: Position) {
        self.delivered_through = self.delivered_through.max(through);
        if mark == Mark::Read {
            self.read_through = self.read_through.max(through);
        }
    }
}

/// How one viewer sees one event. Viewers with the same view of an event see exactly the same, except for what is
/// asked about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// Which of the messages that a mark covers the viewer sees.
    pub covered: Covered,
    /// Where the viewer left the conversation, if they take no part in it now: all that the event leads to is shown as
    /// it was then. `None` shows it as it is.
    pub as_of: Option<Position>,
}

/// The messages that a mark covers, as far as a viewer sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covered {
    /// Those after this position, up to the one that the mark names. Most viewers took part all the while, and share
    /// this view.
    After(Position),
    /// Those that were sent while this viewer took part, who came and went meanwhile. There may be none: then the mark
    /// is nothing to the viewer.
    StaysOf(UserId),
}

/// What a person who took part during `intervals` sees of `event`; `None` when it is nothing to them. The intervals
/// are in their order.
pub fn view(event: &Event, viewer: UserId, intervals: &[Interval]) -> Option<View> {
    let begun = intervals.partition_point(|interval| interval.joined <= event.position);
    intervals[..begun].last().filter(|interval| interval.holds(event.position))?;
    if let Audience::Only(users) = event.change.audience()
        && !users.contains(&viewer)
    {
        return None;
    }
    let covered = match event.change.covers() {
        Some(range) => covered(viewer, &intervals[..begun], range)?,
        None => Covered::After(Position::START),
    };
    Some(View { covered, as_of: intervals.last()?.left })
}

/// A mark on messages of which the viewer may see none is nothing to the viewer.
fn covered(viewer: UserId, intervals: &[Interval], range: Range) -> Option<Covered> {
    let Range { from, through } = range;
    let first = intervals.partition_point(|interval| interval.left.is_some_and(|left| left <= from));
    let mut meeting = intervals[first..].iter().take_while(|interval| interval.joined < through);
    let first = meeting.next()?;
    if first.holds(through) {
        // No other can come after it.
        return Some(Covered::After(first.joined.max(from)));
    }
    Some(Covered::StaysOf(viewer))
}
