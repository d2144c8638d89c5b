/**
 * The EventSource of browsers: it resumes by itself, from a URL that never changes. It cannot send headers, so the
 * session comes by cookie, and its errors say nothing but a status.
 */

import { on, once } from 'node:events';
import { EventSource } from 'eventsource';
import { expect, onTestFinished } from 'vitest';

import { addressOf } from '../../examples/plain/event-source.ts';
import type { Variables } from './connection.ts';
import { test as base } from './fixtures.ts';
import { person } from './person.ts';
import { racer } from './racer.ts';
import { races } from './race.ts';
import { bodies, Reader, says } from './reader.ts';
import { converses } from './scenario.ts';
import { LOGIN, MESSAGE_SENT, type MessageSent, post } from './user.ts';

/** Signs in as a page does: the cookie that it gets. */
async function signIn(url: string, { handle, password }: { handle: string; password: string }): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: LOGIN, variables: { input: { handle, password } } }),
  });
  await response.body?.cancel();
  const [cookie] = response.headers.getSetCookie();
  if (!cookie?.startsWith('herald_session=')) throw new Error(`signed in with ${response.status}, but got no cookie`);
  return cookie.split(';')[0]!;
}

/** Opens a subscription, until the test ends. Everything about it is in the URL. */
function open(url: string, headers: Record<string, string>, query: string, variables: Variables): EventSource {
  const source = new EventSource(addressOf(url, query, variables, 'laptop'), {
    // What a browser adds.
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }),
  });
  onTestFinished(() => source.close());
  return source;
}

/** What it is told, until it is complete. */
async function* events<E>(source: EventSource): AsyncGenerator<E, void> {
  for await (const [{ data: text }] of on(source, 'next', { close: ['complete'] })) {
    const { data, errors } = JSON.parse(text);
    if (!data) throw errors;
    yield* Object.values<E>(data);
  }
}

/** Waits until it has given up: the status that it gave up at. */
async function end(source: EventSource): Promise<number | undefined> {
  // Those before are about connections that were lost, and that it makes again.
  for await (const [{ code }] of on(source, 'error')) if (source.readyState === source.CLOSED) return code;
  return undefined;
}

/** Follows by an EventSource, and asks as a page does. */
async function voice(url: string, credentials: { handle: string; password: string }) {
  const cookie = await signIn(url, credentials);
  const sources: EventSource[] = [];
  return {
    ask: <D>(query: string, variables: object) =>
      post<D>(url, query, variables as Variables, { cookie, 'x-connection-id': 'laptop' }),
    // What `fetch` throws when there was no answer.
    isLost: (cause: unknown) => cause instanceof TypeError,
    follow<E>(query: string, variables: { after: string; [name: string]: string }) {
      const source = open(url, { cookie }, query, variables);
      sources.push(source);
      return events<E>(source);
    },
    leave: () => sources.forEach((source) => source.close()),
  };
}

converses('EventSource', { signIn: async ({ http }, credentials) => person(await voice(http, credentials)) });

races('EventSource', async ({ http }, user) => racer(await voice(http, user)));

const test = base.extend('cookie', ({ herald, bob }) => signIn(herald.http, bob));

test('it goes on by itself when the server was killed or has stopped', async ({
  herald, alice, bob, conversationId, cookie,
}) => {
  const source = open(herald.http, { cookie }, MESSAGE_SENT, { after: await bob.cursor() });
  const incoming = new Reader(events<MessageSent>(source));

  await alice.send(conversationId, 'one');
  await incoming.until(says('one'));
  await herald.kill();
  await herald.start();
  await alice.send(conversationId, 'two');
  await alice.send(conversationId, 'three');
  await incoming.until(says('three'));
  expect(await herald.stop()).toBe(0);
  await herald.start();
  await alice.send(conversationId, 'four');

  expect(bodies(await incoming.until(says('four')))).toEqual(['one', 'two', 'three', 'four']);
});

test('it begins again at the cursor of its URL if it was cut off before there was an event', async ({
  network, alice, bob, conversationId, cookie,
}) => {
  const source = open(network.http, { cookie }, MESSAGE_SENT, { after: await bob.cursor() });
  const incoming = events<MessageSent>(source);
  const first = incoming.next();
  await once(source, 'open');
  network.cut();
  const { id } = await alice.send(conversationId, 'meanwhile');
  network.heal();
  expect((await first).value).toMatchObject({ message: { id } });
});

test('it is complete when its viewer leaves the conversation, and does not come again', async ({
  herald, alice, bob, conversationId, cookie,
}) => {
  const source = open(herald.http, { cookie }, MESSAGE_SENT, { after: await bob.cursor(), conversationId });
  const [incoming, complete, ended] = [events<MessageSent>(source), once(source, 'complete'), end(source)];
  const first = incoming.next();
  const { id } = await alice.send(conversationId, 'goodbye');
  expect((await first).value).toMatchObject({ message: { id } });
  await bob.leave(conversationId);
  await complete;
  expect(await ended).toBe(204);
});

test.for([
  ['CURSOR_INVALID', MESSAGE_SENT, { after: 'gibberish' }, {}],
  ['GRAPHQL_VALIDATION_FAILED', 'subscription { weatherChanged { cursor } }', {}, {}],
  // A page cannot take away a cookie that has outlived its session: it stands for nobody.
  ['UNAUTHENTICATED', MESSAGE_SENT, {}, { cookie: 'herald_session=never-given-out' }],
] as const)('what is refused says %s, and does not come again', async (
  [code, query, variables, instead],
  { herald, cookie },
) => {
  const source = open(herald.http, { cookie, ...instead }, query, variables);
  const ended = end(source);
  await expect(events(source).next()).rejects.toMatchObject([{ extensions: { code } }]);
  expect(await ended).toBe(204);
});

test('it gives up when its session has ended', async ({ herald, alice, bob, conversationId, cookie }) => {
  const source = open(herald.http, { cookie }, MESSAGE_SENT, { after: await bob.cursor() });
  const [incoming, ended] = [events<MessageSent>(source), end(source)];
  const first = incoming.next();
  const { id } = await alice.send(conversationId, 'the last one');
  expect((await first).value).toMatchObject({ message: { id } });

  const further = expect(incoming.next()).rejects.toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  await post(herald.http, `mutation { logout { ended } }`, {}, { cookie });
  await further;
  expect(await ended).toBe(204);
});

test('a page of another host may not use the cookie', async ({ herald, bob, cookie }) => {
  const headers = { cookie, origin: 'https://elsewhere.example' };
  const source = open(herald.http, headers, MESSAGE_SENT, { after: await bob.cursor() });
  expect(await end(source)).toBe(403);
});

test('a page of the same host may', async ({ herald, alice, bob, conversationId, cookie }) => {
  const { origin } = new URL(herald.http);
  const source = open(herald.http, { cookie, origin }, MESSAGE_SENT, { after: await bob.cursor() });
  const first = events<MessageSent>(source).next();
  const { id } = await alice.send(conversationId, 'hello');
  expect((await first).value).toMatchObject({ message: { id } });
});
