//! The facts of earlier batches that still hold. Only events change them, a start of herald that sets right what earlier
//! versions wrote, and users who choose what they share, which counts as a change of the user. So while the head of the
//! log and the count of changes are as the writer left them, everything that the writer knew then is still so, and a
//! batch has nothing to load. What never lives here: facts that are cheaper to read than to keep (idempotency keys, and
//! the senders that a mark covers).

use std::collections::BTreeSet;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::messaging::{
    Conversation, ConversationId, Facts, Message, MessageId, Participation, Place, Position, UserId,
};

/// The most bytes of messages. A mark mostly names a message that was sent a moment ago.
const MESSAGES_BYTES: u64 = 8 << 20;

/// The most bytes of participations: some hundred thousand.
const PARTICIPATIONS_BYTES: u64 = 16 << 20;

/// The most bytes of conversations: some fifty thousand.
const CONVERSATIONS_BYTES: u64 = 8 << 20;

/// Bytes of memory that an entry takes beside its value: the key, the allocation, and its place in the cache. Estimated.
const ENTRY_BYTES: u64 = 128;

type Messages = Cache<MessageId, Arc<Message>, Bytes>;
type Stays = Cache<(ConversationId, UserId), Vec<Participation>, Bytes>;
type Conversations = Cache<ConversationId, Conversation, Bytes>;

/// Facts that hold at one place of the log.
pub(super) struct KnownFacts {
    /// The place, and the number of the newest change of a user; `None` when nothing is known.
    at: Option<(Place, i64)>,
    /// How far every conversation had its owner then.
    owned_through: Position,
    messages: Messages,
    stays: Stays,
    conversations: Conversations,
}

impl Default for KnownFacts {
    fn default() -> Self {
        Self {
            at: None,
            owned_through: Position::START,
            messages: Messages::with_weighter(1_000, MESSAGES_BYTES, Bytes),
            stays: Stays::with_weighter(1_000, PARTICIPATIONS_BYTES, Bytes),
            conversations: Conversations::with_weighter(1_000, CONVERSATIONS_BYTES, Bytes),
        }
    }
}

impl KnownFacts {
    /// Forgets everything unless the head of the log is still where these facts hold, and since then no conversation was
    /// given an owner and no user has changed.
    pub(super) fn hold_at(&mut self, head: Place, owned_through: Position, users_changed: i64) {
        let at = Some((head, users_changed));
        if (self.at, self.owned_through) != (at, owned_through) {
            *self = Self { at, owned_through, ..Self::default() };
        }
    }

    /// Tells `facts` the messages that these users mark, and returns the rest. A message is told only where it is known
    /// that the user may see it. A message that the user may not see is read from the log, like one that does not exist,
    /// so nobody learns from the time which of the two it is.
    pub(super) fn tell_messages(
        &self,
        facts: &mut Facts,
        wanted: BTreeSet<(UserId, MessageId)>,
    ) -> Vec<(UserId, MessageId)> {
        let mut rest = Vec::new();
        for (user, id) in wanted {
            let message = self.messages.get(&id).filter(|message| {
                let stays = self.stays.get(&(message.conversation, user)).map_or(&[][..], Vec::as_slice);
                stays.iter().any(|stay| stay.interval.holds(message.position))
            });
            match message {
                Some(message) => facts.know_message(Arc::clone(message)),
                None => rest.push((user, id)),
            }
        }
        rest
    }

    /// Tells `facts` the participations of these users, and returns the rest.
    pub(super) fn tell_participations(
        &self,
        facts: &mut Facts,
        wanted: &BTreeSet<(ConversationId, UserId)>,
    ) -> Vec<(ConversationId, UserId)> {
        let mut rest = Vec::new();
        for &(conversation, user) in wanted {
            match self.stays.get(&(conversation, user)) {
                Some(stays) => facts.know_participations(conversation, user, stays.clone()),
                None => rest.push((conversation, user)),
            }
        }
        rest
    }

    /// Tells `facts` these conversations, and returns the rest. A conversation is told only to a user who takes or took
    /// part in it, for the same reason. The participations must be in `facts`.
    pub(super) fn tell_conversations(
        &self,
        facts: &mut Facts,
        wanted: impl IntoIterator<Item = (ConversationId, UserId)>,
    ) -> BTreeSet<ConversationId> {
        let mut rest = BTreeSet::new();
        for (id, user) in wanted {
            let takes_part = !facts.participations(id, user).is_empty();
            match self.conversations.get(&id) {
                Some(conversation) if takes_part => facts.know_conversation(conversation.clone()),
                _ => drop(rest.insert(id)),
            }
        }
        rest
    }

