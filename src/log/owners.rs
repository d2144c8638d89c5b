//! Conversations that nobody owns. Nodes of a version before there were owners start conversations without one, and let
//! an owner leave without naming the next. What never lives here: when herald looks for these, which is in `settling`,
//! and who is to own a conversation from an event on, which `messaging` decides.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::sql::Sql;

/// Says who owned some conversations, from the start of each on: whoever started it, and after each owner who left,
/// whoever had taken part for longest. The list of the conversations comes in between.
const GIVE: (&str, &str) = (
    "WITH RECURSIVE owners (conversation_id, user_id, joined_position, since, until) AS ( \
     SELECT p.conversation_id, p.user_id, p.joined_position, p.joined_position, p.left_position \
     FROM events e JOIN participants p \
         ON p.conversation_id = e.conversation_id AND p.user_id = e.actor_id AND p.joined_position = e.position \
     WHERE e.kind = 1 AND e.conversation_id IN ",
    " UNION ALL \
     SELECT p.conversation_id, p.user_id, p.joined_position, o.until, p.left_position \
     FROM owners o JOIN participants p ON p.conversation_id = o.conversation_id \
         AND p.joined_position < o.until AND (p.left_position IS NULL OR p.left_position > o.until) \
     WHERE o.until IS NOT NULL AND NOT EXISTS ( \
         SELECT 1 FROM participants q WHERE q.conversation_id = o.conversation_id \
             AND q.joined_position < o.until AND (q.left_position IS NULL OR q.left_position > o.until) \
             AND (q.joined_position, q.user_id) < (p.joined_position, p.user_id) \
     ) \
     ) \
     UPDATE participants SET owner_since = owners.since FROM owners \
     WHERE participants.conversation_id = owners.conversation_id AND participants.user_id = owners.user_id \
         AND participants.joined_position = owners.joined_position AND participants.owner_since IS NULL",
);

/// Writes whether somebody owns the conversation `c`. Of those that everybody has left, whoever was the last owned them.
pub(super) fn is_owned(sql: &mut Sql) {
    sql.push(
        "EXISTS (SELECT 1 FROM participants p WHERE p.conversation_id = c.id AND p.owner_since IS NOT NULL \
         AND (p.left_position IS NULL OR (c.participant_count = 0 AND p.left_position = c.latest_position)))",
    );
}

/// Gives some conversations the owners that follow from the log.
pub(super) fn give_owners(conversations: BTreeSet<Uuid>) -> Sql {
    let mut give = Sql::default();
    give.push(GIVE.0).bind_list(conversations).push(GIVE.1);
    give
}
