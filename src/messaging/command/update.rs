//! To change what is kept of a conversation.

use super::{Command, Decide, Decision, Needs, Refusal, new_event, owned_by};
use crate::messaging::{ConversationId, Description, Facts, Metadata, Title, Updated, UserId};

/// A conversation, and what is to change of it.
#[derive(Debug, Clone)]
pub struct Update {
    /// The conversation.
    pub conversation: ConversationId,
    /// What becomes of its title.
    pub title: Edit<Title>,
    /// What becomes of its metadata.
    pub metadata: Edit<Metadata>,
}

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<T> {
    /// It stays.
    Keep,
    /// It is this from here on; `None` takes it away.
    Set(Option<T>),
}

impl<T: Clone> Edit<T> {
    fn of(&self, former: Option<&T>) -> Option<T> {
        match self {
            Self::Keep => former.cloned(),
            Self::Set(to) => to.clone(),
        }
    }
}

impl Decide for Update {
    fn needs(&self, actor: UserId, _: &Facts, _: &[Command], needs: &mut Needs) {
        needs.participations.insert((self.conversation, actor));
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let conversation = owned_by(facts, command.actor, self.conversation)?;
        let former =
            Description { title: conversation.title.clone(), metadata: conversation.metadata.clone() };
        let to = Description {
            title: self.title.of(former.title.as_ref()),
            metadata: self.metadata.of(former.metadata.as_ref()),
        };
        if to == former {
            return Ok(Decision::default());
        }
        Ok(Decision::of(new_event(facts, command, self.conversation, Updated { to, former })))
    }
}
