//! What webhooks are told, as documents of GraphQL: so it follows the rules of the schema, as [`super::cloud_events`]
//! does.

/// The text of a message, and what its sender added.
const BODIES: &str = "body metadata";

/// The subscription whose answers are the calls about messages and marks. `page` is the most that a list may have.
pub(super) fn events(page: usize, has_bodies: bool) -> String {
    let bodies = if has_bodies { BODIES } else { "" };
    format!(
        "subscription {{ log(checkpoints: true) {{
            __typename cursor at
            ... on MessageSent {{ via conversation {{ id title }} message {{ ...Told {bodies} redactedAt }} }}
            ... on StatusChanged {{
                via conversation {{ id title }} status recipient {{ ...Who }}
                message {{ id }} messages(first: {page}) {{ ...Told }}
            }}
        }} }}
        fragment Who on User {{ id handle displayName externalId }}
        fragment Told on Message {{
            id sentAt sender {{ ...Who }} status recipientCount deliveredCount readCount
        }}"
    )
}

/// The query whose answer is what a call says of a recipient whom messages have not reached.
pub(super) fn undelivered(has_bodies: bool) -> String {
    let bodies = if has_bodies { BODIES } else { "" };
    format!(
        "query($conversation: ID!, $message: ID!) {{
            recipient: viewer {{ ...Who }}
            unread {{ messages conversations }}
            conversation(id: $conversation) {{ id title unreadCount own {{ mutedUntil }} }}
            message(id: $message) {{ id sentAt sender {{ ...Who }} {bodies} redactedAt }}
        }}
        fragment Who on User {{ id handle displayName externalId }}"
    )
}
