//! Which recipients are told of, because messages have not reached them in time. Each rule is a position in the log, up to
//! which the messages were looked at: no message has a timer.

use std::collections::HashMap;

use crate::log::{Database, Lane, Overdue, Unavailable};
use crate::messaging::{Position, Timestamp, WebhookId};

/// The most recipients of whom it is remembered what was told. When there are more, all are forgotten: some are told of
/// once more.
const MAX_TOLD: usize = 10_000;

/// A recipient of a conversation, and the rule by which they were told of.
type Told = (u32, Lane);

/// The rules of one webhook.
#[derive(Debug)]
pub(super) struct Rules {
    /// The seconds of each rule, and the position up to which it looked.
    marks: Vec<(u32, Position)>,
    /// The newest message that there was when a recipient was told of. Until they receive something, the call says of all
    /// messages up to it that they were not delivered.
    told: HashMap<Told, Position>,
}

/// What one look found.
#[derive(Debug)]
pub(super) struct Found {
    /// Who is to be told of, with the position of the last message that they should have received.
    pub(super) overdue: Vec<(Lane, Position)>,
    /// The rule.
    pub(super) after_seconds: u32,
    /// The position up to which it looked.
    pub(super) reached: Position,
}

impl Rules {
    /// These rules, in seconds, for a webhook. A new one begins at `place`, up to which the webhook was told of events.
    /// Returns the new ones with it.
    pub(super) async fn open(
        database: &Database,
        webhook: WebhookId,
        seconds: &[u32],
        place: Position,
    ) -> Result<(Self, Vec<(u32, Position)>), Unavailable> {
        let known: HashMap<u32, Position> = database.webhook_rules(webhook).await?.into_iter().collect();
        if known.keys().any(|known| !seconds.contains(known)) {
            database.forget_webhook_rules(webhook, seconds).await?;
        }
        let marks = seconds.iter().map(|rule| (*rule, known.get(rule).copied().unwrap_or(place))).collect();
        let new =
            seconds.iter().filter(|rule| !known.contains_key(rule)).map(|rule| (*rule, place)).collect();
        Ok((Self { marks, told: HashMap::new() }, new))
    }

    /// Has a rule look at the next messages that are old enough by `now`. `None` when no rule has any.
    pub(super) async fn look(
        &mut self,
        database: &Database,
        now: Timestamp,
    ) -> Result<Option<Found>, Unavailable> {
        for (after_seconds, mark) in &mut self.marks {
            let (overdue, reached) = database.overdue(*mark, sent_by(now, *after_seconds)).await?;
            if reached == *mark {
                continue;
            }
            *mark = reached;
            let found = Found { after_seconds: *after_seconds, reached, overdue: Vec::new() };
            return Ok(Some(Found { overdue: self.untold(found.after_seconds, overdue), ..found }));
        }
        Ok(None)
    }

    /// Forgets that a recipient was told of, because there was nothing to tell when the call was to be made.
    pub(super) fn forget(&mut self, after_seconds: u32, lane: Lane) {
        self.told.remove(&(after_seconds, lane));
    }

    /// Those who were not told of since the message was sent that they should have received.
    fn untold(&mut self, after_seconds: u32, overdue: Vec<Overdue>) -> Vec<(Lane, Position)> {
        if self.told.len() + overdue.len() > MAX_TOLD {
            self.told = HashMap::new();
        }
        let is_new = |found: Overdue| {
            let lane = Lane { conversation: found.conversation, recipient: found.recipient };
            let told = self.told.get(&(after_seconds, lane));
            if told.is_some_and(|told| *told >= found.latest) {
                return None;
            }
            self.told.insert((after_seconds, lane), found.newest);
            Some((lane, found.latest))
        };
        overdue.into_iter().filter_map(is_new).collect()
    }
}

/// The time by which a message was sent that is old enough for a rule.
pub(super) fn sent_by(now: Timestamp, after_seconds: u32) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::from(after_seconds) * 1_000_000))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::messaging::{ConversationId, UserId};

    #[test]
    fn a_recipient_is_told_of_once_for_the_messages_that_there_were_then() {
        let mut rules = Rules { marks: Vec::new(), told: HashMap::new() };
        let overdue = |latest, newest| {
            let (conversation, recipient) = (ConversationId(Uuid::nil()), UserId(Uuid::nil()));
            vec![Overdue { conversation, recipient, latest: Position(latest), newest: Position(newest) }]
        };
        assert_eq!(rules.untold(30, overdue(5, 9)).len(), 1);
        assert_eq!(rules.untold(30, overdue(9, 12)).len(), 0);
        assert_eq!(rules.untold(600, overdue(5, 12)).len(), 1, "another rule");
        assert_eq!(rules.untold(30, overdue(12, 12)).len(), 1, "it was sent after the call");
    }
}
