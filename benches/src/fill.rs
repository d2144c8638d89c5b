//! A log with history, made through herald's own writer.

use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use herald::feed::InProcess;
use herald::log::{Database, DatabaseOptions, Rules, Writer};
use herald::messaging::{Action, Body, Command, ConversationId, MessageId, Send, UserId};
use herald::random;

/// Has `sender` send so many messages into the conversation; the id of the last one.
pub(crate) async fn messages(file: &Path, sender: &str, conversation: &str, count: usize) -> String {
    let url = format!("sqlite://{}", file.display());
    let database = Database::open(&DatabaseOptions {
        url,
        readers: 1,
        patience: std::time::Duration::from_mins(1),
        observer: None,
    })
    .await
    .unwrap();
    let rules = Rules { small_conversation: 32, most_participants: 1_000, batch: 256, queue: 4_096 };
    let (writer, writing) =
        Writer::start(database.clone(), Arc::new(InProcess::default()), Arc::default(), rules);
    let actor: UserId = sender.parse().unwrap();
    let conversation: ConversationId = conversation.parse().unwrap();
    let body = Body::parse("A message of the length that people write to each other.", 1_000).unwrap();
    let sends = (0..count).map(|_| {
        let message = MessageId(random::id());
        let action =
            Action::Send(Send { conversation, message, body: body.clone(), metadata: None, key: None });
        let writer = writer.clone();
        async move { writer.submit(Command { actor, origin: None, via: None, action }).await.unwrap() }
    });
    let sent: Vec<_> = stream::iter(sends).buffer_unordered(1_024).collect().await;
    let last = sent.into_iter().max_by_key(|sent| sent.place.position).and_then(|sent| sent.message).unwrap();
    drop(writer);
    writing.await.unwrap();
    database.close().await;
    last.id.to_string()
}
