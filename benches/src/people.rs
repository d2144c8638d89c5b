//! People who talk, and what they ask of herald.

use herald::random;
use serde_json::{Value, json};

use crate::load::Http;

const PASSWORD: &str = "correct horse battery";

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { token user { id } } }";

pub(crate) const SEND: &str = "mutation($input: SendMessageInput!) {
    sendMessage(input: $input) { cursor message { id body sentAt sender { id handle } } }
}";

/// The selection that is delivered: some 330 bytes, as in the figures to beat.
pub(crate) const SENT: &str = "subscription($after: Cursor) {
    messageSent(after: $after) { cursor at message { id body sentAt sender { id handle displayName } } }
}";

/// Everything that a chat shows and that its client asks for when it comes back.
pub(crate) const EVENTS: &str = "subscription($after: Cursor) {
    events(after: $after) {
        __typename cursor at conversation { id }
        ... on MessageSent { message { id body sentAt status sender { id handle displayName } } }
        ... on StatusChanged { status recipient { id } messages(first: 50) { id status } }
    }
}";

/// Somebody signed in.
#[derive(Clone)]
pub(crate) struct User {
    handle: String,
    pub(crate) id: String,
    pub(crate) token: String,
}

pub(crate) async fn register(port: u16, handle: &str) -> User {
    let mut http = Http::connect(port, "/graphql", None).await;
    let input = json!({ "handle": handle, "displayName": "Somebody Or Other", "password": PASSWORD });
    let data = http.graphql(REGISTER, json!({ "input": input })).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    User {
        handle: handle.to_owned(),
        id: text(&data["register"]["user"]["id"]),
        token: text(&data["register"]["token"]),
    }
}

/// Starts a conversation: its id.
pub(crate) async fn start(port: u16, by: &User, with: &[&User]) -> String {
    let mut http = Http::connect(port, "/graphql", Some(&by.token)).await;
    let query = "mutation($handles: [String!]!) {
        startConversation(input: { participantHandles: $handles }) { conversation { id } }
    }";
    let handles: Vec<_> = with.iter().map(|user| &user.handle).collect();
    let data = http.graphql(query, json!({ "handles": handles })).await;
    data["startConversation"]["conversation"]["id"].as_str().unwrap().to_owned()
}

/// Two people and their conversation.
pub(crate) struct Pair {
    pub(crate) sender: User,
    pub(crate) recipient: User,
    pub(crate) conversation: String,
}

impl Pair {
    /// Makes the pair of this number.
    pub(crate) async fn make(port: u16, n: usize) -> Self {
        let sender = register(port, &format!("sender-{n}")).await;
        let recipient = register(port, &format!("recipient-{n}")).await;
        let conversation = start(port, &sender, &[&recipient]).await;
        Self { sender, recipient, conversation }
    }
}

/// The variables of [`SEND`]. The text ends with the number, for [`number_of`].
pub(crate) fn send_variables(conversation: &str, n: usize) -> Value {
    json!({ "input": {
        "conversationId": conversation,
        "body": format!("A message of the length that people write, number {n:>6}"),
        "idempotencyKey": format!("key-{n}-{}", random::id().simple()),
    } })
}

/// The number of the message whose text is in this frame, if there is one.
pub(crate) fn number_of(frame: &[u8]) -> Option<usize> {
    const BEFORE: &[u8] = b"number ";
    let at = frame.windows(BEFORE.len()).position(|bytes| bytes == BEFORE)? + BEFORE.len();
    std::str::from_utf8(frame.get(at..at + 6)?).ok()?.trim_start().parse().ok()
}
