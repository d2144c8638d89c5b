//! Events as subscribers see them. There is one file for each kind, whose type holds the kind's own value of
//! `messaging`.

// A new kind of event must not fall into a wildcard arm.
#![warn(clippy::wildcard_enum_match_arm)]

mod checkpoint;
mod conversation_renamed;
mod conversation_started;
mod conversation_updated;
mod message_redacted;
mod message_sent;
mod message_undeliverable;
mod participant_left;
mod participants_joined;
mod participants_removed;
mod status_changed;

use async_graphql::Interface;

use super::{Conversation, Cursor, DateTime, Previous, User};
use crate::error::Error;
use crate::hub::{Told, VisibleEvent};
use crate::messaging::{self, Change, View};

pub(crate) use checkpoint::CONVERSATION;
use checkpoint::Checkpoint;
use conversation_renamed::ConversationRenamed;
use conversation_started::ConversationStarted;
use conversation_updated::ConversationUpdated;
use message_redacted::MessageRedacted;
pub(crate) use message_sent::MessageSent;
use message_undeliverable::MessageUndeliverable;
use participant_left::ParticipantLeft;
use participants_joined::ParticipantsJoined;
use participants_removed::ParticipantsRemoved;
pub(crate) use status_changed::StatusChanged;

/// Something that happened in a conversation, or a `Checkpoint`, which a subscription asks for.
#[derive(Debug, Clone, Interface)]
#[graphql(
    field(name = "cursor", ty = "Cursor", desc = "Subscribe again with this as `after` to go on from here."),
    field(
        name = "previous",
        ty = "Option<Previous>",
        desc = "The cursor of what this subscription was told before this: of the event before it, or what was given as \
                `after`. Null for the first event of a subscription without `after`. If it is not the cursor that you have, \
                something between herald and you dropped events: subscribe again with yours as `after`."
    ),
    field(name = "at", ty = "DateTime", desc = "When it happened, by the server's clock."),
    field(name = "conversation", ty = "Conversation", desc = "The conversation that it happened in."),
    field(
        name = "via",
        ty = "Option<String>",
        desc = "The name of the service that did it for somebody; null when they did it themselves."
    )
)]
pub(crate) enum Event {
    MessageSent(MessageSent),
    StatusChanged(StatusChanged),
    ConversationStarted(ConversationStarted),
    ParticipantsJoined(ParticipantsJoined),
    ParticipantLeft(ParticipantLeft),
    ConversationRenamed(ConversationRenamed),
    ParticipantsRemoved(ParticipantsRemoved),
    MessageRedacted(MessageRedacted),
    ConversationUpdated(ConversationUpdated),
    MessageUndeliverable(MessageUndeliverable),
    Checkpoint(Checkpoint),
}

impl From<Told> for Event {
    fn from(told: Told) -> Self {
        match told {
            Told::Event(seen) => seen.into(),
            Told::Checkpoint(checkpoint) => Self::Checkpoint(Checkpoint(checkpoint)),
        }
    }
}

impl From<VisibleEvent> for Event {
    fn from(visible: VisibleEvent) -> Self {
        match visible.shared.change() {
            Change::Started(change) => {
                Self::ConversationStarted(ConversationStarted(TypedEvent::of(visible, change)))
            }
            Change::Joined(change) => {
                Self::ParticipantsJoined(ParticipantsJoined(TypedEvent::of(visible, change)))
            }
            Change::Left(change) => Self::ParticipantLeft(ParticipantLeft(TypedEvent::of(visible, change))),
            Change::Sent(change) => Self::MessageSent(MessageSent(TypedEvent::of(visible, change))),
            Change::Marked(change) => Self::StatusChanged(StatusChanged(TypedEvent::of(visible, change))),
            Change::Renamed(change) => {
                Self::ConversationRenamed(ConversationRenamed(TypedEvent::of(visible, change)))
            }
            Change::Undeliverable(change) => {
                Self::MessageUndeliverable(MessageUndeliverable(TypedEvent::of(visible, change)))
            }
            Change::Removed(change) => {
                Self::ParticipantsRemoved(ParticipantsRemoved(TypedEvent::of(visible, change)))
            }
            Change::Updated(change) => {
                Self::ConversationUpdated(ConversationUpdated(TypedEvent::of(visible, change)))
            }
            Change::Redacted(change) => {
                Self::MessageRedacted(MessageRedacted(TypedEvent::of(visible, change)))
            }
        }
    }
}

/// An event of one kind, as one viewer sees it.
#[derive(Debug, Clone)]
pub(crate) struct TypedEvent<K> {
    visible: VisibleEvent,
    change: K,
}

impl<K> TypedEvent<K> {
    fn of(visible: VisibleEvent, change: K) -> Self {
        Self { visible, change }
    }

    /// An event of a subscription to one kind, which receives no other kind.
    ///
    /// # Errors
    /// [`Error::Internal`] for an event of another kind.
    fn only(visible: VisibleEvent, kind: impl FnOnce(Change) -> Option<K>) -> Result<Self, Error> {
        let change = kind(visible.shared.change()).ok_or(Error::Internal)?;
        Ok(Self { visible, change })
    }

    fn event(&self) -> &messaging::Event {
        &self.visible.shared.event
    }

    fn view(&self) -> View {
        self.visible.view
    }

    fn cursor(&self) -> Cursor {
        Cursor::new(self.visible.shared.place())
    }

    fn at(&self) -> DateTime {
        DateTime(self.event().at)
    }

    fn conversation(&self) -> Conversation {
        Conversation::as_of(self.event().conversation, self.visible.view.as_of)
    }

    fn via(&self) -> Option<String> {
        self.event().via.as_ref().map(ToString::to_string)
    }

    fn actor(&self) -> User {
        User::by_id(self.event().actor)
    }
}
