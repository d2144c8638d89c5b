//! To start a conversation, or find it.

use super::{Command, Decide, Decision, Needs, Refusal, distinct, new_event, not_blocked, within_limit};
use crate::messaging::{
    Conversation, ConversationId, Facts, IdempotencyKey, KeyedStart, Metadata, People, Request, Started,
    Title, UserId,
};

/// A conversation to be started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The id it will have, if none is found.
    pub conversation: ConversationId,
    /// Its title, if any. What is found keeps its own.
    pub title: Option<Title>,
    /// What the client keeps with it, if anything. What is found keeps its own.
    pub metadata: Option<Metadata>,
    /// The others in it; the actor may or may not be repeated here.
    pub with: Vec<UserId>,
    /// The actor's own name for this start. What they send has names of its own.
    pub key: Option<IdempotencyKey>,
    /// Whether the one conversation of just these people is to be found first.
    pub is_distinct: bool,
    /// Those who block the actor. What exists already is found all the same.
    pub blockers: Vec<UserId>,
}

impl Start {
    /// Everyone who is to be in it.
    fn people(&self, actor: UserId) -> People {
        People::of(self.with.iter().copied().chain([actor]))
    }

    /// What is asked for, to be told from something else under the same key.
    fn request(&self, actor: UserId) -> Request {
        Request::new(self.people(actor), self.title.as_ref(), self.is_distinct, self.metadata.as_ref())
    }
}

impl Decide for Start {
    fn needs(&self, actor: UserId, known: &Facts, _: &[Command], needs: &mut Needs) {
        needs.sharing.extend(self.with.iter().copied().chain([actor]));
        if self.is_distinct {
            needs.people.insert(self.people(actor));
        }
        if let Some(key) = &self.key {
            needs.start_keys.insert((actor, key.clone()));
            // Whoever repeats a start may have left what it made.
            if let Some(first) = known.start_by_key(actor, key) {
                needs.participations.insert((first.conversation, actor));
            }
        }
    }

    fn decide(&self, command: &Command, facts: &Facts) -> Result<Decision, Refusal> {
        let actor = command.actor;
        // The key first: a retry is answered whoever has joined or left in the meantime.
        if let Some(first) = self.key.as_ref().and_then(|key| facts.start_by_key(actor, key)) {
            return if first.request == self.request(actor) {
                Ok(Decision::found(first.conversation))
            } else {
                Err(Refusal::KeyReused)
            };
        }
        let users = distinct(std::iter::once(actor).chain(self.with.iter().copied()));
        if users.len() < 2 {
            return Err(Refusal::NobodyElse);
        }
        within_limit(facts, users.len())?;
        let people = self.is_distinct.then(|| self.people(actor));
        let found = people.and_then(|people| facts.of_just(people));
        let conversation = found.unwrap_or(self.conversation);
        let request = || self.request(actor);
        let keyed_start =
            self.key.clone().map(|key| KeyedStart { actor, key, request: request(), conversation });
        if found.is_some() {
            return Ok(Decision { keyed_start, ..Decision::found(conversation) });
        }
        not_blocked(&users, &self.blockers)?;
        let begins = Conversation {
            id: conversation,
            title: self.title.clone(),
            metadata: self.metadata.clone(),
            created_at: facts.now,
            latest: facts.head.position.next(),
            participants: 0,
            people,
        };
        let event = new_event(facts, command, conversation, Started { users: users.into() });
        Ok(Decision {
            events: vec![event],
            begins: Some(begins),
            keyed_start,
            ..Decision::found(conversation)
        })
    }
}
