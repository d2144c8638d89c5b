/** Everything that is asked of herald. */

const USER = 'id handle displayName';

const MESSAGE = `id body metadata sentAt redactedAt status deliveredCount readCount recipientCount sender { ${USER} }`;

const FACTS = `id title createdAt unreadCount participants(first: 50) { nodes { role user { ${USER} } } }`;

const LIST = `nodes { ${FACTS} lastMessage { ${MESSAGE} } } pageInfo { hasNextPage endCursor }`;

/** How many messages an event about a mark names. One that names as many may be about more. */
export const MOST_MARKED = 200;

export const SNAPSHOT = `{ cursor viewer { ${USER} } conversations(first: 50) { ${LIST} } }`;

export const MORE = `query ($after: String) { conversations(first: 50, after: $after) { ${LIST} } }`;

export const PAGE = `query ($id: ID!, $before: String) {
  conversation(id: $id) {
    ${FACTS}
    messages(last: 50, before: $before) { nodes { ${MESSAGE} } pageInfo { hasPreviousPage startCursor } }
  }
}`;

export const UNREAD = '{ unread { messages conversations } }';

export const SEND = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { ${MESSAGE} } } }`;

export const mark = (field: string) => `mutation ($input: MarkInput!) { ${field}(input: $input) { cursor } }`;

const about = (type: string, more = '') => `... on ${type} { conversation { ${FACTS} } ${more} }`;

/** Also what this connection did: another tab may have its name, and the answer may be lost. */
export const EVENTS = `subscription ($after: Cursor) {
  events(after: $after, includeOwn: true, checkpoints: true) {
    __typename cursor previous at
    ... on Checkpoint { caughtUp }
    ... on StatusChanged {
      status recipient { id } message { id sentAt } conversation { id unreadCount }
      messages(first: ${MOST_MARKED}) { id status deliveredCount readCount }
    }
    ${['MessageSent', 'MessageRedacted'].map((type) => about(type, `message { ${MESSAGE} }`)).join(' ')}
    ${['ConversationStarted', 'ConversationRenamed', 'ConversationUpdated'].map((type) => about(type)).join(' ')}
    ${['ParticipantsJoined', 'ParticipantsRemoved'].map((type) => about(type, 'users { id }')).join(' ')}
    ${about('ParticipantLeft', 'user { id }')}
  }
}`;
