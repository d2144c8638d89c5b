//! The events of the log.
//!
//! Each kind of event has one file here, with everything that herald's core knows about the kind: its data, who may see
//! it, what it changes, and its stored form. `docs/development/add-an-event.md` adds a kind step by step. What never
//! lives here: who may cause an event, which [`super::command`] decides, and how clients see it.

mod joined;
mod left;
mod marked;
mod record;
mod redacted;
mod removed;
mod renamed;
mod sent;
mod started;
mod undeliverable;
mod updated;

use std::sync::Arc;

use super::{
    Chain, ConnectionId, ConversationId, Facts, Position, ServiceName, SessionId, Timestamp, UserId,
};

pub use joined::Joined;
pub use left::Left;
pub use marked::{Mark, Marked};
pub use record::{Range, Record, Unreadable};
pub use redacted::Redacted;
pub use removed::Removed;
pub use renamed::Renamed;
pub use sent::{Message, Sent};
pub use started::Started;
pub use undeliverable::Undeliverable;
pub use updated::{Description, Updated};

/// The session and the connection that caused an event. It needs both, so that nobody can claim another's connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The signed-in session.
    pub session: SessionId,
    /// The connection id that the client chose.
    pub connection: ConnectionId,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events.
    pub position: Position,
    /// The chain of the log at this event.
    pub chain: Chain,
    /// When it was decided. It is later than the time of every event before it.
    pub at: Timestamp,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The user who caused it.
    pub actor: UserId,
    /// The connection that caused it, which does not receive it. `None` when the client named no connection.
    pub origin: Option<Origin>,
    /// The service that caused it, for the actor or by itself. `None` when the actor did it.
    pub via: Option<ServiceName>,
    /// What it changed.
    pub change: Change,
}

/// The participants who receive an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every participant.
    Everyone,
    /// These participants.
    Only(Arc<[UserId]>),
    /// The actor alone, on all of their devices. Not even services are told.
    Oneself,
}

/// Everything that each kind of event must define. Nothing has a default, so a kind that leaves something out does not
/// compile.
trait Kind: Sized {
    /// The numbers under which its events are stored. They stay in people's databases, so a number is never changed
    /// and never given to another kind.
    const NUMBERS: &'static [i64];

    /// Its stored form, which fills the columns of its row and the messages between nodes. The chain covers it.
    fn record(&self) -> Record;

    /// The change with this stored form.
    fn read(record: Record) -> Result<Self, Unreadable>;

    /// The participants who receive it.
    fn audience(&self) -> &Audience;

    /// The range of the log whose messages it is about. A viewer sees those that were sent during their stays. `None`
    /// when every viewer sees the whole event.
    fn covers(&self) -> Option<Range>;

    /// The users who take part from this event on.
    fn joining(&self) -> &[UserId];

    /// The users for whom this event is the last one. The actor may be among them.
    fn leaving<'a>(&'a self, actor: &'a UserId) -> &'a [UserId];

    /// Whether it moves its conversation to the top of a list.
    fn is_activity(&self) -> bool;

    /// Applies it to the facts of its conversation.
    fn apply(&self, event: &Event, facts: &mut Facts);
}

/// Makes the closed list of kinds. Each line of its input is one kind. All code that distinguishes the kinds is here.
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
            /// The change as this kind; `None` when it is of another kind.
            pub fn of(change: Change) -> Option<Self> {
                if let Change::$kind(change) = change { Some(change) } else { None }
            }
        }

        impl Kinds {
            $(#[$doc])*
            #[allow(non_upper_case_globals, reason = "each has the name of its kind")]
            pub const $kind: Self = Self(Some($kind::NUMBERS));
        })*

        impl Change {
            /// The change with this stored form.
            ///
            /// # Errors
            /// When the record is of no known kind, or misses what its kind needs.
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

            /// The participants who receive it.
            pub fn audience(&self) -> &Audience {
                match self { $(Self::$kind(change) => change.audience(),)* }
            }

            /// The range of the log whose messages it is about, if any.
            pub fn covers(&self) -> Option<Range> {
                match self { $(Self::$kind(change) => change.covers(),)* }
            }

            /// The users who take part from this event on.
            pub fn joining(&self) -> &[UserId] {
                match self { $(Self::$kind(change) => change.joining(),)* }
            }

            /// The users for whom this event of `actor` is the last one.
            pub fn leaving<'a>(&'a self, actor: &'a UserId) -> &'a [UserId] {
                match self { $(Self::$kind(change) => change.leaving(actor),)* }
            }

            /// Whether it moves its conversation to the top of a list.
            pub fn is_activity(&self) -> bool {
                match self { $(Self::$kind(change) => change.is_activity(),)* }
            }

            /// Its kind.
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
    /// A message could not be brought to a recipient.
    Undeliverable,
    /// An owner removed people from a conversation.
    Removed,
    /// Somebody redacted a message.
    Redacted,
    /// An owner changed what is kept of a conversation.
    Updated,
}

/// All kinds of events, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kinds(Option<&'static [i64]>);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(None);

    /// Whether `event` is of one of these kinds.
    pub fn hold(self, event: &Event) -> bool {
        self == Self::ALL || self == event.change.kind()
    }

    /// The numbers under which they are stored; `None` stands for all kinds.
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
