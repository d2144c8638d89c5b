//! The inputs of mutations. The mutation checks each field, and its errors name the field.

use async_graphql::{ID, InputObject, MaybeUndefined};

use super::types::{DateTime, Json};

/// Who is to be created.
#[derive(InputObject)]
pub(super) struct RegisterInput {
    /// 3 to 32 of a-z, 0-9, `_` and `-`.
    pub(super) handle: String,
    /// The name shown to others: 1 to 100 characters.
    pub(super) display_name: String,
    /// At least 8 characters.
    pub(super) password: String,
    /// Chosen by the client, unique to this registration. A retry with the same key, handle, name and password signs in
    /// the user whom the first try created; with anything else it is refused with `HANDLE_TAKEN`.
    pub(super) idempotency_key: Option<String>,
}

/// Who signs in.
#[derive(InputObject)]
pub(super) struct LoginInput {
    /// The handle they registered with.
    pub(super) handle: String,
    /// The password that they registered with.
    pub(super) password: String,
}

/// What is to be started.
#[derive(InputObject)]
pub(super) struct StartConversationInput {
    /// Its title, if any. A conversation that `distinct` finds keeps its own title.
    pub(super) title: Option<String>,
    /// What its owners keep with it. Everybody in it sees it. A conversation that `distinct` finds keeps its own.
    pub(super) metadata: Option<Json>,
    /// The other people in it.
    pub(super) participant_handles: Vec<String>,
    /// Chosen by the client, unique to this start. A retry with the same key and input returns the conversation of the
    /// first try, whoever has joined or left since; with another input it is refused with `IDEMPOTENCY_KEY_REUSED`. A
    /// message may have the same key.
    pub(super) idempotency_key: Option<String>,
    /// Finds the one conversation of just these people, and starts it if there is none: everybody who asks for it gets
    /// the same. It is one that was started with `distinct`. When somebody joins or leaves, it becomes a conversation
    /// like any other, and is not found any more.
    #[graphql(default_with = "Some(false)")]
    pub(super) distinct: Option<bool>,
}

/// Who is to be added or removed, and where.
#[derive(InputObject)]
pub(super) struct ParticipantsInput {
    /// The conversation that they are added to, or removed from.
    pub(super) conversation_id: ID,
    /// Who is to be added or removed. Those who take part already, or take no part any more, stay as they are.
    pub(super) handles: Vec<String>,
}

/// What is to be left.
#[derive(InputObject)]
pub(super) struct LeaveConversationInput {
    /// The conversation that the viewer leaves.
    pub(super) conversation_id: ID,
}

/// What is to be renamed.
#[derive(InputObject)]
pub(super) struct RenameConversationInput {
    /// The conversation that gets another title.
    pub(super) conversation_id: ID,
    /// Its title from here on. Without a title, or with null, it has none.
    pub(super) title: Option<String>,
}

/// What is to change of a conversation. What is not given stays as it is.
#[derive(InputObject)]
pub(super) struct UpdateConversationInput {
    /// The conversation that changes.
    pub(super) conversation_id: ID,
    /// Its title from here on. With null, it has none.
    pub(super) title: MaybeUndefined<String>,
    /// What its owners keep with it from here on. With null, nothing.
    pub(super) metadata: MaybeUndefined<Json>,
}

/// What the viewer is to keep for themselves of a conversation. What is not given stays as it is.
#[derive(InputObject)]
pub(super) struct OwnParticipationInput {
    /// The conversation.
    pub(super) conversation_id: ID,
    /// The time up to which the viewer does not want to be disturbed. Null ends it.
    pub(super) muted_until: MaybeUndefined<DateTime>,
    /// Whatever the viewer's clients keep. With null, nothing.
    pub(super) metadata: MaybeUndefined<Json>,
    /// Whether others are told here of what the viewer receives from now on. Null leaves it at what the profile says.
    pub(super) share_delivered: MaybeUndefined<bool>,
    /// Whether others are told here of what the viewer reads from now on. Null leaves it at what the profile says.
    /// Whoever does not share what they receive does not share what they read either, whatever this says.
    pub(super) share_read: MaybeUndefined<bool>,
}

/// What is to be sent.
#[derive(InputObject)]
pub(super) struct SendMessageInput {
    /// The conversation that the message is sent to.
    pub(super) conversation_id: ID,
    /// The text of the message. It is stored unchanged.
    pub(super) body: String,
    /// What the client keeps with it. Everybody who sees the message sees it.
    pub(super) metadata: Option<Json>,
    /// Chosen by the client, unique to this send. A retry with the same key, body and metadata returns the message
    /// that the first try stored; with another body it is refused with `IDEMPOTENCY_KEY_REUSED`. Once that message was
    /// redacted, its body is not compared.
    pub(super) idempotency_key: Option<String>,
}

/// What is to be redacted.
#[derive(InputObject)]
pub(super) struct RedactMessageInput {
    /// The message whose body and metadata go for good.
    pub(super) message_id: ID,
}

/// What is to be marked: up to a message, or a conversation. One of the two must be given.
#[derive(InputObject)]
pub(super) struct MarkInput {
    /// The newest message that the mark covers.
    pub(super) message_id: Option<ID>,
    /// The conversation of which the mark covers everything up to now, also where the newest message is the viewer's own.
    /// To mark a conversation in which there is nothing to mark changes nothing.
    pub(super) conversation_id: Option<ID>,
}
