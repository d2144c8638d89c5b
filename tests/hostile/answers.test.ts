/** Answers without a bound: they end with `LIMIT_EXCEEDED` while they grow, however they are asked for. */

import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

import { type Account, Front, SEND, START, load } from './front.ts';
import { codes, times } from './http.ts';
import { saidCodes } from './socket.ts';

/** What an answer may come to, in bytes. */
const MOST = 8 * 1024 * 1024;

/** Two who said 200 things of 40 KB each to each other. */
interface Talk {
  front: Front;
  speaker: Account;
  listener: Account;
  conversationId: string;
  messageId: string;
}

const open = Front.shared();
let before: Talk | undefined;

async function talk(): Promise<Talk> {
  const front = await open();
  if (before?.front === front) return before;
  const [speaker, listener] = await Promise.all([front.register('speaker'), front.register('listener')]);
  const input = { participantHandles: [listener.handle] };
  const { startConversation } = await speaker.caller.data<{ startConversation: { conversation: { id: string } } }>(
    START,
    { input },
  );
  const conversationId = startConversation.conversation.id;
  const sent = await times(200, 8, () => say({ speaker, conversationId }, '\u{1f600}'.repeat(10_000)));
  before = { front, speaker, listener, conversationId, messageId: sent[0]! };
  return before;
}

async function say({ speaker, conversationId }: Pick<Talk, 'speaker' | 'conversationId'>, body: string): Promise<string> {
  const data = await speaker.caller.data<{ sendMessage: { message: { id: string } } }>(SEND, {
    input: { conversationId, body },
  });
  return data.sendMessage.message.id;
}

function aliased(count: number, selection: string): string {
  return Array.from({ length: count }, (_, index) => `a${index}:${selection}`).join(' ');
}

const BODIES = 'messages(last:200){nodes{body}}';

/** What comes to more than one answer may. */
const TOO_MUCH: Record<string, string> = {
  'pages within pages': `query($id:ID!){conversation(id:$id){messages(last:100){nodes{conversation{${BODIES}}}}}}`,
  'edges within edges': `query($id:ID!){conversation(id:$id){messages(last:100){edges{node{conversation{messages(last:200){edges{node{body}}}}}}}}}`,
  'the same page many times': `query($id:ID!){conversation(id:$id){${aliased(50, BODIES)}}}`,
  'the same field many times': `query($id:ID!){conversation(id:$id){messages(last:200){nodes{${aliased(50, 'body')}}}}}`,
  'a node many times': `query($m:ID!){nodes(ids:[${'$m '.repeat(190)}]){...on Message{${aliased(48, 'body')}}}}`,
  'through people': `query($id:ID!){conversation(id:$id){participants{nodes{deliveredThrough{conversation{${BODIES}}}}} messages(last:200){nodes{conversation{lastMessage{body}}}} more:${BODIES}}}`,
  'by fragments': `query($id:ID!){conversation(id:$id){...A}} fragment A on Conversation{messages(last:100){nodes{...B}}} fragment B on Message{conversation{${BODIES}}}`,
};

test.for(Object.entries(TOO_MUCH))('%s are cut off', async ([, query]) => {
  const { front, speaker, conversationId: id, messageId: m } = await talk();
  await front.withstands(async () => {
    const variables = query.includes('$m') ? { m } : { id };
    for (const answer of await times(load(40), 4, () => speaker.caller.ask(query, variables))) {
      expect(codes(answer)).toContain('LIMIT_EXCEEDED');
      expect(answer.bytes).toBeLessThan(MOST + 64 * 1024);
    }
    const socket = await front.socket(undefined, speaker.token);
    const said = await socket.ask('much', query, variables);
    expect(saidCodes(said)).toContain('LIMIT_EXCEEDED');
    // The socket goes on.
    expect(saidCodes(await socket.ask('little', '{viewer{id}}'))).toEqual([]);
    await socket.close();
  });
});

test('an answer that just fits is given in full, to many at once', async () => {
  const { front, speaker, conversationId: id } = await talk();
  await front.withstands(async () => {
    const query = `query($id:ID!){conversation(id:$id){${BODIES}}}`;
    for (const answer of await times(load(40), 4, () => speaker.caller.ask(query, { id }))) {
      expect(codes(answer)).toEqual([]);
      expect(answer.bytes).toBeGreaterThan(8_000_000);
    }
  });
});

const EVENT = `subscription($after:Cursor!){messageSent(after:$after){message{id} conversation{messages(last:100){nodes{conversation{${BODIES}}}}}}}`;

test('an event that asks for too much says so on a socket, and the socket goes on', async () => {
  const made = await talk();
  const { front, listener } = made;
  await front.withstands(async () => {
    const socket = await front.socket(undefined, listener.token);
    // From a cursor, so that it makes no difference when each begins.
    const after = socket.cursor;
    socket.subscribe('much', EVENT, { after });
    socket.subscribe('little', 'subscription($after:Cursor!){messageSent(after:$after){message{id}}}', { after });
    const messageId = await say(made, 'set off');
    const seen: Record<string, string[]> = {};
    while (!seen['much'] || !seen['little']) {
      const said = await socket.next(({ id }) => id === 'much' || id === 'little');
      seen[said.id!] = saidCodes(said);
      if (said.id === 'little') expect(JSON.stringify(said.payload)).toContain(messageId);
    }
    expect(seen).toEqual({ much: ['LIMIT_EXCEEDED'], little: [] });
    await socket.close();
  });
});

test.for(['text/event-stream', 'multipart/mixed;subscriptionSpec=1.0'])('the same as %s', async (accept) => {
  const made = await talk();
  const { front, listener, speaker } = made;
  await front.withstands(async () => {
    const { cursor } = await speaker.caller.data<{ cursor: string }>('{cursor}');
    await say(made, 'set off');
    const response = await fetch(front.herald.http, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${listener.token}` },
      body: JSON.stringify({ query: EVENT, variables: { after: cursor } }),
    });
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('LIMIT_EXCEEDED') || text.length > MOST) break;
    }
    expect(text.slice(-4_000)).toContain('LIMIT_EXCEEDED');
  });
});

test('answers that nobody reads are not piled up: on sockets', async () => {
  const { front, speaker, conversationId: id } = await talk();
  const query = `query($id:ID!){conversation(id:$id){${BODIES}}}`;
  await front.withstands(async () => {
    const sockets = await times(40, 8, () => front.socket(undefined, speaker.token));
    for (const socket of sockets) {
      socket.stall();
      for (let index = 0; index < 20; index++) socket.subscribe(`${index}`, query, { id });
    }
    await front.innocentSend(load(1_000));
    await Promise.all(sockets.map((socket) => socket.close()));
  });
});

test('answers that nobody reads are not piled up: over HTTP', async () => {
  const { front, speaker, conversationId: id } = await talk();
  const query = `query($id:ID!){conversation(id:$id){${BODIES}}}`;
  const body = JSON.stringify({ query, variables: { id } });
  const request = `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${speaker.token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  await front.withstands(async () => {
    const sockets = Array.from({ length: 150 }, () => {
      const socket = connect({ port: front.port, host: '127.0.0.1', localAddress: speaker.caller.address });
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => {});
      socket.pause();
      socket.write(request);
      return socket;
    });
    await front.innocentSend(load(1_000));
    for (const socket of sockets) socket.destroy();
  });
});
