/**
 * The tabs of a first visit: a tour of the API, in the order in which things happen. A tab is called what its operation
 * is called. Lines have at most 48 columns, which a small screen shows.
 */

export interface Example {
  query: string;
  variables?: string;
  headers?: string;
}

export function tour(): Example[] {
  const tourist = Math.random().toString(36).slice(2, 6); // handles are unique on a server, and others take this tour
  return examples(`alice-${tourist}`, `bob-${tourist}`);
}

/** What comes from earlier answers: see answers.ts. */
const CONVERSATION = '{{Start.startConversation.conversation.id}}';
const MESSAGE = '{{Send.sendMessage.message.id}}';

const AS_BOB = `{
  "authorization": "Bearer {{Register.bob.token}}"
}
`;

const examples = (alice: string, bob: string): Example[] => [
  {
    query: `# Welcome. The tabs are a tour of herald, from
# left to right. ▶ or Ctrl-Enter runs one. What
# is in {{ }} comes from the last answer of the
# tab of that name, until this page is left.
# Ctrl-Space completes. The icon of a book opens
# the description of every type and field.
#
# This creates two users and signs Alice in. It
# works once; afterwards, Login does. The
# session is a cookie that the chat shares: she
# takes the place of whoever is signed in there.
# To stay who you are, leave this tab and the
# next one out.
mutation Register {
  bob: register(
    input: {
      handle: "${bob}"
      displayName: "Bob"
      password: "battery staple"
    }
  ) {
    token # of Bob, for MarkRead and Resume
  }
  alice: register(
    input: {
      handle: "${alice}"
      displayName: "Alice"
      password: "correct horse"
    }
  ) {
    user {
      id
      handle
    }
    expiresAt
  }
}
`,
  },
  {
    query: `# Signs Alice in again.
#
# The token says the same as the cookie, and
# goes before it. To be somebody else in one
# tab, put theirs under Headers, below:
#   {"authorization": "Bearer TOKEN"}
mutation Login {
  login(
    input: {
      handle: "${alice}"
      password: "correct horse"
    }
  ) {
    token
    user {
      displayName
    }
  }
}
`,
  },
  {
    query: `# With "distinct": true and no title it would be
# the one conversation of just these people, new
# or not.
mutation Start($input: StartConversationInput!) {
  startConversation(input: $input) {
    conversation {
      id
      title
      participants {
        nodes {
          user {
            handle
          }
        }
      }
    }
    cursor
  }
}
`,
    variables: `{
  "input": {
    "title": "Tea",
    "participantHandles": ["${bob}"],
    "metadata": { "color": "green" }
  }
}
`,
  },
  {
    query: `# When this is answered, the message is stored.
# The conversation's id, under Variables, is from
# Start.
mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) {
    message {
      id
      status
      recipientCount
    }
    cursor
  }
}
`,
    variables: `{
  "input": {
    "conversationId": "${CONVERSATION}",
    "body": "Tea at four?"
    // With an "idempotencyKey", sent twice is
    // stored once
  }
}
`,
  },
  {
    query: `# What a list of chats shows. The cursor is read
# first: a subscription after it goes on where
# this snapshot ends.
query Conversations {
  cursor
  viewer {
    handle
  }
  conversations(first: 20) {
    nodes {
      id
      title
      unreadCount
      lastMessage {
        body
        sentAt
        status
        sender {
          displayName
        }
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  },
  {
    query: `# As Bob, by the token under Headers. Without it
# this is Alice, who cannot mark her own message.
# Whoever marks a message has every earlier one,
# too. With a conversationId in its place,
# everything up to now.
#
# Headers are forgotten when the page is loaded
# again: {"authorization": "Bearer TOKEN"}
mutation MarkRead($messageId: ID!) {
  markRead(input: { messageId: $messageId }) {
    message {
      body
      status
    }
    cursor
  }
}
`,
    variables: `{
  "messageId": "${MESSAGE}"
}
`,
    headers: AS_BOB,
  },
  {
    query: `# Follows everything that Alice may see, from
# now on. Leave it running and do something in
# another window, of this page or of the chat:
# changing the tab would stop it. The newest is
# on top. At the bottom is "connection_ack",
# which herald sends when the connection is
# made, with a cursor to begin at.
#
# herald does not tell a connection what it did
# itself. This page does not say which
# connection its mutations belong to, so
# everything comes. To try it out, put
# {"x-connection-id": "me"} under Headers, here
# and where you send.
subscription Events {
  events {
    __typename
    cursor
    at
    conversation {
      title
    }
    ... on MessageSent {
      message {
        id
        body
        sender {
          displayName
        }
      }
    }
    ... on StatusChanged {
      status
      recipient {
        displayName
      }
      message {
        id
        status
      }
    }
  }
}
`,
  },
  {
    query: `# Everything since a cursor, in order, each
# event once; then live. The cursor may come
# from any answer, event or connection_ack; this
# is that of Start.
subscription Resume($after: Cursor) {
  events(after: $after) {
    __typename
    cursor
    ... on MessageSent {
      message {
        body
        status
      }
    }
    ... on StatusChanged {
      status
      recipient {
        displayName
      }
    }
  }
}
`,
    variables: `{
  // null begins now
  "after": "{{Start.startConversation.cursor}}"
}
`,
  },
  {
    query: `# The same, with proof that nothing is missing:
# "previous" is the cursor of the event before,
# and a Checkpoint says that this is all, at the
# end of what was missed and each minute that
# nothing happens. includeOwn tells a connection
# what it did itself, too.
subscription Checkpoints($after: Cursor) {
  events(
    after: $after
    checkpoints: true
    includeOwn: true
  ) {
    __typename
    previous
    cursor
    ... on Checkpoint {
      caughtUp
    }
  }
}
`,
    variables: `{
  "after": "{{Start.startConversation.cursor}}"
}
`,
  },
  {
    query: `# How far a message has come with each
# recipient. Its own status is that of the least
# advanced of those who tell (isShared).
query Receipts($messageId: ID!) {
  message(id: $messageId) {
    body
    status
    recipientCount
    sharingCount
    deliveredCount
    readCount
    receipts {
      nodes {
        recipient {
          displayName
        }
        isShared
        status
        deliveredAt
        readAt
      }
    }
  }
}
`,
    variables: `{
  "messageId": "${MESSAGE}"
}
`,
  },
  {
    query: `# What the viewer has not read: over all
# conversations, and where to begin in one.
query Unread($conversationId: ID!) {
  unread {
    messages
    conversations
  }
  conversation(id: $conversationId) {
    unreadCount
    firstUnread {
      body
    }
  }
}
`,
    variables: `{
  "conversationId": "${CONVERSATION}"
}
`,
    headers: AS_BOB,
  },
  {
    query: `# Bob does not tell any more what he reads. For
# one conversation, Own says it. After this,
# Receipts shows of a new message of Alice's that
# he has it, and not whether he read it.
mutation Privacy($input: ProfileInput!) {
  updateProfile(input: $input) {
    user {
      handle
      shareDelivered
      shareRead
    }
  }
}
`,
    variables: `{
  "input": {
    "shareRead": false
  }
}
`,
    headers: AS_BOB,
  },
  {
    query: `# What somebody keeps for themselves of a
# conversation. Nobody else is told that it is
# muted.
mutation Own($input: OwnParticipationInput!) {
  updateOwnParticipation(input: $input) {
    conversation {
      own {
        mutedUntil
        shareDelivered
        shareRead
        metadata
      }
    }
  }
}
`,
    variables: `{
  "input": {
    "conversationId": "${CONVERSATION}",
    "mutedUntil": "2100-01-01T00:00:00Z",
    "metadata": { "pinned": true }
  }
}
`,
  },
  {
    query: `# Owners change the title and the metadata of a
# conversation. Everybody in it is told, by a
# ConversationUpdated.
mutation Update($input: UpdateConversationInput!) {
  updateConversation(input: $input) {
    conversation {
      title
      metadata
      myRole
    }
    cursor
  }
}
`,
    variables: `{
  "input": {
    "conversationId": "${CONVERSATION}",
    "title": "Tea at four",
    "metadata": { "color": "red" }
  }
}
`,
  },
  {
    query: `# The sender, or an owner, takes away what a
# message says, for good. It keeps its place and
# its receipts. Everybody is told, by a
# MessageRedacted.
mutation Redact($messageId: ID!) {
  redactMessage(input: { messageId: $messageId }) {
    message {
      body
      redactedAt
      status
    }
    cursor
  }
}
`,
    variables: `{
  "messageId": "${MESSAGE}"
}
`,
  },
  {
    query: `# Anything by its id: usr_, cnv_ or msg_. null
# says that there is no such thing, or that the
# viewer may not see it.
query Node($id: ID!) {
  node(id: $id) {
    __typename
    id
    ... on User {
      handle
      displayName
    }
    ... on Conversation {
      title
      lastMessage {
        body
        status
      }
    }
    ... on Message {
      body
      status
      conversation {
        id
      }
    }
  }
}
`,
    variables: `{
  // any "id" of any answer
  "id": "${CONVERSATION}"
}
`,
  },
];
