//! Erases users: they leave everything, what they sent is redacted, and their names go. What never lives here: how what a
//! user does gets into the log.

use futures_util::future::try_join_all;

use super::Accounts;
use crate::error::Error;
use crate::log::{Committed, UserChange, UserRow};
use crate::messaging::{Action, ConversationId, DisplayName, Handle, Leave, Position, Redact, UserId};

/// The name of everybody who was erased.
const ERASED: &str = "Erased user";

/// Messages that are redacted together.
const REDACTED_AT_ONCE: u64 = 256;

/// A user who was erased.
#[derive(Debug, Clone)]
pub struct Erased {
    /// What is left of the user.
    pub user: UserRow,
    /// How many messages were redacted for it.
    pub redacted: usize,
}

impl Accounts {
    /// Takes a user's messages, names, password, sessions and settings away for good. `submit` has the user do something.
    /// What is done already stays done when it fails, and when this is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn erase<F>(&self, id: UserId, submit: impl Fn(Action) -> F) -> Result<Erased, Error>
    where
        F: Future<Output = Result<Committed, Error>>,
    {
        // Nothing new comes from the user from here on.
        let disable = UserChange { disabled: Some(true), ..UserChange::default() };
        self.change(id, &disable).await?.ok_or(Error::NotFound("user"))?;
        let mut redacted = 0;
        for (conversation, takes_part) in self.database.conversations_ever_of(id).await? {
            if takes_part {
                match submit(Action::Leave(Leave { conversation })).await {
                    // They were removed from it just now.
                    Ok(_) | Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            redacted += self.redact_all(id, conversation, &submit).await?;
        }
        let (handle, name) = (Handle::of_erased(id), DisplayName::trusted(ERASED));
        let user = self.database.erase_user(id, &handle, &name).await?;
        let user = user.ok_or(Error::NotFound("user"))?;
        self.apply_change(&user);
        Ok(Erased { user, redacted })
    }

    /// Redacts what somebody sent to a conversation. Returns how many messages that were.
    async fn redact_all<F>(
        &self,
        sender: UserId,
        conversation: ConversationId,
        submit: &impl Fn(Action) -> F,
    ) -> Result<usize, Error>
    where
        F: Future<Output = Result<Committed, Error>>,
    {
        let (mut redacted, mut after) = (0, Position::START);
        loop {
            let messages =
                self.database.messages_to_redact(sender, conversation, after, REDACTED_AT_ONCE).await?;
            let Some((last, _)) = messages.last() else { return Ok(redacted) };
            (redacted, after) = (redacted + messages.len(), *last);
            let redact = |(_, message)| submit(Action::Redact(Redact { message }));
            try_join_all(messages.into_iter().map(redact)).await?;
        }
    }
}
