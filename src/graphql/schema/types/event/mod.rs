//! Events, as subscribers see them: one file for each kind, made of the kind's own value in `messaging`.

// A new kind of event has to be thought of everywhere.
#![warn(clippy::wildcard_enum_match_arm)]

mod conversation_renamed;
mod conversation_started;
mod message_sent;
mod participant_left;
mod participants_joined;
mod status_changed;

use async_graphql::Interface;

use super::{Conversation, Cursor, DateTime, User};
use crate::error::Error;
use crate::hub::VisibleEvent;
use crate::messaging::{self, Change, View};

use conversation_renamed::ConversationRenamed;
use conversation_started::ConversationStarted;
pub(crate) use message_sent::MessageSent;
use participant_left::ParticipantLeft;
use participants_joined::ParticipantsJoined;
pub(crate) use status_changed::StatusChanged;

/// Something that happened in a conversation.
#[derive(Debug, Clone, Interface)]
#[graphql(
    field(name = "cursor", ty = "Cursor", desc = "Subscribe again with this as `after` to go on from here."),
    field(name = "at", ty = "DateTime", desc = "When it happened, by the server's clock."),
    field(name = "conversation", ty = "Conversation", desc = "Where it happened.")
)]
pub(crate) enum Event {
    MessageSent(MessageSent),
    StatusChanged(StatusChanged),
    ConversationStarted(ConversationStarted),
    ParticipantsJoined(ParticipantsJoined),
    ParticipantLeft(ParticipantLeft),
    ConversationRenamed(ConversationRenamed),
}

impl From<VisibleEvent> for Event {
    fn from(seen: VisibleEvent) -> Self {
        let event = || seen.clone();
        match seen.shared.event.change.clone() {
            Change::Started(change) => {
                Self::ConversationStarted(ConversationStarted(Told::of(event(), change)))
            }
            Change::Joined(change) => Self::ParticipantsJoined(ParticipantsJoined(Told::of(event(), change))),
            Change::Left(change) => Self::ParticipantLeft(ParticipantLeft(Told::of(event(), change))),
            Change::Sent(change) => Self::MessageSent(MessageSent(Told::of(event(), change))),
            Change::Marked(change) => Self::StatusChanged(StatusChanged(Told::of(event(), change))),
            Change::Renamed(change) => {
                Self::ConversationRenamed(ConversationRenamed(Told::of(event(), change)))
            }
        }
    }
}

/// An event of one kind, as one viewer sees it.
#[derive(Debug, Clone)]
pub(crate) struct Told<K> {
    seen: VisibleEvent,
    change: K,
}

impl<K> Told<K> {
    fn of(seen: VisibleEvent, change: K) -> Self {
        Self { seen, change }
    }

    /// The event of a subscription to one kind, which is given no other.
    ///
    /// # Errors
    /// [`Error::Internal`] for an event of another kind.
    fn only(seen: VisibleEvent, kind: impl FnOnce(Change) -> Option<K>) -> Result<Self, Error> {
        let change = kind(seen.shared.event.change.clone()).ok_or(Error::Internal)?;
        Ok(Self { seen, change })
    }

    fn event(&self) -> &messaging::Event {
        &self.seen.shared.event
    }

    fn view(&self) -> View {
        self.seen.view
    }

    fn cursor(&self) -> Cursor {
        Cursor::new(self.seen.shared.place())
    }

    fn at(&self) -> DateTime {
        DateTime(self.event().at)
    }

    fn conversation(&self) -> Conversation {
        Conversation::as_of(self.event().conversation, self.seen.view.as_of)
    }

    fn actor(&self) -> User {
        User::by_id(self.event().actor)
    }
}
