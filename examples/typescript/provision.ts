/**
 * Brings the users of a product into herald, and welcomes each of them in the name of somebody.
 *
 *     KEY=hsk_… node provision.ts < users.jsonl
 *     KEY=hsk_… SENDER=external:42 node provision.ts < users.jsonl
 *
 * Each line of the input is a user: {"externalId": "42", "handle": "ada", "displayName": "Ada"}. The handle and the name
 * may be left out. To run it again changes what has changed, and nobody is welcomed twice. `herald key add` makes the
 * key; it needs the scope `provision`, and `send` for the welcome. Nothing but Node.js is needed: 22.18 or later runs
 * this file as it is, 20 what `tsc` makes of it. HERALD_URL names a herald that is not on this machine.
 */

import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';

const HERALD = process.env['HERALD_URL'] ?? 'http://127.0.0.1:8000/graphql';

/** herald takes at most so many users in one call, all or none. */
const USERS_PER_CALL = 1_000;

/** After so long without an answer, a request is repeated. */
const PATIENCE_MS = 10_000;

interface NewUser {
  externalId: string;
  handle?: string;
  displayName?: string;
}

interface User {
  externalId: string;
  handle: string;
}

interface GraphQLError {
  message: string;
  extensions?: { code?: string };
}

const UPSERT = `mutation ($users: [UpsertUserInput!]!) {
  upsertUsers(input: { users: $users }) { created users { handle externalId } }
}`;

const START = `mutation ($handle: String!) {
  startConversation(input: { participantHandles: [$handle], distinct: true }) { conversation { id } }
}`;

const SEND = `mutation ($conversation: ID!, $body: String!, $key: String!) {
  sendMessage(input: { conversationId: $conversation, body: $body, idempotencyKey: $key }) { message { id } }
}`;

/** herald refuses the request. To repeat it is no use. */
class Refused extends Error {
  constructor(errors: unknown) {
    super(`herald refuses: ${JSON.stringify(errors)}`);
  }
}

/** Asks herald until it answers, and returns the data. Everything that is asked here may be repeated safely. */
async function ask<D>(key: string, query: string, variables: object, actAs?: string): Promise<D> {
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    ...(actAs && { 'x-act-as': actAs }),
  };
  const body = JSON.stringify({ query, variables });
  for (;;) {
    let reason: unknown;
    const patience = new AbortController();
    // In Node.js 20, the first `fetch` waits for ever if its connection is closed as soon as it is open, with nothing that
    // keeps Node.js running. The timer of AbortSignal.timeout would not do that, either.
    const timer = setTimeout(() => patience.abort(new Error('herald does not answer')), PATIENCE_MS);
    try {
      const response = await fetch(HERALD, { method: 'POST', headers, body, signal: patience.signal });
      const { data, errors = [] } = (await response.json()) as { data?: D; errors?: GraphQLError[] };
      if (response.ok && data && !errors.length) return data;
      // 5xx says that herald cannot answer now, 429 that too much is under way. Both pass.
      const isPassing = response.status >= 500 || response.status === 429
        || errors.some(({ extensions }) => ['UNAVAILABLE', 'RATE_LIMITED'].includes(extensions?.code ?? ''));
      if (!isPassing) throw new Refused(errors);
      reason = response.status;
    } catch (cause) {
      if (cause instanceof Refused) throw cause;
      reason = cause; // The connection was lost.
    } finally {
      clearTimeout(timer);
    }
    console.error(`provision.ts: ${reason}; it tries again`);
    await pause(1_000);
  }
}

/** Makes or updates all users. Yields each as herald knows them, in the order of the input. */
async function* provision(key: string, users: NewUser[]): AsyncGenerator<User, void> {
  for (let begin = 0; begin < users.length; begin += USERS_PER_CALL) {
    const { upsertUsers } = await ask<{ upsertUsers: { created: number; users: User[] } }>(
      key, UPSERT, { users: users.slice(begin, begin + USERS_PER_CALL) },
    );
    console.error(`provision.ts: ${upsertUsers.created} of ${upsertUsers.users.length} are new`);
    yield* upsertUsers.users;
  }
}

/** Sends somebody a message in the name of the sender, once. */
async function welcome(key: string, sender: string, user: User): Promise<void> {
  const { startConversation } = await ask<{ startConversation: { conversation: { id: string } } }>(
    key, START, { handle: user.handle }, sender,
  );
  const variables = {
    conversation: startConversation.conversation.id,
    body: `Welcome, ${user.handle}!`,
    // The same key for the same welcome: a repeated send answers with the message of the first.
    key: `welcome ${createHash('sha256').update(user.externalId).digest('hex')}`,
  };
  await ask(key, SEND, variables, sender);
}

const key = process.env['KEY'] ?? '';
const sender = process.env['SENDER'];
try {
  const lines = (await text(process.stdin)).split('\n').filter((line) => line.trim());
  const users = lines.map((line): NewUser => JSON.parse(line));
  for await (const user of provision(key, users)) {
    const isSender = [`external:${user.externalId}`, `handle:${user.handle}`].includes(sender ?? '');
    if (sender && !isSender) await welcome(key, sender, user);
    console.log(JSON.stringify(user));
  }
} catch (cause) {
  if (!(cause instanceof Refused)) throw cause;
  console.error(`provision.ts: ${cause.message}`);
  process.exitCode = 1;
}
