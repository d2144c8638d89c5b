//! The subscriptions that devices use.

use serde_json::{Value, json};

use crate::history::Scope;

const EVENTS: &str = "subscription($after: Cursor) {
    event: events(after: $after) {
        __typename cursor previous at conversation { id }
        ... on ConversationStarted { startedBy { id } }
        ... on ConversationRenamed { title renamedBy { id } }
        ... on MessageUndeliverable { recipient { id } message { id } reason }
        ... on ConversationUpdated { updatedBy { id } }
        ... on ParticipantsJoined { addedBy { id } users { id } }
        ... on ParticipantLeft { user { id } newOwner { id } }
        ... on MessageRedacted { redactedBy { id } message { id body } }
        ... on ParticipantsRemoved { removedBy { id } users { id } }
        ... on MessageSent { message { id body sentAt sender { id } } }
        ... on StatusChanged { recipient { id } status message { id } messages(first: 50) { id } }
    }
}";

const MESSAGES: &str = "subscription($after: Cursor, $conversation: ID) {
    event: messageSent(after: $after, conversationId: $conversation) {
        __typename cursor previous at conversation { id } message { id body sentAt sender { id } }
    }
}";

/// The document and the variables that follow a scope from a cursor, or from now.
pub(crate) fn subscription(scope: &Scope, after: Option<&str>) -> (&'static str, Value) {
    match scope {
        Scope::Everything => (EVENTS, json!({ "after": after })),
        Scope::MessagesIn(conversation) => {
            (MESSAGES, json!({ "after": after, "conversation": conversation }))
        }
    }
}
