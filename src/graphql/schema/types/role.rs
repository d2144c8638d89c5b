//! Roles in a conversation.

use async_graphql::Enum;

use crate::messaging::Role;

/// What a participant may do in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Role")]
pub(crate) enum ConversationRole {
    /// May also remove people and change the conversation. Whoever starts a conversation owns it. When the owner leaves,
    /// whoever has taken part for longest becomes the owner.
    Owner,
    /// Takes part: sends, marks, adds people, leaves.
    Member,
}
