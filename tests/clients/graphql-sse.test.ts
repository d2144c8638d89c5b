/** graphql-sse, over server-sent events: queries, mutations, and subscriptions that resume. */

import { setTimeout as pause } from 'node:timers/promises';
import { type Client, type ClientOptions, createClient, type ExecutionResult, NetworkError } from 'graphql-sse';
import { expect, onTestFinished } from 'vitest';

import { follow } from '../../examples/plain/resume-sse.ts';
import { Inbox, type Variables } from './connection.ts';
import { test } from './fixtures.ts';
import type { LoginMutation, SendMutation } from './generated/graphql.ts';
import { follow as followByRetry } from './own-retry.ts';
import { person } from './person.ts';
import { racer } from './racer.ts';
import { races } from './race.ts';
import { bodies, Reader, says } from './reader.ts';
import { converses } from './scenario.ts';
import { LOGIN, MESSAGE_SENT, type MessageSent, SEND, STATUS_CHANGED, type StatusChanged } from './user.ts';

/** A client as `follow` wants it: of somebody, unless there is no token. */
function client(url: string, token?: string, connectionId?: string, options: Partial<ClientOptions> = {}): Client {
  const client = createClient({
    url,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(connectionId && { 'x-connection-id': connectionId }),
    },
    retryAttempts: 0,
    ...options,
  });
  onTestFinished(() => client.dispose());
  return client;
}

/** Everything that comes, until it is complete. */
async function results<D>(client: Client, query: string, variables: Variables = {}) {
  const results: ExecutionResult<D, unknown>[] = [];
  for await (const result of client.iterate<D>({ query, variables })) results.push(result);
  return results;
}

function voice(url: string, token: string) {
  const laptop = client(url, token, 'laptop');
  return {
    async ask<D>(query: string, variables: object) {
      const [result] = await results<D>(laptop, query, variables as Variables);
      if (!result?.data) throw result?.errors;
      return result.data;
    },
    isLost: (cause: unknown) => cause instanceof NetworkError && !cause.response,
    follow: <E extends { cursor: string }>(query: string, variables: { after: string; [name: string]: string }) =>
      follow<E>(laptop, query, variables),
    leave: () => laptop.dispose(),
  };
}

converses('graphql-sse', {
  async signIn({ http: url }, { handle, password }) {
    const [signedIn] = await results<LoginMutation>(client(url), LOGIN, { input: { handle, password } });
    return person(voice(url, signedIn!.data!.login.token));
  },
});

races('graphql-sse', ({ http }, { token }) => racer(voice(http, token)));

test('a query and a mutation have one result each', async ({ herald, bob, conversationId }) => {
  const phone = client(herald.http, bob.token);
  expect(await results(phone, `{ viewer { handle } }`)).toEqual([{ data: { viewer: { handle: bob.handle } } }]);
  const [sent, ...more] = await results<SendMutation>(phone, SEND, { input: { conversationId, body: 'hello' } });
  expect(sent?.data?.sendMessage.message).toMatchObject({ body: 'hello', status: 'SENT' });
  expect(more).toEqual([]);
});

test.for([
  ['GRAPHQL_PARSE_FAILED', 'subscription { messageSent {'],
  ['GRAPHQL_VALIDATION_FAILED', 'subscription { weatherChanged { cursor } }'],
] as const)('a document that is wrong has one result, which says %s', async ([code, document], { herald, bob }) => {
  const answer = { errors: [expect.objectContaining({ message: expect.any(String), extensions: { code } })] };
  expect(await results(client(herald.http, bob.token), document)).toEqual([answer]);
});

test('nobody follows what they may not see', async ({ herald, bob, conversationId }) => {
  const after = await bob.cursor();
  const stranger = client(herald.http);
  await expect(follow(stranger, MESSAGE_SENT, { after }).next()).rejects.toMatchObject([
    { extensions: { code: 'UNAUTHENTICATED' } },
  ]);
  await bob.leave(conversationId);
  const former = client(herald.http, bob.token);
  const variables = { after: await bob.cursor(), conversationId };
  await expect(follow(former, MESSAGE_SENT, variables).next()).rejects.toMatchObject([
    { extensions: { code: 'NOT_FOUND' } },
  ]);
});

test('a cursor that this server never gave out is refused', async ({ herald, bob }) => {
  const events = follow(client(herald.http, bob.token), MESSAGE_SENT, { after: 'gibberish' });
  await expect(events.next()).rejects.toMatchObject([{ extensions: { code: 'CURSOR_INVALID' } }]);
});

