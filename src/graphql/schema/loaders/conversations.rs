//! Loaders of conversations, and of what there is to know of who takes part.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::{Found, Rows, pair, present};
use crate::log::{
    ConversationRow, Described, OwnParticipation, Page, ParticipantKey, Participating, Unavailable,
    UnreadTotals,
};
use crate::messaging::{ConversationId, Event, Participation, Position, UserId};

impl Loader<ConversationId> for Rows {
    type Value = Result<Arc<ConversationRow>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ConversationId]) -> Found<ConversationId, Arc<ConversationRow>> {
        let found = self.0.conversations_by_id(keys).await.into_iter();
        Ok(present(keys, found.map(|row| row.map(|row| row.map(Arc::new))).collect()))
    }
}

/// The key of the next event of a kind that changes what is kept of a conversation, after a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DescribedAfter(pub(crate) ConversationId, pub(crate) Position, pub(crate) Described);

impl Loader<DescribedAfter> for Rows {
    type Value = Result<Arc<Event>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[DescribedAfter]) -> Found<DescribedAfter, Arc<Event>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1, key.2)).collect();
        Ok(present(keys, self.0.next_described(&wanted).await))
    }
}

/// The key of whether a user takes part in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TakesPart(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<TakesPart> for Rows {
    type Value = Result<bool, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[TakesPart]) -> Found<TakesPart, bool> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(pair(keys, self.0.take_part(&wanted).await))
    }
}

/// The key of the latest part that a user takes or took in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LatestPart(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<LatestPart> for Rows {
    type Value = Result<Participation, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[LatestPart]) -> Found<LatestPart, Participation> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(present(keys, self.0.latest_parts(&wanted).await))
    }
}

/// The key of how many messages a viewer has not read in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UnreadOf(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<UnreadOf> for Rows {
    type Value = Result<u64, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[UnreadOf]) -> Found<UnreadOf, u64> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(pair(keys, self.0.unread(&wanted).await))
    }
}

/// The key of how much a viewer has not read, over all conversations. Either count stops at the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AllUnread(pub(crate) UserId, pub(crate) u32);

impl Loader<AllUnread> for Rows {
    type Value = Result<UnreadTotals, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[AllUnread]) -> Found<AllUnread, UnreadTotals> {
        // A user is counted once, however many numbers a document asks for: up to the highest of them.
        let mut highest: HashMap<UserId, u32> = HashMap::new();
        for AllUnread(user, cap) in keys {
            let known = highest.entry(*user).or_default();
            *known = (*known).max(*cap);
        }
        let wanted: Vec<_> = highest.into_iter().collect();
        let users: Vec<_> = wanted.iter().map(|(user, _)| *user).collect();
        let totals = pair(&users, self.0.unread_totals(&wanted).await);
        let capped = |AllUnread(user, cap): &AllUnread| {
            totals.get(user).copied().unwrap_or(Err(Unavailable::Now)).map(|totals| totals.up_to(*cap))
        };
        Ok(keys.iter().map(|key| (*key, capped(key))).collect())
    }
}

/// The key of what a user keeps for themselves of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OwnOf(pub(crate) UserId, pub(crate) ConversationId);

impl Loader<OwnOf> for Rows {
    type Value = Result<OwnParticipation, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[OwnOf]) -> Found<OwnOf, OwnParticipation> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1)).collect();
        Ok(pair(keys, self.0.own_participations(&wanted).await))
    }
}

/// The key of a page of a conversation's participants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ParticipantsPage(
    pub(crate) ConversationId,
    /// The position as of which the page is; `None` stands for now.
    pub(crate) Option<Position>,
    pub(crate) Page<ParticipantKey>,
);

impl Loader<ParticipantsPage> for Rows {
    type Value = Result<Vec<Participating>, Unavailable>;
    type Error = Unavailable;

    async fn load(&self, keys: &[ParticipantsPage]) -> Found<ParticipantsPage, Vec<Participating>> {
        let wanted: Vec<_> = keys.iter().map(|key| (key.0, key.1, key.2.clone())).collect();
        Ok(pair(keys, self.0.participants(&wanted).await))
    }
}
