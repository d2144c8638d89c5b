//! A person who sends and receives, with the conversations and messages that they know.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Posted, post};
use crate::told::{Told, What};

/// The password of everyone.
const PASSWORD: &str = "torture me";

/// How long a registration may take: passwords are hashed slowly, and a few at a time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Messages that somebody remembers, to mark them.
const REMEMBERED: usize = 200;

/// Somebody, signed in.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) handle: String,
    pub(crate) id: String,
    pub(crate) token: String,
    knowledge: Mutex<Knowledge>,
}

/// What somebody has heard of, by any of their devices.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    /// Conversations that they took part in at some time.
    pub(crate) conversations: BTreeSet<String>,
    /// Messages, and whether they sent them themselves; the newest last.
    pub(crate) messages: VecDeque<(String, bool)>,
    /// The connection ids of their devices.
    pub(crate) connections: Vec<String>,
}

impl Person {
    /// Registers somebody new at a node.
    pub(crate) async fn register(port: u16, handle: &str) -> Result<Self, String> {
        let input = json!({ "handle": handle, "displayName": handle, "password": PASSWORD });
        let query = "mutation($input: RegisterInput!) {
            session: register(input: $input) { token user { id } }
        }";
        Self::begin_session(port, handle, query, &input).await
    }

    /// The same person in a session of its own.
    pub(crate) async fn sign_in_again(&self, port: u16) -> Result<Self, String> {
        let input = json!({ "handle": self.handle, "password": PASSWORD });
        let query = "mutation($input: LoginInput!) {
            session: login(input: $input) { token user { id } }
        }";
        Self::begin_session(port, &self.handle, query, &input).await
    }

    async fn begin_session(port: u16, handle: &str, query: &str, input: &Value) -> Result<Self, String> {
        let request = json!({ "query": query, "variables": { "input": input } });
        let posted = post(port, None, None, &request, PATIENCE).await;
        let Posted::Response { json, .. } = &posted else {
            return Err(format!("{handle} cannot sign in: {posted:?}"));
        };
        let session = &json["data"]["session"];
        match (session["token"].as_str(), session["user"]["id"].as_str()) {
            (Some(token), Some(id)) => Ok(Self {
                handle: handle.to_owned(),
                id: id.to_owned(),
                token: token.to_owned(),
                knowledge: Mutex::default(),
            }),
            _ => Err(format!("{handle} cannot sign in: {json}")),
        }
    }

    /// A place in the log, as this person is told it.
    pub(crate) async fn cursor(&self, port: u16) -> Result<String, String> {
        let posted = post(port, Some(&self.token), None, &json!({ "query": "{ cursor }" }), PATIENCE).await;
        match &posted {
            Posted::Response { json, .. } => match json["data"]["cursor"].as_str() {
                Some(cursor) => Ok(cursor.to_owned()),
                None => Err(format!("no cursor: {json}")),
            },
            other => Err(format!("no cursor: {other:?}")),
        }
    }

    /// What they know. Held for a look, never across an await.
    pub(crate) fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from what one of their devices was told.
    pub(crate) fn learn(&self, told: &Told) {
        let mut knowledge = self.knowledge();
        knowledge.conversations.insert(told.conversation.clone());
        if let What::Sent { message, sender, .. } = &told.what {
            knowledge.remember(message, *sender == self.id);
        }
    }
}

impl Knowledge {
    /// Remembers a message.
    pub(crate) fn remember(&mut self, message: &str, is_own: bool) {
        if self.messages.len() == REMEMBERED {
            self.messages.pop_front();
        }
        self.messages.push_back((message.to_owned(), is_own));
    }
}
