//! A signed-in user, with requests and shorthands.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Socket, request};

/// The password of everyone in the tests.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody signed in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) address: SocketAddr,
    pub(crate) handle: String,
    pub(crate) id: String,
    pub(crate) token: String,
    /// The connection that requests over HTTP name, if any.
    pub(crate) connection: Option<String>,
    /// The user for whom requests over HTTP act, if it is a service.
    pub(crate) acts_as: Option<String>,
}

impl User {
    pub(crate) async fn register(address: SocketAddr, handle: &str) -> Self {
        let nobody = Self {
            address,
            handle: handle.to_owned(),
            id: String::new(),
            token: String::new(),
            connection: None,
            acts_as: None,
        };
        let input = json!({ "handle": handle, "displayName": handle, "password": PASSWORD });
        let data = nobody
            .data(
                "mutation($input: RegisterInput!) { register(input: $input) { token user { id } } }",
                json!({ "input": input }),
            )
            .await;
        let payload = &data["register"];
        Self {
            id: payload["user"]["id"].as_str().unwrap().to_owned(),
            token: payload["token"].as_str().unwrap().to_owned(),
            ..nobody
        }
    }

    /// The same user in a session of its own.
    pub(crate) async fn sign_in_again(&self) -> Self {
        let input = json!({ "handle": self.handle, "password": PASSWORD });
        let data = self
            .data(
                "mutation($input: LoginInput!) { login(input: $input) { token } }",
                json!({ "input": input }),
            )
            .await;
        let token = data["login"]["token"].as_str().unwrap().to_owned();
        Self { token, connection: None, ..self.clone() }
    }

    /// The same user, whose requests over HTTP name a connection.
    pub(crate) fn on(&self, connection: &str) -> Self {
        Self { connection: Some(connection.to_owned()), ..self.clone() }
    }

    /// The same service, which acts for somebody.
    pub(crate) fn acting_as(&self, user: &str) -> Self {
        Self { acts_as: Some(user.to_owned()), ..self.clone() }
    }

    /// The same user, in the same session, at another node.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// The whole response to an operation over HTTP.
    pub(crate) async fn post(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("content-type", "application/json")];
        if !self.token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        if let Some(connection) = &self.connection {
            headers.push(("x-connection-id", connection));
        }
        if let Some(user) = &self.acts_as {
            headers.push(("x-act-as", user));
        }
        request(self.address, "POST", "/graphql", &headers, body.as_bytes()).await.json()
    }

    /// The data of an operation that must succeed.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut response = self.post(query, variables).await;
        assert!(response.get("errors").is_none(), "{query}\n{response}");
        response["data"].take()
    }

    /// The code with which an operation is refused.
    pub(crate) async fn refused(&self, query: &str, variables: Value) -> String {
        super::code(&self.post(query, variables).await).to_owned()
    }

    /// Starts a conversation; its id.
    pub(crate) async fn start(&self, others: &[&User]) -> String {
        let handles: Vec<_> = others.iter().map(|user| &user.handle).collect();
        let data = self
            .data(
                "mutation($handles: [String!]!) {
                    startConversation(input: { participantHandles: $handles }) { conversation { id } }
                }",
                json!({ "handles": handles }),
            )
            .await;
        data["startConversation"]["conversation"]["id"].as_str().unwrap().to_owned()
    }

    /// Adds people to a conversation.
    pub(crate) async fn add(&self, conversation: &str, others: &[&User]) {
        let handles: Vec<_> = others.iter().map(|user| &user.handle).collect();
        self.data(
            "mutation($id: ID!, $handles: [String!]!) {
                addParticipants(input: { conversationId: $id, handles: $handles }) { cursor }
            }",
            json!({ "id": conversation, "handles": handles }),
        )
        .await;
    }

    /// Leaves a conversation.
    pub(crate) async fn leave(&self, conversation: &str) {
        let leave = "mutation($id: ID!) { leaveConversation(input: { conversationId: $id }) { cursor } }";
        self.data(leave, json!({ "id": conversation })).await;
    }

    /// Sends a message; its id.
    pub(crate) async fn send(&self, conversation: &str, body: &str) -> String {
        let data = self
            .data(
                "mutation($id: ID!, $body: String!) {
                    sendMessage(input: { conversationId: $id, body: $body }) { message { id } }
                }",
                json!({ "id": conversation, "body": body }),
            )
            .await;
        data["sendMessage"]["message"]["id"].as_str().unwrap().to_owned()
    }

    /// Marks a message as delivered.
    pub(crate) async fn mark_delivered(&self, message: &str) {
        let mark = "mutation($id: ID!) { markDelivered(input: { messageId: $id }) { cursor } }";
        self.data(mark, json!({ "id": message })).await;
    }

    /// Marks a message as read.
    pub(crate) async fn mark_read(&self, message: &str) {
        let mark = "mutation($id: ID!) { markRead(input: { messageId: $id }) { cursor } }";
        self.data(mark, json!({ "id": message })).await;
    }

    /// A place in the log that includes everything so far.
    pub(crate) async fn cursor(&self) -> String {
        self.data("{ cursor }", json!({})).await["cursor"].as_str().unwrap().to_owned()
    }

    /// A socket, acknowledged, under the given connection id.
    pub(crate) async fn socket(&self, connection: &str) -> Socket {
        let mut socket = Socket::connect(self.address, &[]).await.expect("a socket");
        let mut payload =
            json!({ "authorization": format!("Bearer {}", self.token), "connectionId": connection });
        if let Some(user) = &self.acts_as {
            payload["actAs"] = user.as_str().into();
        }
        socket.send(json!({ "type": "connection_init", "payload": payload })).await;
        let ack = socket.receive().await;
        assert_eq!(ack["type"], "connection_ack", "{ack}");
        assert_eq!(ack["payload"]["connectionId"], connection);
        socket.cursor = ack["payload"]["cursor"].as_str().unwrap().to_owned();
        socket
    }
}