test('a token that stands for no session is refused, and says why', async ({ herald, bob }) => {
  const after = await bob.cursor();
  const stranger = client(herald.http, 'never-given-out');
  await expect(results(stranger, `{ cursor }`)).rejects.toMatchObject({ response: { status: 401 } });
  await expect(follow(stranger, MESSAGE_SENT, { after }).next()).rejects.toMatchObject([
    { message: expect.stringContaining('Sign in'), extensions: { code: 'UNAUTHENTICATED' } },
  ]);
});

test('a subscriber that resumes gives up when its session has ended', async ({
  herald, alice, bob, conversationId,
}) => {
  const events = follow<MessageSent>(client(herald.http, bob.token), MESSAGE_SENT, { after: await bob.cursor() });
  const { id } = await alice.send(conversationId, 'the last one');
  expect((await events.next()).value).toMatchObject({ message: { id } });

  const further = expect(events.next()).rejects.toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  await bob.logOut();
  await further;
});

test('a subscription to one conversation is complete when its viewer leaves', async ({
  herald, alice, bob, conversationId,
}) => {
  const variables = { after: await bob.cursor(), conversationId };
  const received = results(client(herald.http, bob.token), MESSAGE_SENT, variables);
  const { id } = await alice.send(conversationId, 'goodbye');
  await bob.leave(conversationId);
  expect(await received).toMatchObject([{ data: { messageSent: { message: { id } } } }]);
});

test('the connection that a mutation names is not told, and every other one is', async ({
  herald, alice, bob, conversationId,
}) => {
  const variables = { after: await bob.cursor() };
  const listen = (client: Client) => ({
    sent: new Inbox<MessageSent>(client.iterate({ query: MESSAGE_SENT, variables })),
    changed: new Inbox<StatusChanged>(client.iterate({ query: STATUS_CHANGED, variables })),
  });
  const phone = listen(client(herald.http, bob.token, 'phone'));
  const tablet = listen(client(herald.http, bob.token, 'tablet'));
  const nameless = listen(client(herald.http, bob.token));
  // A name counts within its session: in another it is somebody else's.
  const namesake = listen(client(herald.http, (await bob.signInAgain()).token, 'phone'));

  const question = await alice.send(conversationId, 'question');
  await bob.markRead(question.id, 'phone');
  const answer = await bob.send(conversationId, 'answer', { from: 'phone' });
  await alice.markRead(answer.id);
  const thanks = await alice.send(conversationId, 'thanks');

  for (const { sent, changed } of [tablet, nameless, namesake]) {
    expect((await sent.take(3)).map(({ message }) => message.id)).toEqual([question.id, answer.id, thanks.id]);
    expect((await changed.take(2)).map(({ message }) => message.id)).toEqual([question.id, answer.id]);
  }
  expect((await phone.sent.take(2)).map(({ message }) => message.id)).toEqual([question.id, thanks.id]);
  expect((await phone.changed.next()).message.id).toBe(answer.id);
});

test('a server that is killed or stops costs a subscriber nothing', async ({ herald, alice, bob, conversationId }) => {
  const phone = client(herald.http, bob.token, 'phone');
  const incoming = new Reader(follow<MessageSent>(phone, MESSAGE_SENT, { after: await bob.cursor() }));

  await alice.send(conversationId, 'one');
  await incoming.until(says('one'));
  await herald.kill();
  await herald.start();
  await alice.send(conversationId, 'two');
  await bob.send(conversationId, 'from the phone', { from: 'phone' });
  await alice.send(conversationId, 'three');
  await incoming.until(says('three'));
  expect(await herald.stop()).toBe(0);
  await herald.start();
  await alice.send(conversationId, 'four');

  expect(bodies(await incoming.until(says('four')))).toEqual(['one', 'two', 'three', 'four']);
});

test("the client's own retry goes on as well, if what it repeats carries the newest cursor", async ({
  network, alice, bob, conversationId,
}) => {
  const phone = client(network.http, bob.token, 'phone', { retryAttempts: Infinity, retry: () => pause(50) });
  const incoming = new Reader(followByRetry<MessageSent>(phone, MESSAGE_SENT, { after: await bob.cursor() }));

  await alice.send(conversationId, 'one');
  await incoming.until(says('one'));
  network.cut();
  await alice.send(conversationId, 'two');
  await alice.send(conversationId, 'three');
  network.heal();

  expect(bodies(await incoming.until(says('three')))).toEqual(['one', 'two', 'three']);
});
