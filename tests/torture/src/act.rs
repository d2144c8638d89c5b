//! The requests of people, and their outcomes.

use serde_json::{Value, json};

use crate::http::Posted;

/// One mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Start {
        handles: Vec<String>,
        title: String,
    },
    Add {
        conversation: String,
        handles: Vec<String>,
    },
    Leave {
        conversation: String,
    },
    Remove {
        conversation: String,
        handles: Vec<String>,
    },
    /// By an owner, where they are to be told so, or by anybody.
    Rename {
        conversation: String,
        title: String,
        as_owner: bool,
    },
    Send {
        conversation: String,
        body: String,
        key: Option<String>,
    },
    Mark {
        message: String,
        is_read: bool,
    },
    /// A service says that it could not bring the message to the user.
    Report {
        message: String,
        recipient: String,
        reason: String,
    },
    Redact {
        message: String,
    },
    /// Chooses what others are told of what one receives and reads in a conversation.
    Share {
        conversation: String,
        delivered: bool,
        read: bool,
    },
    /// Marks everything in a conversation.
    MarkAll {
        conversation: String,
        is_read: bool,
    },
}

/// What came of it, as far as the client knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Answer),
    /// Refused with a code: nothing was changed.
    Refused(String),
    /// It may have happened: the connection broke, nothing was answered in time, or the answer was
    /// UNAVAILABLE.
    Unknown(String),
}

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) cursor: String,
    pub(crate) conversation: Option<String>,
    pub(crate) message: Option<String>,
}

