//! How a subscription begins: it finds out at once whether it can be.

use std::collections::VecDeque;

use super::{EventStream, REPLAY_WINDOW_POSITIONS};
use crate::hub::Hub;
use crate::hub::joining::{JoinError, Then};
use crate::hub::routing::Interest;
use crate::log::{ConversationFilter, Database, ReadError, SubscriptionFilter, Unavailable, Viewer};
use crate::messaging::{Origin, Participation, Place, Position};

/// Why a subscription does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The log does not have the cursor's place, or no longer has it.
    Expired,
    /// The conversation does not exist, or the viewer takes no part in it.
    NoSuchConversation,
    /// An event that is to be told is damaged in the log.
    Damaged,
    /// The log cannot be read now.
    Unavailable,
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged => Self::Damaged,
            ReadError::Trimmed => Self::Expired,
            ReadError::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Unavailable> for OpenError {
    fn from(unavailable: Unavailable) -> Self {
        ReadError::from(unavailable).into()
    }
}

impl From<JoinError> for OpenError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Expired => Self::Expired,
            JoinError::Damaged => Self::Damaged,
            JoinError::NotRecent | JoinError::Unavailable => Self::Unavailable,
        }
    }
}

impl EventStream {
    /// Begins a stream after the given place, or at the head of the log, and returns the place with it. It refuses at
    /// once a place or a conversation that it cannot follow.
    pub async fn open(
        hub: Hub,
        database: Database,
        filter: SubscriptionFilter,
        origin: Option<Origin>,
        after: Option<Place>,
    ) -> Result<(Self, Place), OpenError> {
        let begun = match after {
            Some(after) => after,
            None => database.head().await?,
        };
        let mut stream = Self {
            hub,
            database,
            interest: Interest { filter, origin },
            position: begun.position,
            place: begun,
            window: REPLAY_WINDOW_POSITIONS,
            replayed: VecDeque::new(),
            left_through: Position::START,
            unchecked: None,
            then: Then::More,
            is_behind: true,
        };
        // Where a client's place is not known to be in the log, the hub does not read the log for its sake.
        stream.begin(after.is_none().then_some(begun)).await?;
        Ok((stream, begun))
    }

    /// Replays until there is something to return, or it is known that there can be.
    async fn begin(&mut self, mut seen: Option<Place>) -> Result<(), OpenError> {
        loop {
            if !self.join(seen).await? {
                return self.begin_from_log().await;
            }
            match self.then {
                _ if !self.replayed.is_empty() => return Ok(()),
                Then::Live(_) => return Ok(()),
                Then::More => {}
                Then::Left if seen.is_some() => return Err(OpenError::NoSuchConversation),
                // The hub may not have come to where the viewer joined the conversation.
                Then::Left => {
                    seen = Some(self.database.head_after(self.place).await?.ok_or(OpenError::Expired)?);
                }
            }
        }
    }

    async fn begin_from_log(&mut self) -> Result<(), OpenError> {
        self.database.head_after(self.place).await?.ok_or(OpenError::Expired)?;
        let SubscriptionFilter { viewer, conversations, .. } = self.interest.filter;
        let ConversationFilter::Conversation(conversation) = conversations else { return Ok(()) };
        let Viewer::User(user) = viewer else { return Ok(()) };
        let parts = self.database.participations(user, [conversation]).await?;
        if parts.iter().any(Participation::is_open) {
            return Ok(());
        }
        // A viewer who left meanwhile still sees the events up to their leaving.
        let left = parts.iter().filter_map(|part| part.interval.left).max().unwrap_or(Position::START);
        while self.replayed.is_empty() && self.position < left {
            self.replay(left).await?;
        }
        if self.replayed.is_empty() { Err(OpenError::NoSuchConversation) } else { Ok(()) }
    }
}
