//! The writers of several nodes in one process: the log itself. What never lives here: the way to it, which
//! is HTTP and GraphQL, and the way out of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herald::feed::InProcess;
use herald::log::{Database, DatabaseOptions, Rules, Writer};
use herald::messaging::{Action, Body, Command, ConversationId, IdempotencyKey, MessageId, Send, UserId};
use herald::random;
use tokio::task::{JoinHandle, JoinSet};

use crate::people::Pair;

/// What herald does when it is told nothing else.
const RULES: Rules = Rules { small_conversation: 32, most_participants: 1_000, batch: 256, queue: 4_096 };

/// Writers that append to one log, each as in a node of its own.
pub(super) struct Running {
    logs: Vec<(Database, Writer, JoinHandle<()>)>,
}

impl Running {
    pub(super) async fn start(url: &str, writers: usize) -> Self {
        let mut logs = Vec::new();
        for _ in 0..writers {
            let options = DatabaseOptions {
                url: url.to_owned(),
                readers: 1,
                patience: Duration::from_secs(5),
                observer: None,
            };
            let database = Database::open(&options).await.unwrap();
            let (writer, writing) =
                Writer::start(database.clone(), Arc::new(InProcess::default()), Arc::default(), RULES);
            logs.push((database, writer, writing));
        }
        Self { logs }
    }

    /// Keeps so many messages under way at each writer. Returns how many seconds that took.
    pub(super) async fn send(&self, pairs: &[Pair], in_flight: usize, time: Duration) -> f64 {
        let begun = Instant::now();
        let mut sending = JoinSet::new();
        for (_, writer, _) in &self.logs {
            for pair in pairs.iter().cycle().take(in_flight) {
                let sender = pair.sender.id.parse().unwrap();
                let conversation = pair.conversation.parse().unwrap();
                sending.spawn(send_until(begun + time, writer.clone(), sender, conversation));
            }
        }
        sending.join_all().await;
        begun.elapsed().as_secs_f64()
    }

    pub(super) async fn stop(self) {
        for (database, writer, writing) in self.logs {
            drop(writer);
            writing.await.unwrap();
            database.close().await;
        }
    }
}

async fn send_until(until: Instant, writer: Writer, actor: UserId, conversation: ConversationId) {
    let body = Body::parse("A message of the length that people write to each other.", 1_000).unwrap();
    while Instant::now() < until {
        let id = random::id();
        let key = IdempotencyKey::parse(&format!("key-{}", id.simple())).unwrap();
        let message = MessageId(id);
        let action =
            Action::Send(Send { conversation, message, body: body.clone(), metadata: None, key: Some(key) });
        writer.submit(Command { actor, origin: None, via: None, action }).await.unwrap();
    }
}