    /// Keeps what a batch knew once it was committed, or had nothing to commit.
    pub(super) fn keep(&mut self, facts: &Facts, users_changed: i64) {
        self.at = Some((facts.head, users_changed));
        for message in facts.messages() {
            self.messages.insert(message.id, Arc::clone(message));
        }
        for (conversation, user, stays) in facts.all_participations() {
            self.stays.insert((conversation, user), stays.to_vec());
        }
        for conversation in facts.conversations() {
            self.conversations.insert(conversation.id, conversation.clone());
        }
    }
}

/// Weighs entries by the bytes that they take.
#[derive(Clone)]
struct Bytes;

fn bytes(of: usize) -> u64 {
    ENTRY_BYTES + of as u64
}

impl Weighter<MessageId, Arc<Message>> for Bytes {
    fn weight(&self, _: &MessageId, message: &Arc<Message>) -> u64 {
        bytes(size_of::<Message>() + message.bytes())
    }
}

impl Weighter<(ConversationId, UserId), Vec<Participation>> for Bytes {
    fn weight(&self, _: &(ConversationId, UserId), stays: &Vec<Participation>) -> u64 {
        bytes(size_of_val(stays.as_slice()))
    }
}

impl Weighter<ConversationId, Conversation> for Bytes {
    fn weight(&self, _: &ConversationId, conversation: &Conversation) -> u64 {
        let title = conversation.title.as_ref().map_or(0, |title| title.as_str().len());
        let metadata = conversation.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
        bytes(size_of::<Conversation>() + title + metadata)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::messaging::{Body, Chain, Epoch, Timestamp};

    const HEAD: Place = Place { epoch: Epoch(1), position: Position(7), chain: Chain(3) };
    const CHANGES: i64 = 5;
    const ROOM: ConversationId = ConversationId(Uuid::from_u128(1));
    const ADA: UserId = UserId(Uuid::from_u128(2));
    const MALLORY: UserId = UserId(Uuid::from_u128(3));
    const SENT: MessageId = MessageId(Uuid::from_u128(4));

    /// Facts of a message in a conversation of ada's, of which mallory is known to take no part.
    fn known() -> KnownFacts {
        let mut facts = Facts::new(HEAD, Timestamp(9), 32, 1_000);
        facts.know_conversation(Conversation {
            id: ROOM,
            title: None,
            metadata: None,
            created_at: Timestamp(1),
            latest: HEAD.position,
            participants: 1,
            people: None,
        });
        facts.know_participations(ROOM, ADA, vec![Participation::new(ROOM, ADA, Position(1), Timestamp(1))]);
        facts.know_participations(ROOM, MALLORY, Vec::new());
        facts.know_message(Arc::new(Message {
            position: HEAD.position,
            id: SENT,
            conversation: ROOM,
            sender: ADA,
            body: Body::parse("hello", 100).unwrap(),
            metadata: None,
            sent_at: Timestamp(8),
            redacted_at: None,
        }));
        let mut known = KnownFacts::default();
        known.keep(&facts, CHANGES);
        known
    }

    /// How many facts of each kind are told to a user: messages, participations and conversations.
    fn told(known: &KnownFacts, user: UserId) -> [usize; 3] {
        let mut facts = Facts::new(HEAD, Timestamp(9), 32, 1_000);
        known.tell_messages(&mut facts, BTreeSet::from([(user, SENT)]));
        known.tell_participations(&mut facts, &BTreeSet::from([(ROOM, user)]));
        known.tell_conversations(&mut facts, [(ROOM, user)]);
        [facts.messages().count(), facts.all_participations().count(), facts.conversations().count()]
    }

    #[test]
    fn facts_hold_only_at_the_place_where_the_writer_left_the_log() {
        let mut same = known();
        same.hold_at(HEAD, Position::START, CHANGES);
        assert_eq!(told(&same, ADA), [1, 1, 1]);
        for other in [
            (Place { epoch: Epoch(2), ..HEAD }, CHANGES),
            (Place { position: HEAD.position.next(), ..HEAD }, CHANGES),
            (Place { chain: Chain(4), ..HEAD }, CHANGES),
            (HEAD, CHANGES + 1),
        ] {
            let mut known = known();
            known.hold_at(other.0, Position::START, other.1);
            assert_eq!(told(&known, ADA), [0, 0, 0], "{other:?}");
            known.hold_at(HEAD, Position::START, CHANGES);
            assert_eq!(told(&known, ADA), [0, 0, 0], "{other:?}, and back");
        }
        let mut owned = known();
        owned.hold_at(HEAD, HEAD.position, CHANGES);
        assert_eq!(told(&owned, ADA), [0, 0, 0], "since a conversation was given an owner");
    }

    #[test]
    fn a_user_who_takes_no_part_is_told_neither_a_message_nor_a_conversation() {
        assert_eq!(told(&known(), MALLORY), [0, 1, 0]);
    }
}
