/**
 * What every client shows in the end is what is so, whatever overtakes what: answers, which are held back here, events,
 * and a log that goes back in time.
 */

import { EventEmitter, once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, vi } from 'vitest';

import { test as base } from './fixtures.ts';
import type { StandingQuery } from './generated/graphql.ts';
import type { Proxy } from './proxy.ts';
import { MESSAGE_SENT, type MessageSent, type User } from './user.ts';

/** Somebody signed in, who does everything through the library. */
export interface Racer {
  /** Shows a conversation's newest messages, and follows it until it is closed. */
  open(conversationId: string): Promise<unknown>;
  close(conversationId: string): unknown;
  /** Reads the newest messages again. */
  refetch(conversationId: string): Promise<unknown>;
  /** Reads the messages before those that are shown, if the client can. */
  readBack?(conversationId: string): Promise<unknown>;
  send(conversationId: string, body: string): Promise<unknown>;
  markDelivered(messageId: string): Promise<unknown>;
  /** What a page shows now. */
  shown(conversationId: string): Shown[];
  /** Ends everything that is open. */
  leave(): unknown;
}

type Shown = Standing[number];
type Standing = NonNullable<StandingQuery['conversation']>['messages']['nodes'];

/** Messages in a conversation that is raced: in all of them, as many as may be under way on one socket. */
const COUNT = 20;

/** How long the other side takes to mark a message that it has received, in milliseconds. */
const PAUSES = [0, 5, 15, 40];

/** How long answers are held back, in milliseconds. */
const HOLDS = [0, 1_500];

/** How long a client may take to show something, in milliseconds. */
const PATIENCE = 20_000;

