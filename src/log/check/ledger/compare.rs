//! Compares stored rows with the ledger.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::Ledger;
use crate::messaging::{Conversation, ConversationId, Participation, People, Position, UserId};

impl Ledger {
    /// Compares a stored conversation with what follows from the events.
    ///
    /// # Errors
    /// The first difference.
    pub(in crate::log::check) fn compare_conversation(&mut self, row: &Conversation) -> Result<(), String> {
        let conversation = self.conversations.get_mut(&row.id).ok_or("no event started it")?;
        conversation.is_stored = true;
        equal("created_at", &row.created_at.0, &conversation.created_at.0)?;
        equal("latest_position", &row.latest.0, &conversation.latest.0)?;
        equal("participant_count", &row.participants, &conversation.present)?;
        if conversation.renamed.as_ref().is_some_and(|last| last.title != row.title) {
            return Err("title is not the one of its last change".into());
        }
        if conversation.updated.as_ref().is_some_and(|last| last.to.metadata != row.metadata) {
            return Err("metadata is not that of its last change".into());
        }
        match row.people {
            Some(_) if conversation.has_changed => {
                Err("people is set, although somebody joined or left".into())
            }
            Some(people) if people != People::of(conversation.people.keys().copied()) => {
                Err("people does not stand for its participants".into())
            }
            _ => Ok(()),
        }
    }

    /// Checks that every message that says so was redacted by an event, which may be trimmed.
    ///
    /// # Errors
    /// The first one that was not.
    pub(in crate::log::check) fn all_redactions_happened(&self) -> Result<(), String> {
        let kept = self.redacted_rows.iter().filter(|(_, at)| **at >= self.trimmed_at);
        match kept.map(|(position, _)| position).min() {
            Some(position) => Err(format!("message at {}: it is redacted, but no event says so", position.0)),
            None => Ok(()),
        }
    }

    /// Counts the conversations of which no row says who owns them, after all rows were compared.
    ///
    /// # Errors
    /// The first owner who is missing where somebody else is noted.
    pub(in crate::log::check) fn unowned(&self) -> Result<i64, String> {
        let mut count = 0;
        for (id, conversation) in &self.conversations {
            let Some((since, user)) = conversation.unnoted.first() else { continue };
            if conversation.is_owned {
                return Err(format!(
                    "user {} owns conversation {} since {}, but no row of participants says so",
                    user.0, id.0, since.0
                ));
            }
            count += 1;
        }
        Ok(count)
    }

    /// Whether this user takes or took part in this conversation.
    pub(in crate::log::check) fn took_part(&self, user: UserId, conversation: ConversationId) -> bool {
        self.conversations
            .get(&conversation)
            .is_some_and(|conversation| conversation.people.contains_key(&user))
    }

    /// Compares a stored participation with what follows from the events.
    ///
    /// # Errors
    /// The first difference.
    pub(in crate::log::check) fn compare_participation(&mut self, row: &Participation) -> Result<(), String> {
        let conversation =
            self.conversations.get_mut(&row.conversation).ok_or("no event started its conversation")?;
        let person = conversation.people.get_mut(&row.user).ok_or("no event brought this user in")?;
        let newest = person.stays.last().map(|stay| stay.interval.joined);
        let found = person.stays.binary_search_by_key(&row.interval.joined, |stay| stay.interval.joined);
        let stay = &mut person.stays[found.map_err(|_| "no event brought this user in there")?];
        stay.is_stored = true;
        equal("joined_at", &row.joined_at.0, &stay.joined_at.0)?;
        equal("left_position", &text(row.interval.left), &text(stay.interval.left))?;
        match stay.owner_since {
            // A herald of before there were owners may have written the event and the row.
            Some(since) if row.owner_since.is_none() && !stay.is_named => {
                conversation.unnoted.insert((since, row.user));
            }
            expected => equal("owner_since", &text(row.owner_since), &text(expected))?,
        }
        conversation.is_owned |= row.owner_since.is_some() && row.interval.left.is_none();
        let is_newest = newest == Some(row.interval.joined);
        let marks = [
            ("delivered_through", row.delivered_through, person.delivered_through),
            ("read_through", row.read_through, person.read_through),
        ];
        for (column, stored, expected) in marks {
            // In an earlier stay a mark may stop at the end of the stay.
            let (first, last) = (stay.interval.joined, stay.interval.left.unwrap_or(Position(i64::MAX)));
            let is_as_far = stored == expected
                || (!is_newest
                    && stored < expected
                    && stored.clamp(first, last) == expected.clamp(first, last));
            if !is_as_far {
                return equal(column, &stored.0, &expected.0);
            }
        }
        Ok(())
    }

    /// Checks that every conversation and every stay of the ledger was compared with a row.
    ///
    /// # Errors
    /// The first one without a row.
    pub(in crate::log::check) fn all_was_stored(&self) -> Result<(), String> {
        let conversations: BTreeSet<_> = self
            .conversations
            .iter()
            .filter(|(_, conversation)| !conversation.is_stored)
            .map(|(id, conversation)| (conversation.created_at, id))
            .collect();
        if let Some((_, id)) = conversations.first() {
            return Err(format!("conversation {} was started, but is not stored", id.0));
        }
        let mut missing = BTreeSet::new();
        for (id, conversation) in &self.conversations {
            for (user, person) in &conversation.people {
                let stays = person.stays.iter().filter(|stay| !stay.is_stored);
                missing.extend(stays.map(|stay| (stay.interval.joined, id, user)));
            }
        }
        match missing.first() {
            Some((joined, id, user)) => Err(format!(
                "user {} joined conversation {} at {}, but no row of participants says so",
                user.0, id.0, joined.0
            )),
            None => Ok(()),
        }
    }
}

/// The text of a position that may be absent from a row.
fn text(position: Option<Position>) -> String {
    position.map_or_else(|| "NULL".to_owned(), |position| position.0.to_string())
}

fn equal<T: PartialEq + Display>(column: &str, stored: &T, expected: &T) -> Result<(), String> {
    if stored == expected {
        return Ok(());
    }
    Err(format!("{column} is {stored}, but {expected} by the events"))
}
