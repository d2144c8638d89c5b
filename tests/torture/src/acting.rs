//! A person's actions: they send, mark, start, rename, redact, add, remove and leave at
//! random, at any node, and repeat requests that
//! may be repeated.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;

use crate::act::{Act, Outcome};
use crate::device::Surroundings;
use crate::http::post;
use crate::person::Person;
use crate::phase::{Phase, Phases};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// Most messages that are sent at once.
const BURST: usize = 20;

/// An id that no message has.
const NOBODYS: &str = "msg_00000000000000000000000000000000";

/// Somebody who acts.
pub(crate) struct Actor {
    around: Surroundings,
    person: Arc<Person>,
    /// Everybody's handles.
    handles: Arc<[String]>,
    /// Tells what they say from what they say in another role.
    role: String,
    random: Rng,
    /// Counts what they said, so that nothing is said twice.
    said: usize,
}

/// What one attempt is to do.
struct Attempt {
    node: usize,
    connection: Option<String>,
}

impl Actor {
    pub(crate) fn new(
        around: &Surroundings,
        person: &Arc<Person>,
        handles: &Arc<[String]>,
        role: &str,
        random: Rng,
    ) -> Self {
        let (around, person, handles) = (around.clone(), Arc::clone(person), Arc::clone(handles));
        Self { around, person, handles, role: role.to_owned(), random, said: 0 }
    }

    /// Acts until the round goes quiet, and brings to an end what is under way.
    pub(crate) async fn run(mut self, mut phases: Phases) {
        loop {
            let pause = Duration::from_millis(self.random.u64(20..600));
            phases.sleep(pause).await;
            if phases.now() != Phase::Acting {
                return;
            }
            self.act(&mut phases).await;
        }
    }

    /// Starts a conversation with so many others. Its id, if that was answered.
    pub(crate) async fn start(&mut self, others: usize) -> Option<String> {
        let handles = self.others(others);
        self.start_with(handles).await
    }

    /// Starts a conversation with these others. Its id, if that was answered.
    pub(crate) async fn start_with(&mut self, handles: Vec<String>) -> Option<String> {
        let title = self.text("title");
        match self.try_once(&Act::Start { handles, title }).await {
            Outcome::Answered(answer) => {
                let id = answer.conversation?;
                self.person.knowledge().conversations.insert(id.clone());
                Some(id)
            }
            Outcome::Refused(_) | Outcome::Unknown(_) => None,
        }
    }

    /// Asks once, at any node and in the name of any of their devices.
    pub(crate) async fn try_once(&mut self, act: &Act) -> Outcome {
        let attempt = self.attempt();
        self.call(act, attempt).await
    }

    /// By what others call them.
    pub(crate) fn handle(&self) -> &str {
        &self.person.handle
    }

    /// What their choices are drawn from.
    pub(crate) fn random(&mut self) -> &mut Rng {
        &mut self.random
    }

    async fn act(&mut self, phases: &mut Phases) {
        match self.random.u32(0..100) {
            0..40 => self.send(1, phases).await,
            40..44 => self.rename().await,
            44 => self.report().await,
            45..50 => {
                let burst = self.random.usize(2..=BURST);
                self.send(burst, phases).await;
            }
            50..72 => self.mark(false).await,
            72 => self.redact().await,
            73..75 => self.mark_all().await,
            75..90 => self.mark(true).await,
            90..93 => {
                let others = if self.random.u32(0..4) == 0 { 12 } else { self.random.usize(1..4) };
                self.start(others).await;
            }
            93..95 => self.add().await,
            95 => self.share().await,
            96..98 => self.remove().await,
            _ => self.leave().await,
        }
    }

    /// Sends so many messages at once into one conversation.
    async fn send(&mut self, messages: usize, phases: &mut Phases) {
        let Some(conversation) = self.conversation() else { return };
        let drafts: Vec<_> = (0..messages)
            .map(|_| {
                let mut body = self.text("says");
                if self.random.u32(0..20) == 0 {
                    // A long message soon fills the buffers of a device that does not read.
                    body.push_str(&" and so on".repeat(300));
                }
                let key =
                    (self.random.u32(0..5) > 0).then(|| format!("key {}-{}", self.person.handle, self.said));
                (Act::Send { conversation: conversation.clone(), body, key: key.clone() }, key.is_some())
            })
            .collect();
        let drafts: Vec<_> = drafts
            .into_iter()
            .map(|(act, has_key)| {
                let twice = has_key && self.random.u32(0..10) == 0;
                let attempts: Vec<_> = (0..=usize::from(twice)).map(|_| self.attempt()).collect();
                (act, has_key, attempts, self.random.fork())
            })
            .collect();
        let phases = &*phases;
        let sent = drafts.into_iter().map(|(act, has_key, attempts, random)| {
            self.send_one(act, has_key, attempts, random, phases.clone())
        });
        join_all(sent).await;
    }

    /// Sends one message: with these attempts at once, and then, where it has a key, until it is answered.
    async fn send_one(
        &self,
        act: Act,
        has_key: bool,
        attempts: Vec<Attempt>,
        mut random: Rng,
        mut phases: Phases,
    ) {
        let first = join_all(attempts.into_iter().map(|attempt| self.call(&act, attempt))).await;
        let mut is_known = first.iter().any(|outcome| self.settles(outcome));
        while has_key && !is_known && phases.now() != Phase::Over {
            phases.sleep(Duration::from_millis(random.u64(50..300))).await;
            let attempt = Attempt { node: random.usize(0..self.around.ports.len()), connection: None };
            let outcome = self.call(&act, attempt).await;
            is_known = self.settles(&outcome);
        }
    }

