//! What happened: the events of the log.
//!
//! Each kind of event has one file here, which says all that herald's core knows about the kind: its data, who may see
//! it, what it changes, and the form in which it is kept and sent. `docs/development/add-an-event.md` adds one step by
//! step. What never lives here: who may cause an event, which [`super::command`] decides, and how it looks to clients.

mod joined;
mod left;
mod marked;
mod record;
mod renamed;
mod sent;
mod started;

use std::sync::Arc;

use super::{Chain, ConnectionId, ConversationId, Facts, Position, SessionId, Timestamp, UserId};

pub use joined::Joined;
pub use left::Left;
pub use marked::{Mark, Marked};
pub use record::{Range, Record, Unreadable};
pub use renamed::Renamed;
pub use sent::{Message, Sent};
pub use started::Started;

/// Which connection of which session caused a change. Both, so that nobody can claim another's connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The session that was signed in.
    pub session: SessionId,
    /// The connection, as its client named it.
    pub connection: ConnectionId,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events.
    pub position: Position,
    /// What the log comes to with this event.
    pub chain: Chain,
    /// When it was decided: later than every event before it.
    pub at: Timestamp,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// Who did it.
    pub actor: UserId,
    /// The connection that did it, which is not told of it; absent where none was named.
    pub origin: Option<Origin>,
    /// What it changed.
    pub change: Change,
}

/// Which of those who take part are told of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every participant.
    Everyone,
    /// These participants.
    Only(Arc<[UserId]>),
}

/// What every kind of event says of itself. Nothing has a default, so a kind that leaves something out does not
/// compile.
trait Kind: Sized {
    /// The numbers under which its events are stored. They stay in people's databases, so a number is never changed
    /// and never given to another kind.
    const NUMBERS: &'static [i64];

    /// Its stored form: the columns of its row, its members between nodes, and what the chain covers.
    fn record(&self) -> Record;

    /// The event whose stored form this is.
    fn read(record: Record) -> Result<Self, Unreadable>;

    /// Which of those who take part are told.
    fn audience(&self) -> &Audience;

    /// The part of the log that it is about, where the viewer's stays decide which messages in it they see. An event
    /// that is about none is seen whole.
    fn covers(&self) -> Option<Range>;

    /// Those who take part from this event on.
    fn joining(&self) -> &[UserId];

    /// Those for whom this event is the last, of which one may be the actor.
    fn leaving<'a>(&'a self, actor: &'a UserId) -> &'a [UserId];

    /// Whether it moves its conversation to the top of a list.
    fn is_activity(&self) -> bool;

    /// Carries it over to the facts of its conversation.
    fn apply(&self, event: &Event, facts: &mut Facts);
}

/// Makes the closed list of kinds. Each line is one kind; what dispatches over the kinds is written here once.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// What an event changed.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Change {
            $($(#[$doc])* $kind($kind),)*
        }

        $(impl From<$kind> for Change {
            fn from(change: $kind) -> Self {
                Self::$kind(change)
            }
        }

        impl $kind {
            /// This kind of change; `None` when it is of another.
            pub fn of(change: Change) -> Option<Self> {
                if let Change::$kind(change) = change { Some(change) } else { None }
            }
        }

        impl Kinds {
            $(#[$doc])*
            #[allow(non_upper_case_globals, reason = "each is called as its kind is")]
            pub const $kind: Self = Self(Some($kind::NUMBERS));
        })*

        impl Change {
            /// The change whose stored form this is.
            pub fn read(record: Record) -> Result<Self, Unreadable> {
                $(if $kind::NUMBERS.contains(&record.kind) {
                    return $kind::read(record).map(Self::$kind);
                })*
                Err(Unreadable::Kind)
            }

            /// Its stored form.
            pub fn record(&self) -> Record {
                match self { $(Self::$kind(change) => change.record(),)* }
            }

            /// Which of those who take part are told.
            pub fn audience(&self) -> &Audience {
                match self { $(Self::$kind(change) => change.audience(),)* }
            }

            /// The part of the log whose messages it is about, if any.
            pub fn covers(&self) -> Option<Range> {
                match self { $(Self::$kind(change) => change.covers(),)* }
            }

            /// Those who take part from this event on.
            pub fn joining(&self) -> &[UserId] {
                match self { $(Self::$kind(change) => change.joining(),)* }
            }

            /// Those for whom this event of `actor`'s is the last.
            pub fn leaving<'a>(&'a self, actor: &'a UserId) -> &'a [UserId] {
                match self { $(Self::$kind(change) => change.leaving(actor),)* }
            }

            /// Whether it moves its conversation to the top of a list.
            pub fn is_activity(&self) -> bool {
                match self { $(Self::$kind(change) => change.is_activity(),)* }
            }

            /// The kind that it is of.
            pub fn kind(&self) -> Kinds {
                match self { $(Self::$kind(_) => Kinds::$kind,)* }
            }

            pub(super) fn apply(&self, event: &Event, facts: &mut Facts) {
                match self { $(Self::$kind(change) => change.apply(event, facts),)* }
            }
        }

        #[cfg(test)]
        const NUMBERS: &[&[i64]] = &[$($kind::NUMBERS),*];
    };
}

kinds! {
    /// A conversation began.
    Started,
    /// People joined a conversation.
    Joined,
    /// Somebody left a conversation.
    Left,
    /// Somebody sent a message.
    Sent,
    /// Somebody received or read messages.
    Marked,
    /// Somebody gave a conversation another title.
    Renamed,
}

/// All kinds of events, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kinds(Option<&'static [i64]>);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(None);

    /// Whether `event` is one of them.
    pub fn hold(self, event: &Event) -> bool {
        self == Self::ALL || self == event.change.kind()
    }

    /// The numbers under which they are stored; `None` stands for all.
    pub fn numbers(self) -> Option<&'static [i64]> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::NUMBERS;

    #[test]
    fn no_two_kinds_are_stored_under_the_same_number() {
        let mut numbers: Vec<i64> = NUMBERS.iter().copied().flatten().copied().collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
    }
}
