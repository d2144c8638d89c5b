//! What says that nothing happened, as clients see it.

use async_graphql::{Object, Result};

use crate::error::Error;
use crate::graphql::schema::types::{Conversation, Cursor, DateTime, Previous};
use crate::hub;

/// The one field that every event has and a checkpoint has not.
pub(crate) const CONVERSATION: &str = "conversation";

/// Nothing happened: this subscription was told everything up to `cursor`.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint(pub(crate) hub::Checkpoint);

/// Nothing happened: this subscription was told everything up to `cursor`. Comes only to a subscription with
/// `checkpoints: true`: when replay has caught up, and whenever nothing else came for a minute (unless the operator sets
/// another time).
#[Object]
impl Checkpoint {
    /// Subscribe again with this as `after` to go on from here. It may be the cursor that you have.
    pub(crate) async fn cursor(&self) -> Cursor {
        Cursor::new(self.0.place)
    }

    /// The cursor of what this subscription was told before this. If it is not the one that you have, something between
    /// herald and you dropped events: subscribe again with yours as `after`.
    pub(crate) async fn previous(&self) -> Option<Previous> {
        Some(Previous)
    }

    /// When herald said so, by the clock of the node. It is no event: its time is not in the order of theirs.
    pub(crate) async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// A checkpoint is of no conversation. A subscription with `checkpoints: true` that selects this is refused: select
    /// `conversation` in fragments on the other types.
    pub(crate) async fn conversation(&self) -> Result<Conversation> {
        Err(Error::NotFound(CONVERSATION).into())
    }

    /// Null: nothing happened, so nobody did it.
    pub(crate) async fn via(&self) -> Option<String> {
        None
    }

    /// Whether there was nothing more when this was sent. Otherwise it comes amid a replay that takes long.
    async fn caught_up(&self) -> bool {
        self.0.is_caught_up
    }
}
