//! Who took part when, how far their marks have moved, and which events they may see.

use super::{Audience, ConversationId, Event, Mark, Position, Range, Timestamp, UserId};

/// The positions of the log during which a user takes part: from the event that brought them in through the event by
/// which they left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The position of the event that brought them in.
    pub joined: Position,
    /// The position of the event by which they left; `None` while they take part.
    pub left: Option<Position>,
}

impl Interval {
    /// Whether they took part at `position`.
    pub fn holds(&self, position: Position) -> bool {
        self.joined <= position && self.left.is_none_or(|left| position <= left)
    }
}

/// What a participant may do beyond taking part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// May also change the conversation and remove people. A conversation in which somebody takes part has one owner.
    Owner,
    /// Takes part, and no more.
    Member,
}

/// The participation of one user in one conversation, from one joining to one leaving. A user who comes back begins
/// another one, and keeps their marks.
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
    /// The user has received every message up to this position. It may be before or after the positions of this
    /// participation.
    pub delivered_through: Position,
    /// The user has read every message up to this position. It is never after `delivered_through`.
    pub read_through: Position,
    /// Others are told of messages after this position when the user receives them; `None` while the user does not
    /// share this. Positions up to it that were not told before stay untold.
    pub delivered_shared_after: Option<Position>,
    /// The same for messages that the user reads. `None` while the user does not share what they receive.
    pub read_shared_after: Option<Position>,
    /// The position of the event since which the user owns the conversation; `None` for a member. Whoever owns it does so
    /// until they leave.
    pub owner_since: Option<Position>,
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
            delivered_shared_after: Some(Position::START),
            read_shared_after: Some(Position::START),
            owner_since: None,
        }
    }

    /// The role as of a position; `None` stands for now.
    pub fn role(&self, as_of: Option<Position>) -> Role {
        match self.owner_since {
            Some(since) if as_of.is_none_or(|as_of| since <= as_of) => Role::Owner,
            _ => Role::Member,
        }
    }

    /// Whether the user takes part now.
    pub fn is_open(&self) -> bool {
        self.interval.left.is_none()
    }

    /// The position of this mark.
    pub fn through(&self, mark: Mark) -> Position {
        match mark {
            Mark::Delivered => self.delivered_through,
            Mark::Read => self.read_through,
        }
    }

    /// The position after which others are told of this mark; `None` while they are not.
    pub fn shared_after(&self, mark: Mark) -> Option<Position> {
        match mark {
            Mark::Delivered => self.delivered_shared_after,
            Mark::Read => self.read_shared_after,
        }
    }

    /// Whether moving the mark to `through` covers positions of this participation that it did not cover before.
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

/// How one viewer sees one event. Viewers with the same view of an event see the same, except for fields about
/// themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// The messages that the viewer sees, of those that a mark covers.
    pub covered: Covered,
    /// The position at which the viewer left the conversation; `None` while they take part. Everything that the event
    /// leads to is shown as it was there.
    pub as_of: Option<Position>,
}

impl View {
    /// The view of a service, which follows the whole log and sees each event as it is now. It is the view of a user who
    /// took part all the time, so that they share what the event is rendered to. `None` for what the actor keeps to
    /// themselves.
    pub fn of_service(event: &Event) -> Option<Self> {
        if *event.change.audience() == Audience::Oneself {
            return None;
        }
        let from = event.change.covers().map_or(Position::START, |range| range.from);
        Some(Self { covered: Covered::After(from), as_of: None })
    }
}

/// The messages that a viewer sees, of those that a mark covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covered {
    /// The messages after this position, up to the one that the mark names. Most viewers took part during all of it,
    /// and share this view.
    After(Position),
    /// The messages that were sent while this viewer took part. The viewer left or joined in between. There may be no
    /// such message; then the viewer does not see the event.
    StaysOf(UserId),
}

/// What a viewer sees of `event`; `None` when they do not see it. `intervals` are all participations of the viewer in
/// the conversation, in their order.
pub fn view(event: &Event, viewer: UserId, intervals: &[Interval]) -> Option<View> {
    let begun = intervals.partition_point(|interval| interval.joined <= event.position);
    intervals[..begun].last().filter(|interval| interval.holds(event.position))?;
    let is_told = match event.change.audience() {
        Audience::Everyone => true,
        Audience::Only(users) => users.contains(&viewer),
        Audience::Oneself => viewer == event.actor,
    };
    if !is_told {
        return None;
    }
    let covered = match event.change.covers() {
        Some(range) => covered_by(range, viewer, &intervals[..begun])?,
        None => Covered::After(Position::START),
    };
    Some(View { covered, as_of: intervals.last()?.left })
}

/// The messages in `range` that the viewer sees; `None` when no interval meets the range.
fn covered_by(range: Range, viewer: UserId, intervals: &[Interval]) -> Option<Covered> {
    let Range { from, through } = range;
    let first = intervals.partition_point(|interval| interval.left.is_some_and(|left| left <= from));
    let mut meeting = intervals[first..].iter().take_while(|interval| interval.joined < through);
    let first = meeting.next()?;
    if first.holds(through) {
        // No later interval meets the range.
        return Some(Covered::After(first.joined.max(from)));
    }
    Some(Covered::StaysOf(viewer))
}
