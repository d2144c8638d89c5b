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

const examples = (alice: string, bob: string): Example[] => [
  {
    query: `# Welcome. The tabs are a tour of herald, from
# left to right. ▶ or Ctrl-Enter runs one. Some
# need what an earlier one answered: they say
# what to copy. Ctrl-Space completes. The icon
# at the top left opens the description of every
# type and field.
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
    token # for the tab MarkRead
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
    query: `# Copy the conversation's id for the next tab,
# and the cursor for Resume.
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
    "participantHandles": ["${bob}"]
  }
}
`,
  },
  {
    query: `# Needs the conversation's id, under Variables.
# When this is answered, the message is stored.
# Copy its id for MarkRead and Receipts.
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
    // "id" in the answer of Start
    "conversationId": "cnv_",
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
    query: `# As Bob: his token, from the answer of
# Register, goes under Headers, and the
# message's id under Variables. Without the
# token this is Alice, who cannot mark her own
# message.
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
  // "id" in the answer of Send
  "messageId": "msg_"
}
`,
    headers: `{
  // "token" in the answer of Register
  "authorization": "Bearer TOKEN"
}
`,
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
# from any answer, event or connection_ack.
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
  // "cursor" in the answer of Start, in quotes;
  // null begins now
  "after": null
}
`,
  },
  {
    query: `# How far a message has come with each
# recipient. Its own status is that of the least
# advanced of them.
query Receipts($messageId: ID!) {
  message(id: $messageId) {
    body
    status
    recipientCount
    deliveredCount
    readCount
    receipts {
      nodes {
        recipient {
          displayName
        }
        status
        deliveredAt
        readAt
      }
    }
  }
}
`,
    variables: `{
  // "id" in the answer of Send
  "messageId": "msg_"
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
  "id": "cnv_"
}
`,
  },
];