impl Act {
    /// The request that asks for it.
    pub(crate) fn request(&self) -> Value {
        let (query, input) = match self {
            Self::Start { handles, title } => (
                "mutation($input: StartConversationInput!) {
                    done: startConversation(input: $input) { cursor conversation { id } }
                }",
                json!({ "participantHandles": handles, "title": title }),
            ),
            Self::Add { conversation, handles } => (
                "mutation($input: ParticipantsInput!) {
                    done: addParticipants(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation, "handles": handles }),
            ),
            Self::Leave { conversation } => (
                "mutation($input: LeaveConversationInput!) {
                    done: leaveConversation(input: $input) { cursor }
                }",
                json!({ "conversationId": conversation }),
            ),
            Self::Remove { conversation, handles } => (
                "mutation($input: ParticipantsInput!) {
                    done: removeParticipants(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation, "handles": handles }),
            ),
            Self::Rename { conversation, title, as_owner: true } => (
                "mutation($input: UpdateConversationInput!) {
                    done: updateConversation(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation, "title": title }),
            ),
            Self::Rename { conversation, title, as_owner: false } => (
                "mutation($input: RenameConversationInput!) {
                    done: renameConversation(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation, "title": title }),
            ),
            Self::Send { conversation, body, key } => (
                "mutation($input: SendMessageInput!) {
                    done: sendMessage(input: $input) { cursor message { id } }
                }",
                json!({ "conversationId": conversation, "body": body, "idempotencyKey": key }),
            ),
            Self::Mark { message, is_read: false } => (
                "mutation($input: MarkInput!) {
                    done: markDelivered(input: $input) { cursor message { id } }
                }",
                json!({ "messageId": message }),
            ),
            Self::Mark { message, is_read: true } => (
                "mutation($input: MarkInput!) {
                    done: markRead(input: $input) { cursor message { id } }
                }",
                json!({ "messageId": message }),
            ),
            Self::Report { message, recipient, reason } => (
                "mutation($input: UndeliverableInput!) {
                    done: reportUndeliverable(input: $input) { cursor message { id } }
                }",
                json!({ "messageId": message, "userId": recipient, "reason": reason }),
            ),
            Self::Redact { message } => (
                "mutation($input: RedactMessageInput!) {
                    done: redactMessage(input: $input) { cursor message { id } }
                }",
                json!({ "messageId": message }),
            ),
            Self::Share { conversation, delivered, read } => (
                "mutation($input: OwnParticipationInput!) {
                    done: updateOwnParticipation(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation, "shareDelivered": delivered, "shareRead": read }),
            ),
            Self::MarkAll { conversation, is_read: false } => (
                "mutation($input: MarkInput!) {
                    done: markDelivered(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation }),
            ),
            Self::MarkAll { conversation, is_read: true } => (
                "mutation($input: MarkInput!) {
                    done: markRead(input: $input) { cursor conversation { id } }
                }",
                json!({ "conversationId": conversation }),
            ),
        };
        json!({ "query": query, "variables": { "input": input } })
    }

    /// Whether it may be refused with this code, whatever else goes on.
    fn may_be_refused_with(&self, code: &str) -> bool {
        match code {
            // The body came too late, so nothing was executed.
            "REQUEST_TIMEOUT" => true,
            "NOT_FOUND" => !matches!(self, Self::Start { .. }),
            "SENDER_CANNOT_MARK" => matches!(self, Self::Mark { .. }),
            "FORBIDDEN" => {
                matches!(
                    self,
                    Self::Remove { .. } | Self::Redact { .. } | Self::Rename { as_owner: true, .. }
                )
            }
            _ => false,
        }
    }

    /// What a response comes to. The second part is what should never have been answered.
    pub(crate) fn outcome(&self, posted: Posted) -> (Outcome, Option<String>) {
        let (status, response) = match posted {
            Posted::Response { status, json } => (status, json),
            Posted::Broken(why) => return (Outcome::Unknown(why), None),
            Posted::Malformed(what) => return (Outcome::Unknown(what.clone()), Some(what)),
        };
        let error = &response["errors"][0];
        if !error.is_null() {
            let code = error["extensions"]["code"].as_str().unwrap_or("none").to_owned();
            if code == "UNAVAILABLE" {
                return (Outcome::Unknown(code), None);
            }
            let is_strange = !self.may_be_refused_with(&code);
            let strange = is_strange.then(|| format!("{self:?} was refused with {status}: {error}"));
            return (Outcome::Refused(code), strange);
        }
        match self.answer(&response["data"]["done"]) {
            Some(answer) => (Outcome::Answered(answer), None),
            None => {
                let strange = format!("{self:?} was answered with {status}: {response}");
                (Outcome::Unknown("malformed".into()), Some(strange))
            }
        }
    }

    fn answer(&self, done: &Value) -> Option<Answer> {
        let id = |name: &str| done[name]["id"].as_str().map(str::to_owned);
        let answer = Answer {
            cursor: done["cursor"].as_str()?.to_owned(),
            conversation: id("conversation"),
            message: id("message"),
        };
        let is_whole = match self {
            Self::Start { .. } => answer.conversation.is_some(),
            Self::Add { conversation, .. }
            | Self::Remove { conversation, .. }
            | Self::MarkAll { conversation, .. }
            | Self::Share { conversation, .. }
            | Self::Rename { conversation, .. } => answer.conversation.as_ref() == Some(conversation),
            Self::Leave { .. } => true,
            Self::Send { .. } => answer.message.is_some(),
            Self::Mark { message, .. } | Self::Report { message, .. } | Self::Redact { message } => {
                answer.message.as_ref() == Some(message)
            }
        };
        is_whole.then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(act: &Act, status: u16, json: Value) -> (Outcome, Option<String>) {
        act.outcome(Posted::Response { status, json })
    }

    #[test]
    fn what_may_have_happened_is_unknown_and_what_cannot_be_is_strange() {
        let send = Act::Send { conversation: "cnv_1".into(), body: "hello".into(), key: None };
        let error = |code: &str| json!({ "errors": [{ "extensions": { "code": code } }], "data": null });
        let unavailable = outcome(&send, 503, error("UNAVAILABLE"));
        assert_eq!(unavailable, (Outcome::Unknown("UNAVAILABLE".into()), None));
        assert_eq!(outcome(&send, 200, error("NOT_FOUND")), (Outcome::Refused("NOT_FOUND".into()), None));
        assert!(outcome(&send, 200, error("INTERNAL")).1.is_some());
        assert!(outcome(&send, 200, error("SENDER_CANNOT_MARK")).1.is_some());
        assert!(outcome(&send, 200, json!({ "data": { "done": { "cursor": "c" } } })).1.is_some());
        let done = json!({ "data": { "done": { "cursor": "c", "message": { "id": "msg_1" } } } });
        let answer = Answer { cursor: "c".into(), conversation: None, message: Some("msg_1".into()) };
        assert_eq!(outcome(&send, 200, done.clone()), (Outcome::Answered(answer), None));
        let other = Act::Mark { message: "msg_2".into(), is_read: true };
        assert!(outcome(&other, 200, done).1.is_some(), "another message was answered");
        let rename = Act::Rename { conversation: "cnv_1".into(), title: "tea".into(), as_owner: false };
        let done = |id: &str| json!({ "data": { "done": { "cursor": "c", "conversation": { "id": id } } } });
        assert_eq!(outcome(&rename, 200, done("cnv_1")).1, None);
        assert!(outcome(&rename, 200, done("cnv_2")).1.is_some(), "another conversation was answered");
        assert_eq!(outcome(&rename, 200, error("NOT_FOUND")).1, None);
        assert!(outcome(&rename, 200, error("BAD_INPUT")).1.is_some());
    }
}
