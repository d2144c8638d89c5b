/** Documents that are held: by subscriptions, and by the memory of documents. Both are bounded by what they take. */

import { expect, test } from 'vitest';

import { type Account, Front, SEND, START, load } from './front.ts';
import { tally, times } from './http.ts';
import { saidCodes } from './socket.ts';

/** Operations that are put on one socket: one less than it may have under way. */
const MOST_OPERATIONS = 99;

async function meet(front: Front): Promise<{ follower: Account; say(): Promise<void> }> {
  const [victim, follower] = await Promise.all([front.register('victim'), front.register('follower')]);
  const { startConversation } = await victim.caller.data<{ startConversation: { conversation: { id: string } } }>(START, {
    input: { participantHandles: [follower.handle] },
  });
  const { id } = startConversation.conversation;
  const say = async (): Promise<void> => {
    await victim.caller.data(SEND, { input: { conversationId: id, body: 'something' } });
  };
  return { follower, say };
}

type Query = [text: string, variables?: object];

/**
 * Subscribes to each, on as many sockets as it takes, has something happen, and gives what came first for each: the
 * code of an error, or `event`. Then the sockets are closed.
 */
async function follow(front: Front, token: string, queries: Query[], say: () => Promise<void>): Promise<string[]> {
  const parts: Query[][] = [];
  for (let at = 0; at < queries.length; at += MOST_OPERATIONS) parts.push(queries.slice(at, at + MOST_OPERATIONS));
  const sockets = await Promise.all(parts.map(() => front.socket(undefined, token)));
  for (const [part, socket] of sockets.entries()) {
    for (const [index, [text, variables]] of parts[part]!.entries()) {
      // From a cursor, so that it makes no difference when each begins.
      socket.subscribe(`${index}`, text, { ...variables, after: socket.cursor });
    }
  }
  await say();
  const found = await Promise.all(
    sockets.map(async (socket, part) => {
      const outcomes = new Map<string, string>();
      while (outcomes.size < parts[part]!.length) {
        const said = await socket.next(({ id }) => id !== undefined);
        if (!outcomes.has(said.id!)) outcomes.set(said.id!, saidCodes(said)[0] ?? 'event');
      }
      await socket.close();
      return [...outcomes.values()];
    }),
  );
  return found.flat();
}

const open = Front.shared();

test('1,000 subscriptions with 8 KB of document each', async () => {
  const front = await open();
  const { follower, say } = await meet(front);
  await front.withstands(async () => {
    const queries = Array.from({ length: load(1_000) }, (_, index): Query => [
      `subscription S${index}($after:Cursor){messageSent(after:$after){${'at '.repeat(1_400)}}} #${'x'.repeat(3_700)}`,
    ]);
    const outcomes = tally(await follow(front, follower.token, queries, say));
    expect(Object.keys(outcomes), JSON.stringify(outcomes)).toSatisfy(onlyEventsAndLimits);
  });
});

/** Whether everything was either served or refused for its size. */
function onlyEventsAndLimits(outcomes: string[]): boolean {
  return outcomes.every((outcome) => ['event', 'LIMIT_EXCEEDED', 'RATE_LIMITED'].includes(outcome));
}

const PAGE = `conversation{messages(last:${load(200)}){nodes{status readCount sender{handle} receipts{nodes{status}}}}}`;

/** 400 subscriptions that are all different, of which each is dear. */
const DIFFERENT: Record<string, (index: number) => Query> = {
  'in an alias': (index) => [`subscription($after:Cursor){a${index}:messageSent(after:$after){${PAGE}}}`],
  'in their names': (index) => [`subscription S${index}($after:Cursor){messageSent(after:$after){${PAGE}}}`],
  'in a comment': (index) => [`subscription($after:Cursor){messageSent(after:$after){${PAGE}}} #${index}`],
  'in a variable': (index) => [
    `subscription($n:Int,$after:Cursor){messageSent(after:$after){message{receipts(first:$n){nodes{status}}} ${PAGE}}}`,
    { n: 1 + (index % 200) },
  ],
  'in a variable that is not defined': (index) => [
    `subscription($after:Cursor){messageSent(after:$after){${PAGE} message{id @skip(if:false)}}}`,
    { [`other${index}`]: index },
  ],
};

test.for(Object.entries(DIFFERENT))('400 subscriptions that differ %s', async ([name, query]) => {
  const distinct = ['in an alias', 'in a variable'].includes(name);
  const front = await open();
  const { follower, say } = await meet(front);
  for (let said = 0; said < load(200); said++) await say();
  await front.withstands(async () => {
    const queries = Array.from({ length: 400 }, (_, index) => query(index));
    const outcomes = tally(await follow(front, follower.token, queries, say));
    expect(Object.keys(outcomes), JSON.stringify(outcomes)).toSatisfy(onlyEventsAndLimits);
    // Those whose rendering can be shared cost nothing more; the others are bounded.
    if (distinct) expect(outcomes['LIMIT_EXCEEDED'] ?? 0, JSON.stringify(outcomes)).toBeGreaterThan(0);
  });
});

/** Texts that are remembered if they are good. Each is asked by somebody who is not signed in. */
const UNIQUE: Record<string, (index: number) => string> = {
  tiny: (index) => `{a${index}:viewer{id}}`,
  'tiny and bad': (index) => `{a${index}}`,
  'of many fields': (index) => `{a${index}:viewer{${'id '.repeat(3_900)}}}`,
  'of many fragments': (index) =>
    `{a${index}:viewer{id ...F}}${Array.from({ length: 200 }, (_, f) => `fragment ${f ? `F${f}` : 'F'} on User{id ${f < 199 ? `...F${f + 1}` : ''}}`).join('')}`,
  'of many operations': (index) => Array.from({ length: 400 }, (_, q) => `query Q${q}x${index}{viewer{id}}`).join(' '),
  'of many arguments': (index) => `{a${index}:nodes(ids:[${'"a"'.repeat(3_000)}]){id}}`,
  'of comments': (index) => `{a${index}:viewer{id}} #${'x'.repeat(32_000)}`,
  'of introspection': (index) => `{a${index}:__schema{types{name fields{name}}}}`,
};

test.for(Object.entries(UNIQUE))('the memory of documents does not grow with texts that are %s', async ([kind, text]) => {
  const front = await open();
  const count = load(kind.startsWith('tiny') ? 60_000 : 1_000);
  await front.withstands(async () => {
    const socket = await front.socket();
    await times(count, 32, (index) => {
      const id = `${index}`;
      socket.subscribe(id, text(index));
      return socket.completed(id);
    });
    await socket.close();
  });
});
