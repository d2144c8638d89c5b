//! People who talk, and what they ask of herald.

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
