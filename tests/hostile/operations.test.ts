/** One bad operation on a socket: it is an error of its own, and the socket and its other operations go on. */

import { expect, test } from 'vitest';

import { type Account, Front, HOSTILE, SEND, START } from './front.ts';
import { Socket, saidCodes } from './socket.ts';

const QUERY = JSON.stringify('query($a:ID!){node(id:$a){id}}');

/** JSON that nests so deep. */
function deep(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

/** Payloads of `subscribe`, as text: some are JSON that no program writes. */
const BAD: Record<string, string> = {
  'half an emoji in a variable': `{"query":${QUERY},"variables":{"a":"\\ud83d"}}`,
  'the other half': `{"query":${QUERY},"variables":{"a":"\\ude00"}}`,
  'halves in the wrong order': `{"query":${QUERY},"variables":{"a":"\\ude00\\ud83d"}}`,
  'half an emoji in the name of a variable': `{"query":${QUERY},"variables":{"\\ud83d":1}}`,
  'half an emoji in the document': `{"query":"{user(handle:\\"\\ud83d\\"){id}}"}`,
  'half an emoji in an extension': `{"query":${QUERY},"variables":{"a":"x"},"extensions":{"x":"\\ud83d"}}`,
  'a persisted query that is none': `{"query":${QUERY},"extensions":{"persistedQuery":true}}`,
  'a persisted query of another kind': `{"query":${QUERY},"extensions":{"persistedQuery":{"version":"one","sha256Hash":7}}}`,
  'a persisted query without a hash': `{"extensions":{"persistedQuery":{"version":1}}}`,
  'a hash that is none': `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`,
  'extensions that are a list': `{"query":${QUERY},"extensions":[]}`,
  'extensions that are a number': `{"query":${QUERY},"extensions":7}`,
  'a connection id that is a number': `{"query":${QUERY},"extensions":{"connectionId":7}}`,
  'a connection id that is far too long': `{"query":${QUERY},"extensions":{"connectionId":"${'x'.repeat(10_000)}"}}`,
  'a number beyond all numbers': `{"query":${QUERY},"variables":{"a":1e400}}`,
  'a number below all numbers': `{"query":${QUERY},"variables":{"a":-1e400}}`,
  'a number of 10,000 digits': `{"query":${QUERY},"variables":{"a":${'9'.repeat(10_000)}}}`,
  'an exponent of 10,000 digits': `{"query":${QUERY},"variables":{"a":1e${'9'.repeat(10_000)}}}`,
  'variables that nest': `{"query":${QUERY},"variables":{"a":${deep(200)}}}`,
  'variables that nest without end': `{"query":${QUERY},"variables":{"a":${deep(100_000)}}}`,
  'extensions that nest': `{"query":${QUERY},"extensions":{"a":${deep(5_000)}}}`,
  'variables that are a list': `{"query":${QUERY},"variables":[]}`,
  'variables that are text': `{"query":${QUERY},"variables":"{}"}`,
  'a document that is a number': `{"query":7}`,
  'a document that is null': `{"query":null}`,
  'a document that is a list': `{"query":["{viewer{id}}"]}`,
  'an empty document': `{"query":""}`,
  'no document': `{}`,
  'a name that is a number': `{"query":${QUERY},"operationName":7}`,
  'a name of half an emoji': `{"query":${QUERY},"operationName":"\\ud83d"}`,
  'a document id that is a list': `{"documentId":[]}`,
  'a payload that is text': `"{viewer{id}}"`,
  'a payload that is null': `null`,
  'a payload that is a list': `[]`,
  'the same member twice': `{"query":${QUERY},"query":${QUERY},"variables":{"a":1},"variables":7}`,
  'a variable that is missing': `{"query":${QUERY}}`,
  'a NUL in a variable': `{"query":"query($a:String!){user(handle:$a){id}}","variables":{"a":"\\u0000"}}`,
  'a NUL in the document': `{"query":"{viewer\\u0000{id}}"}`,
};

/** What an error of an operation may be called. */
const CODES = ['BAD_REQUEST', 'BAD_INPUT', 'GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'PERSISTED_QUERY_NOT_FOUND'];

/** Whether the payload may come to data: what is odd about it is nothing that herald looks at. */
const HARMLESS = ['half an emoji in an extension', 'a NUL in a variable', 'extensions that nest'];

const open = Front.shared();
let met: Meeting | undefined;

/** Who writes to whom. */
interface Meeting {
  front: Front;
  writer: Account;
  follower: Account;
  conversationId: string;
}

async function meet(): Promise<Meeting> {
  const front = await open();
  if (met?.front === front) return met;
  const [writer, follower] = await Promise.all([front.register('writer'), front.register('follower')]);
  const { startConversation } = await writer.caller.data<{ startConversation: { conversation: { id: string } } }>(START, {
    input: { participantHandles: [follower.handle] },
  });
  met = { front, writer, follower, conversationId: startConversation.conversation.id };
  return met;
}

test.for(Object.entries(BAD))('%s', async ([name, payload]) => {
  const { front, writer, follower, conversationId } = await meet();
  await front.withstands(async () => {
    const socket = await Socket.greet(front.port, HOSTILE, follower.token);
    // From a cursor, so that it makes no difference when the subscription begins.
    const query = 'subscription($after:Cursor){messageSent(after:$after){message{body}}}';
    socket.subscribe('kept', query, { after: socket.cursor });
    const messages = {
      // The order of members means nothing, and what comes after the fault has to be read all the same.
      'id-first': `{"id":"id-first","type":"subscribe","payload":${payload}}`,
      'id-last': `{"type":"subscribe","payload":${payload},"id":"id-last"}`,
    };
    for (const [id, message] of Object.entries(messages)) {
      socket.say(message);
      const said = await socket.answer(id);
      if (said.type === 'next' && saidCodes(said).length === 0) expect(HARMLESS).toContain(name);
      else expect(CODES).toContain(saidCodes(said)[0]);
    }
    await writer.caller.data(SEND, { input: { conversationId, body: `after ${name}` } });
    const event = await socket.answer('kept');
    expect(event.payload).toEqual({ data: { messageSent: { message: { body: `after ${name}` } } } });
    await socket.close();
  });
});
