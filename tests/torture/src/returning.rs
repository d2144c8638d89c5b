//! People who leave a conversation and are added again, many times, while others talk and mark there. So the ranges of
//! marks and the stays of people overlap in every way.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::act::{Act, Outcome};
use crate::acting::Actor;
use crate::phase::{Phase, Phases};

/// Pause between two things that somebody does, in milliseconds.
const PAUSE: Range<u64> = 10..150;

/// Messages that are worth marking: the newest.
const RECENT: usize = 8;

/// A conversation that somebody leaves and comes back to.
pub(crate) struct Door {
    conversation: String,
    /// The newest messages, with the handles of their senders.
    said: Mutex<VecDeque<(String, String)>>,
}

impl Door {
    pub(crate) fn new(conversation: String) -> Self {
        Self { conversation, said: Mutex::default() }
    }

    /// What was said. Held for a look, never across an await.
    fn said(&self) -> MutexGuard<'_, VecDeque<(String, String)>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has somebody leave and come back until the round goes quiet. One of `hosts` brings them back.
    pub(crate) async fn come_and_go(&self, mut goer: Actor, mut hosts: [Actor; 2], mut phases: Phases) {
        while self.pause(&mut goer, &mut phases).await {
            self.say(&mut goer).await;
            goer.try_once(&Act::Leave { conversation: self.conversation.clone() }).await;
            if !self.pause(&mut goer, &mut phases).await {
                return;
            }
            let [first, second] = &mut hosts;
            if !self.bring(first, vec![goer.handle().to_owned()]).await {
                // The person who should add them may have left, too.
                self.bring(second, vec![goer.handle().to_owned(), first.handle().to_owned()]).await;
            }
            self.mark(&mut goer).await;
        }
    }

    /// Has somebody talk and mark until the round goes quiet.
    pub(crate) async fn talk(&self, mut actor: Actor, mut phases: Phases) {
        while self.pause(&mut actor, &mut phases).await {
            if actor.random().bool() {
                self.say(&mut actor).await;
            }
            self.mark(&mut actor).await;
        }
    }

    /// Waits. The answer is whether people still act.
    async fn pause(&self, actor: &mut Actor, phases: &mut Phases) -> bool {
        phases.sleep(Duration::from_millis(actor.random().u64(PAUSE))).await;
        phases.now() == Phase::Acting
    }

    async fn bring(&self, host: &mut Actor, handles: Vec<String>) -> bool {
        let act = Act::Add { conversation: self.conversation.clone(), handles };
        !matches!(host.try_once(&act).await, Outcome::Refused(_))
    }

    async fn say(&self, actor: &mut Actor) {
        let body = actor.text("says");
        let act = Act::Send { conversation: self.conversation.clone(), body, key: None };
        if let Outcome::Answered(answer) = actor.try_once(&act).await
            && let Some(message) = answer.message
        {
            let mut said = self.said();
            if said.len() == RECENT {
                said.pop_front();
            }
            said.push_back((message, actor.handle().to_owned()));
        }
    }

    /// Marks one of the newest messages of others, often one from before somebody left.
    async fn mark(&self, actor: &mut Actor) {
        let of_others: Vec<String> = {
            let said = self.said();
            let others = said.iter().filter(|(_, sender)| *sender != actor.handle());
            others.map(|(message, _)| message.clone()).collect()
        };
        if let Some(message) = actor.random().choice(of_others) {
            let is_read = actor.random().bool();
            actor.try_once(&Act::Mark { message, is_read }).await;
        }
    }
}
