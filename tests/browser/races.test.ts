/** Answers and events come over different connections, and overtake each other. */

import type { Route } from 'playwright-core';
import { describe, expect } from 'vitest';

import type { Chat } from './chat.ts';
import { test } from './fixtures.ts';
import type { Person } from './person.ts';

const numbered = (what: string, count: number) => Array.from({ length: count }, (_, n) => `${what} ${n + 1}`);

/** The document of a request: queries may come by GET, and have it in their address. */
function documentOf(route: Route): string {
  const request = route.request();
  return request.postDataJSON()?.query ?? new URL(request.url()).searchParams.get('query') ?? '';
}

/** The path of GraphQL, whatever comes after it. */
const isGraphql = ({ pathname }: URL) => pathname === '/graphql';

test.for([['an empty', []], ['a longer', ['one', 'two']]] as [string, string[]][])(
  'an answer about %s conversation that is older than an event undoes nothing of it',
  async ([, before], { device, alice, bob, conversationId }) => {
    await alice.sendAll(conversationId, before);
    const bobs = await (await device(bob)).chat();
    await bobs.is('connected');
    let isFirst = true;
    await bobs.page.route(isGraphql, async (route) => {
      if (!isFirst || !documentOf(route).includes('query Messages')) return route.continue();
      isFirst = false;
      const response = await route.fetch();
      await alice.send(conversationId, 'meanwhile');
      await bobs.conversation('Alice').getByText('meanwhile').waitFor();
      return route.fulfill({ response });
    });

    await bobs.conversation('Alice').click();

    await bobs.says(...before, 'meanwhile');
    await expect.poll(async () => (await alice.messages(conversationId)).at(-1)?.status).toBe('READ');
    await expect.poll(() => bobs.unread('Alice')).toBeUndefined();
  },
);

describe('while a mark is under way', () => {
  let mark: Route | undefined;

  /** Opens the conversation with Alice, and holds back the mark that it is read. */
  async function openUnanswered(chat: Chat): Promise<void> {
    mark = undefined;
    await chat.page.route(isGraphql, async (route) => {
      if (mark || !documentOf(route).includes('mutation MarkRead')) return route.continue();
      mark = route;
    });
    await chat.open('Alice');
    await expect.poll(() => mark).toBeDefined();
  }

  test('the past can be read', async ({ device, alice, bob, conversationId }) => {
    const bodies = numbered('message', 100);
    await alice.sendAll(conversationId, bodies);
    const bobs = await (await device(bob)).chat();
    await openUnanswered(bobs);

    await expect
      .poll(async () => {
        await bobs.log.press('Home');
        return bobs.bodies();
      })
      .toEqual(bodies);
    await mark!.continue();
    await bobs.toEnd();

    await expect.poll(async () => (await alice.messages(conversationId)).at(-1)?.status).toBe('READ');
  });

  test('the list can be read to its end', async ({ device, alice, bob, carol, conversationId }) => {
    for (const title of numbered('Room', 45)) await carol.converse([bob], title);
    await alice.send(conversationId, 'on top');
    const bobs = await (await device(bob)).chat();
    await openUnanswered(bobs);

    await expect
      .poll(async () => {
        await bobs.conversations.last().scrollIntoViewIfNeeded();
        return bobs.conversations.count();
      })
      .toBe(46);
    await mark!.continue();

    await expect.poll(async () => (await alice.messages(conversationId)).at(-1)?.status).toBe('READ');
  });
});

test('a message stays read when its own answer comes later than that', async ({
  device, alice, bob, conversationId,
}) => {
  const alices = await (await device(alice)).chat(conversationId);
  await alices.is('connected');
  await alices.page.route(isGraphql, async (route) => {
    if (!documentOf(route).includes('mutation Send')) return route.continue();
    const response = await route.fetch();
    const heard = alices.events.length;
    await bob.markRead((await bob.messages(conversationId)).at(-1)!.id);
    await expect.poll(() => alices.events.length).toBeGreaterThan(heard);
    return route.fulfill({ response });
  });

  const bodies = numbered('message', 5);
  await alices.write(...bodies);

  await alices.says(...bodies);
  await alices.showsTicks(...bodies.map(() => 'Read'));
});

describe('a message that comes is unread, though an older answer comes after it:', () => {
  /** Holds back the answer to the next such operation until Alice has sent a message and the page was told. */
  async function overtake(
    chat: Chat, operation: string, alice: Person, conversationId: string, meanwhile = async () => {},
  ): Promise<void> {
    let isFirst = true;
    await chat.page.route(isGraphql, async (route) => {
      if (!isFirst || !documentOf(route).includes(operation)) return route.continue();
      isFirst = false;
      const response = await route.fetch();
      await meanwhile();
      const heard = chat.events.length;
      await alice.send(conversationId, 'meanwhile');
      await expect.poll(() => chat.events.length).toBeGreaterThan(heard);
      return route.fulfill({ response });
    });
  }

  test('to a mark', async ({ device, alice, bob, conversationId }) => {
    await alice.send(conversationId, 'before');
    const bobs = await (await device(bob)).chat();
    const lookAway = () => bobs.page.evaluate(() => void (location.hash = ''));
    await overtake(bobs, 'mutation MarkRead', alice, conversationId, lookAway);
    await bobs.open('Alice');

    await bobs.conversation('Alice').getByText('meanwhile').waitFor();
    await expect.poll(() => bobs.unread('Alice')).toBe('1');
  });

  test('with a page of the past', async ({ device, alice, bob, conversationId }) => {
    await bob.markRead(await alice.sendAll(conversationId, numbered('message', 60)));
    const bobs = await (await device(bob)).chat();
    await bobs.open('Alice');
    await bobs.message('message 60').waitFor();
    await overtake(bobs, 'query Older', alice, conversationId);

    await expect
      .poll(async () => {
        await bobs.log.press('Home');
        return bobs.bodies();
      })
      .toEqual([...numbered('message', 60), 'meanwhile']);
    await expect.poll(() => bobs.unread('Alice')).toBe('1');
  });
});

test('a message whose answer is lost is sent again, and stored once', async ({ device, alice, bob, conversationId }) => {
  const laptop = await device(alice);
  // That is what the browser calls it.
  laptop.provokes(/ERR_FAILED/);
  const alices = await laptop.chat(conversationId);
  await alices.is('connected');
  let lost = 0;
  await alices.page.route(isGraphql, async (route) => {
    if (lost === 2 || !documentOf(route).includes('mutation Send')) return route.continue();
    await route.fetch();
    lost++;
    return route.abort();
  });

  await alices.write('once', 'and then this');

  await alices.showsTicks('Sent', 'Sent');
  expect(lost).toBe(2);
  await alices.says('once', 'and then this');
  expect((await bob.messages(conversationId)).map(({ body }) => body)).toEqual(['once', 'and then this']);
});
