//! An event that a subscriber received, read from the answer of the subscription.

use serde_json::Value;

/// One event, as a subscriber received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) cursor: String,
    pub(crate) conversation: String,
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) what: What,
}

/// What an event says. People and messages are named by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Started {
        by: String,
    },
    Joined {
        by: String,
        users: Vec<String>,
    },
    Left {
        user: String,
        /// Who owns the conversation from there on, where that changes.
        new_owner: Option<String>,
    },
    Removed {
        by: String,
        users: Vec<String>,
    },
    Renamed {
        by: String,
        title: Option<String>,
    },
    Updated {
        by: String,
    },
    Redacted {
        by: String,
        message: String,
    },
    Sent {
        message: String,
        sender: String,
        body: String,
        /// Microseconds since 1970.
        sent_at: i64,
    },
    Undeliverable {
        recipient: String,
        message: String,
        reason: String,
    },
    Marked {
        recipient: String,
        is_read: bool,
        message: String,
        /// The newest of those that it covers, newest first.
        messages: Vec<String>,
    },
}

/// How many of the messages that a mark covers are asked for.
pub(crate) const COVERED: usize = 50;

impl Told {
    /// Reads an answer's event. `None` when it is not as the schema promises.
    pub(crate) fn read(event: &Value) -> Option<Self> {
        let what = match event["__typename"].as_str()? {
            "ConversationStarted" => What::Started { by: id(&event["startedBy"])? },
            "ParticipantsJoined" => What::Joined { by: id(&event["addedBy"])?, users: ids(&event["users"])? },
            "ParticipantLeft" => What::Left {
                user: id(&event["user"])?,
                new_owner: match event.get("newOwner")? {
                    Value::Null => None,
                    owner => Some(id(owner)?),
                },
            },
            "ConversationUpdated" => What::Updated { by: id(&event["updatedBy"])? },
            "MessageRedacted" => {
                // Nothing is left of what it said.
                let message = Some(&event["message"]).filter(|message| message["body"] == "")?;
                What::Redacted { by: id(&event["redactedBy"])?, message: id(message)? }
            }
            "ParticipantsRemoved" => {
                What::Removed { by: id(&event["removedBy"])?, users: ids(&event["users"])? }
            }
            "ConversationRenamed" => What::Renamed {
                by: id(&event["renamedBy"])?,
                title: match event.get("title")? {
                    Value::Null => None,
                    title => Some(title.as_str()?.to_owned()),
                },
            },
            "MessageSent" => What::Sent {
                message: id(&event["message"])?,
                sender: id(&event["message"]["sender"])?,
                body: event["message"]["body"].as_str()?.to_owned(),
                sent_at: micros(event["message"]["sentAt"].as_str()?)?,
            },
            "MessageUndeliverable" => What::Undeliverable {
                recipient: id(&event["recipient"])?,
                message: id(&event["message"])?,
                reason: event["reason"].as_str()?.to_owned(),
            },
            "StatusChanged" => What::Marked {
                recipient: id(&event["recipient"])?,
                is_read: match event["status"].as_str()? {
                    "READ" => true,
                    "DELIVERED" => false,
                    _ => return None,
                },
                message: id(&event["message"])?,
                messages: ids(&event["messages"])?,
            },
            _ => return None,
        };
        Some(Self {
            cursor: event["cursor"].as_str()?.to_owned(),
            conversation: id(&event["conversation"])?,
            at: micros(event["at"].as_str()?)?,
            what,
        })
    }
}

fn id(node: &Value) -> Option<String> {
    node["id"].as_str().map(str::to_owned)
}

fn ids(nodes: &Value) -> Option<Vec<String>> {
    nodes.as_array()?.iter().map(id).collect()
}

/// Microseconds since 1970 of an instant written like `2026-11-24T06:30:00.000000Z`: always with six digits, so that
/// the order of such texts is that of time.
pub(crate) fn micros(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let has = |at: usize, letter: u8| text.as_bytes().get(at) == Some(&letter);
    let is_written_so = text.len() == 27
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')]
            .into_iter()
            .all(|(at, letter)| has(at, letter));
    if !is_written_so {
        return None;
    }
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let minutes = (days * 24 + number(11, 13)?) * 60 + number(14, 16)?;
    Some((minutes * 60 + number(17, 19)?) * 1_000_000 + number(20, 26)?)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap
/// day is a year's last (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instants_are_read_to_the_microsecond() {
        assert_eq!(micros("1970-01-01T00:00:00.000000Z"), Some(0));
        assert_eq!(micros("2000-02-29T12:00:00.000001Z"), Some(951_825_600_000_001));
        assert_eq!(micros("2026-11-24T06:30:00.250000Z"), Some(1_795_501_800_250_000));
        assert_eq!(micros("2026-11-24 06:30:00.250000Z"), None);
        assert_eq!(micros("2026-11-24T06:30:00.250Z"), None);
    }

    #[test]
    fn an_answer_that_lacks_something_is_no_event() {
        let mut event = json!({
            "__typename": "MessageSent", "cursor": "c", "at": "1970-01-01T00:00:00.000007Z",
            "conversation": { "id": "cnv_1" },
            "message": {
                "id": "msg_1", "body": "hello", "sentAt": "1970-01-01T00:00:00.000007Z", "sender": { "id": "usr_1" }
            }
        });
        let told = Told::read(&event).unwrap();
        assert_eq!((told.cursor.as_str(), told.at), ("c", 7));
        event["message"] = Value::Null;
        assert_eq!(Told::read(&event), None);
    }

    #[test]
    fn a_title_that_is_null_was_taken_away_and_one_that_lacks_is_no_event() {
        let mut event = json!({
            "__typename": "ConversationRenamed", "cursor": "c", "at": "1970-01-01T00:00:00.000007Z",
            "conversation": { "id": "cnv_1" }, "title": "Tea", "renamedBy": { "id": "usr_1" }
        });
        let renamed =
            |title: Option<&str>| Some(What::Renamed { by: "usr_1".into(), title: title.map(str::to_owned) });
        let what = |event: &Value| Told::read(event).map(|told| told.what);
        assert_eq!(what(&event), renamed(Some("Tea")));
        event["title"] = Value::Null;
        assert_eq!(what(&event), renamed(None));
        event.as_object_mut().unwrap().remove("title");
        assert_eq!(what(&event), None);
    }
}
