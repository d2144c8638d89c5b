// Follows everything that somebody may see, from a cursor on, through lost connections and restarts of the server:
//
//     TOKEN=… CURSOR=… CONNECTION_ID=… node follow.mjs
//
// It needs the packages `graphql-ws` and `ws`. HERALD_URL names a herald that is not on this machine. CONNECTION_ID is
// an id of this device, which the caller draws once and keeps.

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

// herald does not tell a program what was done under the same id, so no other program has it.
const connectionId = process.env.CONNECTION_ID ?? crypto.randomUUID();

const client = createClient({
  url: process.env.HERALD_URL ?? 'ws://127.0.0.1:8000/graphql',
  webSocketImpl: WebSocket,
  // The client's own retry would begin again at the first cursor. The loop below goes on from the last one.
  retryAttempts: 0,
  connectionParams: { authorization: `Bearer ${process.env.TOKEN}`, connectionId },
});

const query = `
  subscription ($after: Cursor) {
    events(after: $after) {
      cursor
      __typename
      ... on MessageSent { message { body } }
      ... on StatusChanged { status recipient { handle } }
    }
  }
`;

/** herald closes a socket with these codes when it would close the next one, too. */
const FINAL_CLOSE_CODES = [4400, 4401, 4403, 4409, 4429];

let after = process.env.CURSOR;
for (;;) {
  try {
    for await (const { data, errors } of client.iterate({ query, variables: { after } })) {
      if (!data) throw errors;
      const { cursor, ...event } = data.events;
      console.log(JSON.stringify(event));
      after = cursor; // The program keeps the cursor only after it has dealt with the event.
    }
  } catch (cause) {
    // An array holds the errors with which herald refused the subscription. Everything else is a closed socket.
    if (Array.isArray(cause) || FINAL_CLOSE_CODES.includes(cause.code)) throw cause;
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
