//! What calls say: `{type, timestamp, data}`, made of what GraphQL answers.

use axum::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::log::{CallKind, Lane, StoredCall};
use crate::messaging::{ConversationId, Epoch, Position, Timestamp, UserId};

/// The type of what herald could not tell, with the errors as its data.
const FAILED: &str = "herald.failed";

/// The lane of what is about the log as a whole.
pub(super) const WHOLE_LOG: Lane =
    Lane { conversation: ConversationId(Uuid::nil()), recipient: UserId(Uuid::nil()) };

/// The body of a call.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    timestamp: &'a str,
    data: &'a Value,
}

/// Writes the body of a call.
pub(super) fn write(kind: &str, timestamp: &str, data: &Value) -> Bytes {
    // Nothing in it can fail to be written as JSON.
    serde_json::to_vec(&Body { r#type: kind, timestamp, data }).unwrap_or_default().into()
}

/// What the answer about an event comes to.
pub(super) struct Told {
    /// What it follows.
    pub(super) lane: Lane,
    /// The body of its call.
    pub(super) body: Bytes,
}

/// What is told of an event; `None` where webhooks are not told of its kind.
pub(super) fn of_event(answer: &str, now: Timestamp) -> Option<Told> {
    // herald wrote the answer itself, as JSON.
    let mut answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let mut data = answer["data"]["log"].take();
    let Some(members) = data.as_object_mut() else {
        // Something of the event could not be read, or is too large. The receiver must know that there was one.
        return Some(Told { lane: WHOLE_LOG, body: write(FAILED, &instant(now), &answer) });
    };
    let kind = match members.remove("__typename")?.as_str()? {
        "MessageSent" => "message.sent",
        "StatusChanged" => "status.changed",
        _ => return None,
    };
    let at = members.remove("at").unwrap_or_default();
    let conversation = data["conversation"]["id"].as_str().and_then(|id| id.parse().ok());
    let lane = conversation.map_or(WHOLE_LOG, |conversation| Lane { conversation, ..WHOLE_LOG });
    Some(Told { lane, body: write(kind, at.as_str().unwrap_or_default(), &data) })
}

/// What is told of a recipient: `data` is what they see, `after_seconds` the rule, `since` when the message was sent that
/// they should have received, and `token` stands for it until `expires`.
pub(super) fn of_undelivered(
    mut data: Value,
    after_seconds: u32,
    since: Timestamp,
    token: &str,
    expires: Timestamp,
    now: Timestamp,
) -> Bytes {
    let muted_until = data["conversation"]["own"]["mutedUntil"].take();
    if let Some(conversation) = data["conversation"].as_object_mut() {
        conversation.remove("own");
    }
    // Both have the form of the API, whose order as text is that of time.
    let is_muted = muted_until.as_str().is_some_and(|until| until > instant(now).as_str());
    data["afterSeconds"] = after_seconds.into();
    data["since"] = instant(since).into();
    data["muted"] = is_muted.into();
    data["deliveredToken"] = token.into();
    data["deliveredTokenExpiresAt"] = instant(expires).into();
    write("message.undelivered", &instant(now), &data)
}

/// What is told of a log that began a new epoch.
pub(super) fn of_rewound(position: Position, cursor: &str, now: Timestamp) -> Bytes {
    write("log.rewound", &instant(now), &json!({ "cursor": cursor, "position": position.0 }))
}

/// The id of the call about an event.
pub(super) fn event_id(epoch: Epoch, position: Position) -> String {
    format!("{:016x}-{}", epoch.0, position.0)
}

/// The id of a stored call. It is made of its epoch and position, so it stays the same for ever.
pub(super) fn id_of(call: &StoredCall) -> String {
    let event = event_id(call.epoch, call.position);
    match call.kind {
        CallKind::Event => event,
        CallKind::Undelivered { after_seconds } => {
            format!("{event}-{after_seconds}-{}", call.lane.recipient.0.simple())
        }
        CallKind::Rewound => format!("{event}-rewound"),
    }
}

/// The instant in UTC, with six digits of a second as everywhere in the API.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{:.6}", jiff::Timestamp::from_microsecond(at.0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(told: Option<Told>) -> (Lane, Value) {
        let told = told.unwrap();
        (told.lane, serde_json::from_slice(&told.body).unwrap())
    }

    #[test]
    fn an_event_is_told_with_its_type_and_time_outside_and_the_rest_inside() {
        let conversation = ConversationId(Uuid::from_u128(1));
        let log = json!({ "__typename": "MessageSent", "at": "2026-12-01T00:00:00.000001Z",
            "conversation": { "id": conversation.to_string() }, "message": { "id": "msg_1" } });
        let answer = json!({ "data": { "log": log } }).to_string();
        let (lane, body) = read(of_event(&answer, Timestamp(0)));
        assert_eq!(lane, Lane { conversation, ..WHOLE_LOG });
        assert_eq!(body["type"], "message.sent");
        assert_eq!(body["timestamp"], "2026-12-01T00:00:00.000001Z");
        assert_eq!(body["data"]["message"]["id"], "msg_1");
        assert_eq!(body["data"].get("__typename"), None);
    }

    #[test]
    fn an_event_that_cannot_be_told_is_not_passed_over_and_other_kinds_are() {
        let failed = json!({ "errors": [{ "message": "too large" }], "data": null }).to_string();
        let (lane, body) = read(of_event(&failed, Timestamp(1)));
        assert_eq!((lane, &body["type"]), (WHOLE_LOG, &json!("herald.failed")));
        assert_eq!(body["timestamp"], "1970-01-01T00:00:00.000001Z");
        let other = json!({ "data": { "log": { "__typename": "Checkpoint" } } }).to_string();
        assert!(of_event(&other, Timestamp(0)).is_none());
    }
}
