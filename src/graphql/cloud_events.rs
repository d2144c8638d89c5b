//! The log as CloudEvents 1.0 (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>), for services that
//! speak no GraphQL.
//!
//! What is told of an event is the answer to one fixed subscription to `log`, so it follows the rules of the schema: ids
//! are the global ones, what was redacted is gone, and fields are only ever added.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// Where the events come from, as a URI reference. With the `id` it names an event for ever: the `id` is a cursor, which
/// names the epoch of the log.
const SOURCE: &str = "/log";

/// The type of what herald could not tell, with the errors as its data.
const FAILED: &str = "herald.failed";

/// The subscription that is answered. `page` is the most that a list may have.
pub(super) fn document(page: usize) -> String {
    format!(
        "subscription {{ log {{
            __typename cursor at via conversation {{ id title }}
            ... on MessageSent {{ message {{ ...Told body metadata redactedAt }} }}
            ... on StatusChanged {{ status recipient {{ ...Who }} message {{ id }} messages(first: {page}) {{ ...Told }} }}
            ... on ConversationStarted {{
                startedBy {{ ...Who }}
                conversation {{ participants(first: {page}) {{ nodes {{ user {{ ...Who }} }} }} }}
            }}
            ... on ParticipantsJoined {{ users {{ id }} addedBy {{ ...Who }} }}
            ... on ParticipantLeft {{ user {{ ...Who }} newOwner {{ ...Who }} }}
            ... on ParticipantsRemoved {{ users {{ id }} removedBy {{ ...Who }} }}
            ... on ConversationRenamed {{ title renamedBy {{ ...Who }} }}
            ... on ConversationUpdated {{ conversation {{ metadata }} updatedBy {{ ...Who }} }}
            ... on MessageRedacted {{ message {{ ...Told redactedAt }} redactedBy {{ ...Who }} }}
            ... on MessageUndeliverable {{ message {{ ...Told }} recipient {{ ...Who }} reason }}
        }} }}
        fragment Who on User {{ id handle displayName externalId }}
        fragment Told on Message {{
            id sentAt sender {{ ...Who }} status recipientCount sharingCount deliveredCount readCount
        }}"
    )
}

/// A CloudEvent in JSON.
#[derive(Serialize)]
struct CloudEvent {
    specversion: &'static str,
    id: String,
    source: &'static str,
    r#type: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    time: Value,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Value::is_null")]
    subject: Value,
    data: Value,
}

/// The CloudEvent of an answer to [`document`], at this cursor.
pub(crate) fn cloud_event(answer: &str, cursor: &str) -> String {
    // herald wrote the answer itself, as JSON.
    let mut answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let mut data = answer["data"]["log"].take();
    let members = data.as_object_mut();
    let (r#type, time) = match members {
        Some(members) => {
            members.remove("cursor");
            let kind = members.remove("__typename").unwrap_or_default();
            (type_of(kind.as_str().unwrap_or_default()), members.remove("at").unwrap_or_default())
        }
        // Something of the event could not be read, or is too large. Whoever follows must know that there was one.
        None => {
            data = answer;
            (FAILED.to_owned(), Value::Null)
        }
    };
    let subject = data["conversation"]["id"].clone();
    let event = CloudEvent {
        specversion: "1.0",
        id: cursor.to_owned(),
        source: SOURCE,
        r#type,
        time,
        datacontenttype: "application/json",
        subject,
        data,
    };
    // Nothing in it can fail to be written as JSON.
    serde_json::to_string(&event).unwrap_or_default()
}

/// `MessageSent` is `herald.message.sent`.
fn type_of(kind: &str) -> String {
    kind.chars().fold("herald".to_owned(), |mut name, letter| {
        if letter.is_ascii_uppercase() {
            name.push('.');
        }
        // Writing to a `String` cannot fail.
        let _ = write!(name, "{}", letter.to_ascii_lowercase());
        name
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(answer: &Value) -> Value {
        serde_json::from_str(&cloud_event(&answer.to_string(), "cursor")).unwrap()
    }

    #[test]
    fn an_event_is_told_with_its_attributes_outside_and_the_rest_inside() {
        let log = json!({
            "__typename": "MessageSent", "cursor": "cursor", "at": "2026-11-30T00:00:00.000001Z",
            "conversation": { "id": "cnv_1" }, "message": { "id": "msg_1" },
        });
        let expected = json!({
            "specversion": "1.0", "id": "cursor", "source": "/log", "type": "herald.message.sent",
            "time": "2026-11-30T00:00:00.000001Z", "datacontenttype": "application/json", "subject": "cnv_1",
            "data": { "conversation": { "id": "cnv_1" }, "message": { "id": "msg_1" } },
        });
        assert_eq!(told(&json!({ "data": { "log": log } })), expected);
    }

    #[test]
    fn an_event_that_cannot_be_told_is_not_passed_over() {
        let errors = json!([{ "message": "too large" }]);
        let event = told(&json!({ "errors": errors, "data": null }));
        assert_eq!((&event["type"], &event["id"]), (&json!("herald.failed"), &json!("cursor")));
        assert_eq!(event["data"]["errors"], errors);
        assert_eq!(event.get("time"), None);
    }

    #[test]
    fn every_kind_of_event_is_told_with_what_it_is_about() {
        let (sdl, document) = (crate::graphql::sdl(), document(200));
        let kinds =
            sdl.lines().filter_map(|line| line.strip_prefix("type ")?.strip_suffix(" implements Event {"));
        let kinds: Vec<_> = kinds.filter(|kind| *kind != "Checkpoint").collect();
        assert!(kinds.len() > 5, "{kinds:?}");
        for kind in kinds {
            assert!(document.contains(&format!("... on {kind} {{")), "{kind} is missing");
        }
    }
}