    /// Whether it is known now what came of a message.
    fn settles(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Answered(answer) => {
                if let Some(message) = &answer.message {
                    self.person.knowledge().remember(message, true);
                }
                true
            }
            Outcome::Refused(_) => true,
            Outcome::Unknown(_) => false,
        }
    }

    async fn mark(&mut self, is_read: bool) {
        let wants_own = self.random.u32(0..25) == 0;
        let message = {
            let knowledge = self.person.knowledge();
            let known = knowledge.messages.iter().rev().filter(|(_, is_own)| *is_own == wants_own);
            let known: Vec<&String> = known.map(|(id, _)| id).collect();
            // Mostly a new message, because old ones are marked already.
            let near = known.len().min(if self.random.u32(0..4) == 0 { known.len() } else { 10 });
            let chosen = (near > 0).then(|| known[self.random.usize(0..near)].clone());
            chosen.unwrap_or_else(|| NOBODYS.to_owned())
        };
        // Several devices of one person may mark at once, each at its own node.
        let attempts: Vec<_> = (0..self.random.usize(1..4)).map(|_| self.attempt()).collect();
        let act = Act::Mark { message, is_read };
        join_all(attempts.into_iter().map(|attempt| self.call(&act, attempt))).await;
    }

    /// Mostly a message of their own. Of the others, an owner may redact them.
    async fn redact(&mut self) {
        let wants_own = self.random.u32(0..4) > 0;
        let message = {
            let knowledge = self.person.knowledge();
            let known = knowledge.messages.iter().filter(|(_, is_own)| *is_own == wants_own);
            let known: Vec<&String> = known.map(|(id, _)| id).collect();
            self.random.choice(known).cloned().unwrap_or_else(|| NOBODYS.to_owned())
        };
        self.try_once(&Act::Redact { message }).await;
    }

    async fn mark_all(&mut self) {
        let Some(conversation) = self.conversation() else { return };
        let is_read = self.random.bool();
        self.try_once(&Act::MarkAll { conversation, is_read }).await;
    }

    /// Chooses anew, mostly to share everything, so that most marks are told.
    async fn share(&mut self) {
        let Some(conversation) = self.conversation() else { return };
        let (delivered, read) = match self.random.u32(0..5) {
            0 => (false, false),
            1 => (true, false),
            _ => (true, true),
        };
        self.try_once(&Act::Share { conversation, delivered, read }).await;
    }

    async fn rename(&mut self) {
        let Some(conversation) = self.conversation() else { return };
        let title = self.text("title");
        let as_owner = self.random.bool();
        self.try_once(&Act::Rename { conversation, title, as_owner }).await;
    }

    /// Has a service say that it could not bring them a message.
    async fn report(&mut self) {
        let message = {
            let knowledge = self.person.knowledge();
            let others = knowledge.messages.iter().filter(|(_, is_own)| !*is_own).map(|(id, _)| id);
            let others: Vec<&String> = others.collect();
            let newest = others.len().saturating_sub(10);
            self.random.choice(&others[newest..]).map_or_else(|| NOBODYS.to_owned(), |id| (*id).clone())
        };
        let (recipient, reason) = (self.person.id.clone(), self.text("lacks a device"));
        self.try_once(&Act::Report { message, recipient, reason }).await;
    }

    async fn add(&mut self) {
        let Some(conversation) = self.conversation() else { return };
        let others = self.random.usize(1..4);
        let handles = self.others(others);
        self.try_once(&Act::Add { conversation, handles }).await;
    }

    async fn remove(&mut self) {
        let Some(conversation) = self.conversation() else { return };
        let others = self.random.usize(1..3);
        let handles = self.others(others);
        self.try_once(&Act::Remove { conversation, handles }).await;
    }

    async fn leave(&mut self) {
        let Some(conversation) = self.conversation() else { return };
        // They still know the conversation. They may be added again, and are refused until then.
        self.try_once(&Act::Leave { conversation }).await;
    }

    /// Asks, and notes what comes of it.
    async fn call(&self, act: &Act, attempt: Attempt) -> Outcome {
        let Attempt { node, connection } = attempt;
        let history = &self.around.history;
        let call = history.invoke(&self.person.id, node, connection.as_deref(), act);
        let token = match act {
            Act::Report { .. } => self.around.key.as_ref(),
            _ => self.person.token.as_str(),
        };
        let posted =
            post(self.around.ports[node], Some(token), connection.as_deref(), &act.request(), PATIENCE).await;
        let (outcome, strange) = act.outcome(posted);
        history.complete(call, outcome.clone());
        if let Some(strange) = strange {
            history.strange(strange);
        }
        outcome
    }

    /// At which node, and in whose name among their devices.
    fn attempt(&mut self) -> Attempt {
        let node = self.random.usize(0..self.around.ports.len());
        let connection = match self.random.u32(0..10) {
            0..2 => None,
            2..4 => Some("no-device".to_owned()),
            _ => self.random.choice(self.person.knowledge().connections.iter()).cloned(),
        };
        Attempt { node, connection }
    }

    fn conversation(&mut self) -> Option<String> {
        self.random.choice(self.person.knowledge().conversations.iter()).cloned()
    }

    /// Others, at random.
    fn others(&mut self, count: usize) -> Vec<String> {
        let others = self.handles.iter().filter(|handle| **handle != self.person.handle);
        let chosen = self.random.choose_multiple(others, count);
        chosen.into_iter().cloned().collect()
    }

    /// A text that nobody else says, and they only once.
    pub(crate) fn text(&mut self, what: &str) -> String {
        self.said += 1;
        format!("{}{} {what} {}", self.person.handle, self.role, self.said)
    }
}