/** Defines the tests of one library. */
export function races(name: string, join: (network: Proxy, user: User) => Racer | Promise<Racer>): void {
  const test = base
    .extend('racer', async ({ network, alice }, { onCleanup }) => {
      const racer = await join(network, alice);
      onCleanup(async () => void (await racer.leave()));
      return racer;
    })
    /** Waits until the client shows a conversation as herald has it. */
    .extend('settles', ({ racer, alice }) => async (conversationId: string): Promise<Shown[]> => {
      const standing = await standingOf(alice, conversationId);
      const isSo = () => JSON.stringify(sorted(racer.shown(conversationId))) === JSON.stringify(sorted(standing));
      // Where it does not, it is the difference that is of interest.
      await vi.waitUntil(isSo, { timeout: PATIENCE, interval: 5 }).catch(() => {});
      const shown = racer.shown(conversationId);
      expect(sorted(shown)).toEqual(sorted(standing));
      expect(shown.map(({ sentAt }) => sentAt)).toEqual(standing.map(({ sentAt }) => sentAt));
      return shown;
    })
    /** Waits until the client shows a message of this text. */
    .extend('appears', ({ racer }) => async (conversationId: string, body: string, status?: string): Promise<void> => {
      const isIt = (shown: Shown) => shown.body === body && (!status || shown.status === status);
      await vi.waitUntil(() => racer.shown(conversationId).some(isIt), { timeout: PATIENCE, interval: 5 });
    });

  describe(`what ${name} shows is so`, () => {
    test.for(HOLDS)('when messages are read at once, and answers are late by %i ms', async (hold, {
      network, racer, alice, bob, settles, appears,
    }) => {
      const conversations = await Promise.all(PAUSES.map(async (wait) => ({ id: await alice.converse(bob), wait })));
      await Promise.all(conversations.map(({ id }) => racer.open(id)));
      network.hold(() => (hold ? pause(hold) : undefined));
      const phone = await bob.connect('phone');

      await Promise.all(conversations.map(async ({ id, wait }) => {
        const incoming = phone.subscribe<MessageSent>(MESSAGE_SENT, { conversationId: id });
        const sent = numbered(COUNT).map((body) => racer.send(id, body));
        const mark = async (messageId: string) => {
          await pause(wait);
          await bob.markRead(messageId, 'phone');
        };
        const marked = (async () => {
          const marks = [];
          while (marks.length < COUNT) marks.push(mark((await incoming.next()).message.id));
          await Promise.all(marks);
        })();
        await Promise.all([marked, ...sent]);
        await bob.send(id, 'the end');
        await appears(id, 'the end');
        expect((await settles(id)).filter(({ status }) => status === 'READ')).toHaveLength(COUNT);
      }));
    });

    test('when a message is answered before its own sending is', async ({
      network, racer, bob, conversationId: id, settles, appears,
    }) => {
      await racer.open(id);
      const late = holdNext(network);
      const sent = racer.send(id, 'question');
      await late.arrival;

      await bob.send(id, 'answer');
      await appears(id, 'answer');
      late.release();
      await sent;
      await settles(id);
    });

    test('when the messages are read again, and events overtake that', async ({
      network, racer, alice, bob, conversationId: id, settles, appears,
    }) => {
      const question = await alice.send(id, 'question');
      await racer.open(id);
      const late = holdNext(network);
      const again = racer.refetch(id);
      await late.arrival;

      await bob.markRead(question.id);
      await bob.send(id, 'answer');
      await appears(id, 'answer');
      late.release();
      await again;
      await settles(id);
    });

    test('when a page before is read, and events overtake that', async ({
      network, racer, bob, conversationId: id, settles, appears, skip,
    }) => {
      if (!racer.readBack) return skip('It shows the newest messages only.');
      for (const body of numbered(60)) await bob.send(id, body);
      await racer.open(id);
      const late = holdNext(network);
      const before = racer.readBack(id);
      await late.arrival;

      await bob.send(id, 'meanwhile');
      await appears(id, 'meanwhile');
      late.release();
      await before;
      expect(await settles(id)).toHaveLength(61);
    });

    test('when a page before is read, and the newest one meanwhile', async ({
      network, racer, alice, bob, conversationId: id, appears, skip,
    }) => {
      if (!racer.readBack) return skip('It shows the newest messages only.');
      for (const body of numbered(60)) await bob.send(id, body);
      await racer.open(id);
      const late = holdNext(network);
      const before = racer.readBack(id);
      await late.arrival;

      for (const body of ['one more', 'and another']) await bob.send(id, body);
      await appears(id, 'and another');
      await racer.refetch(id);
      late.release();
      await before;
      await hasNoGap(racer, alice, id);
    });

    test('when much was said while nobody looked', async ({
      network, racer, alice, bob, conversationId: id, appears,
    }) => {
      await racer.open(id);
      await bob.send(id, 'before');
      await appears(id, 'before');
      await racer.close(id);
      for (const body of numbered(60)) await bob.send(id, body);
      const late = holdNext(network);
      const opened = racer.open(id);
      await late.arrival;

      await racer.send(id, 'back again');
      late.release();
      await opened;
      await bob.send(id, 'the end');
      await appears(id, 'the end');
      await hasNoGap(racer, alice, id);
    });

    test('when more is read at once than an event can list', async ({
      racer, alice, bob, conversationId: id, appears,
    }) => {
      await racer.open(id);
      for (const body of numbered(10)) await alice.send(id, body); // which is what the event leaves out
      await Promise.all(numbered(200).map((body) => alice.send(id, body)));
      await bob.markRead((await standingOf(bob, id)).at(-1)!.id);
      const theEnd = await bob.send(id, 'the end');
      await appears(id, 'the end');
      const isRead = ({ id, status }: Shown) => id === theEnd.id || status === 'READ';
      await vi.waitUntil(() => racer.shown(id).every(isRead), { timeout: PATIENCE, interval: 5 });
      await hasNoGap(racer, alice, id);
    });

    test('when a message is sent before the first ones are there', async ({
      network, racer, bob, conversationId: id, settles, appears,
    }) => {
      await bob.send(id, 'hello');
      const late = holdNext(network);
      const opened = racer.open(id);
      await late.arrival;

      await racer.send(id, 'question');
      late.release();
      await opened;
      await settles(id);
      await bob.markRead((await bob.messages(id)).at(-1)!.id);
      await appears(id, 'question', 'READ');
    });

    test("when one's own mark is answered after one has gone further elsewhere", async ({
      network, racer, alice, bob, conversationId: id, settles, appears,
    }) => {
      const hello = await bob.send(id, 'hello');
      await racer.open(id);
      const late = holdNext(network);
      const marked = racer.markDelivered(hello.id);
      await late.arrival;

      await alice.markRead(hello.id);
      await appears(id, 'hello', 'READ');
      late.release();
      await marked;
      await settles(id);
    });

    test('when the log goes back in time', async ({ herald, network, racer, alice, bob, settles, appears }) => {
      const ids = [await alice.converse(bob), await alice.converse(bob)];
      const readBy = async (user: User, id: string) => user.markRead((await user.messages(id)).at(-1)!.id);
      for (const id of ids) {
        await bob.send(id, 'hello');
        await racer.open(id);
        await racer.send(id, 'question');
      }
      const restore = await herald.backUp();
      for (const id of ids) {
        await readBy(bob, id);
        await appears(id, 'question', 'READ');
        await racer.send(id, 'undone');
        await bob.send(id, 'undone as well');
        await appears(id, 'undone as well');
      }
      // This is answered, and the answer comes when there is another log.
      const late = holdNext(network);
      const lost = racer.send(ids[0]!, 'too late').then(() => {}, () => {});
      await late.arrival;

      await restore();
      for (const id of ids) expect((await settles(id)).map(({ status }) => status)).toEqual(['SENT', 'SENT']);
      late.release();
      await lost;
      for (const id of ids) {
        await settles(id);
        await racer.send(id, 'again');
        await readBy(bob, id);
        await appears(id, 'again', 'READ');
        await settles(id);
      }
    });
  });
}

/** What is shown is the end of what was said, at least a page of it. */
async function hasNoGap(racer: Racer, user: User, conversationId: string): Promise<void> {
  const standing = await standingOf(user, conversationId);
  const [shown, said] = [racer.shown(conversationId), standing.map(({ body }) => body)];
  expect(shown.map(({ body }) => body)).toEqual(said.slice(-shown.length));
  expect(shown.length).toBeGreaterThanOrEqual(50);
}

/** Holds the next answer back when it is there, until it is released. */
function holdNext(network: Proxy): { arrival: Promise<unknown>; release(): void } {
  const late = new EventEmitter();
  const [arrival, released] = [once(late, 'arrival'), once(late, 'release')];
  network.hold(() => {
    network.hold(() => undefined);
    late.emit('arrival');
    return released;
  });
  return { arrival, release: () => void late.emit('release') };
}

/** What herald has of a conversation. */
async function standingOf(user: User, conversationId: string): Promise<Standing> {
  const { conversation } = await user.request<StandingQuery>(
    /* GraphQL */ `query Standing($id: ID!) {
      conversation(id: $id) { messages(last: 200) { nodes { id body status sentAt } } }
    }`,
    { id: conversationId },
  );
  return conversation!.messages.nodes;
}

/** By what is one of each, and with nothing else that a client may have asked for. */
function sorted(messages: readonly Shown[]): Shown[] {
  const plain = messages.map(({ id, body, status, sentAt }) => ({ id, body, status, sentAt }));
  return plain.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function numbered(count: number): string[] {
  return [...Array(count).keys()].map((n) => `message ${n + 1}`);
}
