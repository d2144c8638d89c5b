/** What urql users rely on: both transports, Graphcache, GET for queries, and a composable that loses nothing. */

import { EventEmitter, once } from 'node:events';

import { Client, type ClientOptions, CombinedError, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { persistedExchange } from '@urql/exchange-persisted';
import urql from '@urql/vue';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createRenderer, watch, type WatchSource } from 'vue';
import WebSocket from 'ws';

import { createHeraldClient, useConversation } from '../../../examples/urql/conversation.ts';
import type { EventsSubscription } from '../../../examples/urql/generated/graphql.ts';
import { Herald } from '../herald.ts';
import { races } from '../race.ts';
import { converses, type Library, type Person, type Seen } from '../scenario.ts';
import { type Status, User } from '../user.ts';
import { graphql } from './generated/gql.ts';
import type { HistoryQuery } from './generated/graphql.ts';

// Browsers have it, and so does Node from version 22 on.
vi.stubGlobal('WebSocket', WebSocket);

type Conversation = ReturnType<typeof useConversation>;
type Event = EventsSubscription['events'];

const LOGIN = graphql(`mutation Login($input: LoginInput!) { login(input: $input) { token } }`);

const HISTORY = graphql(`query History($id: ID!, $size: Int!, $before: String) {
  conversation(id: $id) {
    id
    messages(last: $size, before: $before) { nodes { id body } pageInfo { hasPreviousPage startCursor } }
  }
}`);

const MARK_DELIVERED = graphql(`mutation MarkDelivered($input: MarkInput!) {
  markDelivered(input: $input) { message { id status } }
}`);

const MARK_READ = graphql(`mutation MarkRead($input: MarkInput!) {
  markRead(input: $input) { message { id status } }
}`);

const MESSAGE = graphql(`query MessageById($id: ID!) { message(id: $id) { id status } }`);

const AGAIN = graphql(`query Again($id: ID!) {
  conversation(id: $id) { id messages(last: 50) { nodes { id body status sentAt } } }
}`);

const USER = graphql(`query UserByHandle($handle: String!) { user(handle: $handle) { id handle } }`);

const LEAVE = graphql(`mutation Leave($input: LeaveConversationInput!) {
  leaveConversation(input: $input) { cursor }
}`);

const DETAILS = graphql(`query Details($id: ID!) {
  viewer { id handle }
  conversations(first: 1) { edges { cursor node { id } } pageInfo { hasNextPage } }
  conversation(id: $id) {
    id
    participants { nodes { joinedAt user { id handle } } }
    messages(last: 1) { edges { node { id receipts { nodes { status recipient { id } } } } } }
  }
}`);

/** The two ways in which urql can receive a subscription. */
const TRANSPORTS: [name: string, options: Partial<ClientOptions>][] = [
  ['WebSocket', {}],
  ['server-sent events', { fetchSubscriptions: true }],
];

/** A Vue that draws nowhere: components live, from their setup until they are unmounted. */
const { createApp } = createRenderer<object, object>({
  insert() {},
  remove() {},
  createElement: () => ({}),
  createText: () => ({}),
  createComment: () => ({}),
  setText() {},
  setElementText() {},
  patchProp() {},
  parentNode: () => null,
  nextSibling: () => null,
});

/** A component that does nothing but use a composable: what that returns, and how to end it. */
function mount<T>(client: Client, use: () => T): [used: T, unmount: () => void] {
  const used: T[] = [];
  const app = createApp({
    setup() {
      used.push(use());
      return () => null;
    },
  });
  app.use(urql, client).mount({});
  return [used[0]!, () => app.unmount()];
}

/** Waits until a reactive value satisfies a condition. */
function until<T>(source: WatchSource<T>, isSo: (value: T) => unknown): Promise<T> {
  return new Promise((resolve) => {
    const stop = watch(
      source,
      (value) => {
        if (!isSo(value)) return;
        queueMicrotask(() => stop());
        resolve(value);
      },
      { immediate: true, flush: 'sync' },
    );
  });
}

/** A conversation of Alice and Bob, on a server of its own. */
async function chat() {
  const herald = await Herald.create();
  onTestFinished(() => herald.remove());
  const [alice, bob] = [await User.register(herald, 'alice'), await User.register(herald, 'bob')];
  return { herald, alice, bob, conversationId: await alice.converse(bob) };
}

/** Alice's client with the conversation open in it, and what was told to it. */
function open(client: Client, conversationId: string) {
  const events: Event[] = [];
  const [conversation, close] = mount(client, () => useConversation(conversationId, (event) => events.push(event)));
  onTestFinished(close);
  const bodies = () => conversation.messages.value?.map(({ body }) => body);
  /** Waits until the list shows a message. */
  const shows = (body: string) => until(conversation.messages, () => bodies()?.includes(body));
  return { conversation, events, bodies, shows, close };
}

/** What a client asks for over HTTP, and a way to meddle with the answers. */
class Requests {
  readonly all: { url: URL; method: string; headers: Record<string, string>; body: Record<string, unknown> }[] = [];
  readonly fetch: typeof fetch;

  constructor(meddle: (name: unknown, response: Response) => Response | Promise<Response> = (_, response) => response) {
    this.fetch = async (input, { method = 'GET', headers, body, ...rest } = {}) => {
      const request = {
        url: new URL(String(input)),
        method,
        headers: headers as Record<string, string>,
        body: JSON.parse(String(body ?? '{}')) as Record<string, unknown>,
      };
      this.all.push(request);
      const response = await fetch(input, { method, headers, body, ...rest } as RequestInit);
      return meddle(request.url.searchParams.get('operationName') ?? request.body['operationName'], response);
    };
  }

  /** Those that carry out an operation, or attempt to. */
  of(operationName: string) {
    return this.all.filter(
      ({ url, body }) => (url.searchParams.get('operationName') ?? body['operationName']) === operationName,
    );
  }
}

/** The result of an operation that must succeed. */
async function expectData<D>(result: PromiseLike<{ data?: D; error?: Error }>): Promise<D> {
  const { data, error } = await result;
  if (!data) throw error;
  return data;
}

/** The example, as somebody who chats. */
function chatting(options: Partial<ClientOptions>): Library {
  return {
    async signIn(network, { handle, password }): Promise<Person> {
      const anyone = new Client({ url: network.http, exchanges: [fetchExchange] });
      const { login } = await expectData(anyone.mutation(LOGIN, { input: { handle, password } }));
      const client = createHeraldClient(network.http, login.token, options);
      let conversation: Conversation;
      let unmount = () => {};
      return {
        async history(id, size) {
          const bodies: string[] = [];
          for (let before: string | null | undefined; ; ) {
            const data = await expectData(client.query(HISTORY, { id, size, before: before ?? null }));
            const { nodes, pageInfo } = data.conversation!.messages;
            bodies.unshift(...nodes.map(({ body }) => body));
            if (!pageInfo.hasPreviousPage) return bodies;
            before = pageInfo.startCursor;
          }
        },
        async follow(id, see) {
          [conversation, unmount] = mount(client, () => useConversation(id, (event) => tell(event, see)));
          await until(conversation.messages, Boolean);
        },
        send: async (_id, body) => sendForSure(conversation, body),
        async markDelivered(messageId) {
          const data = await expectData(client.mutation(MARK_DELIVERED, { input: { messageId } }));
          return data.markDelivered.message.status;
        },
        async markRead(messageId) {
          const data = await expectData(client.mutation(MARK_READ, { input: { messageId } }));
          return data.markRead.message.status;
        },
        leave: () => unmount(),
      };
    },
  };
}

function tell(event: Event, see: (seen: Seen) => void): void {
  if (event.__typename === 'MessageSent') see({ said: event.message.body });
  if (event.__typename === 'StatusChanged') see({ status: event.status, messageId: event.message.id });
}

/** Sends, again with the same key where the network swallowed the answer. */
async function sendForSure({ send }: Conversation, body: string): Promise<{ id: string; status: Status }> {
  const key = crypto.randomUUID();
  for (;;) {
    const { data, error } = await send(body, key);
    if (data) return data.sendMessage.message;
    if (!error?.networkError) throw error;
  }
}

for (const [transport, options] of TRANSPORTS) converses(`urql over ${transport}`, chatting(options));

for (const [transport, options] of TRANSPORTS) {
  races(`urql over ${transport}`, (network, user) => {
    const client = createHeraldClient(network.http, user.token, options);
    const open = new Map<string, [conversation: Conversation, close: () => void]>();
    return {
      async open(id) {
        const [conversation, close] = mount(client, () => useConversation(id));
        open.set(id, [conversation, close]);
        await until(conversation.messages, Boolean);
      },
      close: (id) => open.get(id)![1](),
      refetch: (id) => expectData(client.query(AGAIN, { id }, { requestPolicy: 'network-only' })),
      send: (id, body) => expectData(open.get(id)![0].send(body)),
      markDelivered: (messageId) => expectData(client.mutation(MARK_DELIVERED, { input: { messageId } })),
      shown: (id) => open.get(id)![0].messages.value ?? [],
      leave: () => open.forEach(([, close]) => close()),
    };
  });
}

test.each([true, 'within-url-limit'] as const)('queries go by GET, mutations by POST: %s', async (preferGetMethod) => {
  const { herald, alice, bob, conversationId } = await chat();
  const requests = new Requests();
  const client = new Client({
    url: herald.http,
    preferGetMethod,
    fetch: requests.fetch,
    fetchOptions: { headers: { authorization: `Bearer ${alice.token}` } },
    exchanges: [fetchExchange],
  });

  const { user } = await expectData(client.query(USER, { handle: bob.handle }));
  expect(user?.handle).toBe(bob.handle);
  // What needs escaping in a URL arrives as it was.
  expect((await client.query(USER, { handle: 'a+b&c=%20 ü#?' })).data).toEqual({ user: null });
  await expectData(client.mutation(LEAVE, { input: { conversationId } }));

  const [query, escaped, mutation] = requests.all;
  expect(query!.method).toBe('GET');
  expect(Object.fromEntries(query!.url.searchParams)).toEqual({
    operationName: 'UserByHandle',
    query: expect.stringContaining('query UserByHandle'),
    variables: JSON.stringify({ handle: bob.handle }),
  });
  expect(escaped!.method).toBe('GET');
  expect(mutation).toMatchObject({ method: 'POST', body: { operationName: 'Leave' } });
  expect(requests.all).toHaveLength(3);
});

test('a query that is too long for a URL goes by POST', async () => {
  const { herald, alice } = await chat();
  const requests = new Requests();
  const client = new Client({
    url: herald.http,
    fetch: requests.fetch,
    fetchOptions: { headers: { authorization: `Bearer ${alice.token}` } },
    exchanges: [fetchExchange],
  });
  expect(await expectData(client.query(USER, { handle: 'x'.repeat(2_048) }))).toEqual({ user: null });
  expect(requests.all).toMatchObject([{ method: 'POST', body: { operationName: 'UserByHandle' } }]);
});

test('a refusal has its code', async () => {
  const { herald, alice, conversationId } = await chat();
  const client = createHeraldClient(herald.http, alice.token);
  const own = await alice.send(conversationId, 'mine');

  const { data, error } = await client.mutation(MARK_READ, { input: { messageId: own.id } });
  expect(data).toBeFalsy();
  expect(error).toBeInstanceOf(CombinedError);
  expect(error?.networkError).toBeUndefined();
  expect(error?.graphQLErrors.map(({ extensions, path }) => [extensions['code'], path])).toEqual([
    ['SENDER_CANNOT_MARK', ['markRead']],
  ]);
});

test('persisted queries are registered once, and then asked for by their hash, by GET', async () => {
  const { herald, bob } = await chat();
  const ask = async () => {
    const requests = new Requests();
    const client = new Client({
      url: herald.http,
      fetch: requests.fetch,
      fetchOptions: { headers: { authorization: `Bearer ${bob.token}` } },
      exchanges: [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange],
    });
    const { user } = await expectData(client.query(USER, { handle: bob.handle }));
    expect(user?.handle).toBe(bob.handle);
    expect(requests.all.every(({ method }) => method === 'GET')).toBe(true);
    const persisted = requests.all.map(({ url }) => JSON.parse(url.searchParams.get('extensions')!).persistedQuery);
    expect(persisted).toEqual(persisted.map(() => expect.objectContaining({ sha256Hash: persisted[0].sha256Hash })));
    return requests.all.map(({ url }) => url.searchParams.has('query'));
  };
  expect(await ask()).toEqual([false, true]);
  // Another client: it is the server that remembers.
  expect(await ask()).toEqual([false]);
});

test("relayPagination joins pages, and Graphcache has nothing to complain of in herald's types", async () => {
  const { herald, alice, bob, conversationId } = await chat();
  const bodies = [...Array(7).keys()].map((n) => `message ${n + 1}`);
  for (const body of bodies) await bob.send(conversationId, body);
  const complaints: string[] = [];
  const client = new Client({
    url: herald.http,
    fetchOptions: { headers: { authorization: `Bearer ${alice.token}` } },
    exchanges: [
      cacheExchange({
        keys: { Participant: () => null, Receipt: () => null },
        resolvers: { Conversation: { messages: relayPagination() } },
        logger: (severity, message) => severity !== 'debug' && complaints.push(message),
      }),
      fetchExchange,
    ],
  });

  let before: string | null = null;
  for (const shown of [3, 6, 7]) {
    const data: HistoryQuery = await expectData(client.query(HISTORY, { id: conversationId, size: 3, before }));
    const { nodes, pageInfo } = data.conversation!.messages;
    expect(nodes.map(({ body }) => body)).toEqual(bodies.slice(-shown));
    expect(pageInfo.hasPreviousPage).toBe(shown < 7);
    before = pageInfo.startCursor ?? null;
  }

  const details = await expectData(client.query(DETAILS, { id: conversationId }));
  expect(details.conversation?.participants.nodes.map(({ user }) => user.handle)).toEqual([alice.handle, bob.handle]);
  expect(complaints).toEqual([]);
});

describe.each(TRANSPORTS)('a conversation over %s', (_transport, options) => {
  test('Graphcache shows what comes, and asks for nothing', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const question = await alice.send(conversationId, 'question');
    const requests = new Requests();
    const client = createHeraldClient(herald.http, alice.token, { ...options, fetch: requests.fetch });
    const { conversation, shows } = open(client, conversationId);
    const statuses: (Status | undefined)[] = [];
    const seen = new EventEmitter();
    const { unsubscribe } = client.query(MESSAGE, { id: question.id }).subscribe(({ data }) => {
      const status = data?.message?.status;
      // Graphcache shows a query again, too, when another one has brought the same.
      if (status !== statuses.at(-1)) statuses.push(status);
      seen.emit('status');
    });
    onTestFinished(unsubscribe);
    await Promise.all([once(seen, 'status'), until(conversation.messages, Boolean)]);
    // This comes by the subscription, so that is under way.
    await bob.send(conversationId, 'answer');
    await shows('answer');

    const before = requests.all.length;
    await bob.markDelivered(question.id);
    await until(conversation.messages, (messages) => messages?.[0]?.status === 'DELIVERED');
    await bob.markRead(question.id);
    await until(conversation.messages, (messages) => messages?.[0]?.status === 'READ');
    expect(statuses).toEqual(['SENT', 'DELIVERED', 'READ']);
    expect(requests.all).toHaveLength(before);
    expect(requests.of('Snapshot')).toHaveLength(1);
    expect(requests.of('MessageById')).toHaveLength(1);
    expect(requests.of('Events')).toHaveLength(options.fetchSubscriptions ? 1 : 0);
  });

  test('an answer that events have overtaken takes nothing back', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const under = new EventEmitter();
    const requests = new Requests(async (name, response) => {
      if (name !== 'Send') return response;
      const released = once(under, 'release');
      under.emit('way');
      await released;
      return response;
    });
    const client = createHeraldClient(herald.http, alice.token, { ...options, fetch: requests.fetch });
    const { conversation, bodies, shows } = open(client, conversationId);
    await until(conversation.messages, Boolean);

    const way = once(under, 'way');
    const answer = conversation.send('question');
    await way;
    const [question] = await bob.messages(conversationId);
    await bob.markRead(question!.id);
    await bob.send(conversationId, 'reply');
    await shows('reply');
    expect(bodies()).toEqual(['reply']);
    under.emit('release');
    expect((await answer).data?.sendMessage.message.status).toBe('READ');

    await shows('question');
    expect(conversation.messages.value?.map(({ body, status }) => [body, status])).toEqual([
      ['question', 'READ'],
      ['reply', 'SENT'],
    ]);
  });

  test('a client is not told what it did; nobody else can have that left out', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const requests = new Requests();
    const client = createHeraldClient(herald.http, alice.token, { ...options, fetch: requests.fetch });
    const { conversation, events, shows, bodies } = open(client, conversationId);
    await until(conversation.messages, Boolean);
    const connectionId = requests.all[0]!.headers['x-connection-id']!;

    await sendForSure(conversation, 'from here');
    await alice.send(conversationId, 'from another connection of this session', { from: 'another' });
    const elsewhere = await alice.signInAgain();
    await elsewhere.send(conversationId, 'from another session', { from: connectionId });
    await bob.send(conversationId, 'from somebody else', { from: connectionId });
    await shows('from somebody else');

    const told = events.map((event) => event.__typename === 'MessageSent' && event.message.body);
    expect(told).toEqual(['from another connection of this session', 'from another session', 'from somebody else']);
    expect(bodies()).toEqual(['from here', ...told]);
  });

  test('a server that is killed or stopped, and started again, costs nothing', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const client = createHeraldClient(herald.http, alice.token, options);
    const { conversation, events, shows } = open(client, conversationId);
    await until(conversation.messages, Boolean);
    const sendEach = async (first: number, last: number) => {
      for (let n = first; n <= last; n++) await sayForSure(herald, bob, conversationId, `message ${n}`);
    };

    await sendEach(1, 20);
    await shows('message 20');
    const question = await sendForSure(conversation, 'question');
    for (const [end, first] of [['kill', 21], ['stop', 61], ['kill', 101]] as const) {
      const burst = sendEach(first, first + 39);
      await shows(`message ${first + 9}`);
      await herald[end]();
      await herald.start();
      await burst;
    }
    await bob.markRead(question.id);
    await sayForSure(herald, bob, conversationId, 'the end');
    await shows('the end');

    const everything = await alice.messages(conversationId);
    expect(conversation.messages.value).toMatchObject(everything.map(({ id, body, status }) => ({ id, body, status })));
    const told = events.flatMap((event) => (event.__typename === 'MessageSent' ? event.message.id : []));
    expect(told).toEqual(everything.filter(({ id }) => id !== question.id).map(({ id }) => id));
    expect(events.filter(({ __typename }) => __typename === 'StatusChanged')).toHaveLength(1);
  });

  test('what the snapshot shows and an event brings again is there once', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const { cursor } = await alice.request<{ cursor: string }>('{ cursor }');
    await bob.send(conversationId, 'hello');
    // As if the message had come about between the snapshot's cursor and its messages.
    const requests = new Requests(async (name, response) => {
      if (name !== 'Snapshot') return response;
      const { data } = (await response.json()) as { data: object };
      return Response.json({ data: { ...data, cursor } });
    });
    const client = createHeraldClient(herald.http, alice.token, { ...options, fetch: requests.fetch });
    const { events, shows, bodies } = open(client, conversationId);

    await shows('hello');
    await bob.send(conversationId, 'later');
    await shows('later');
    expect(events).toMatchObject([{ message: { body: 'hello' } }, { message: { body: 'later' } }]);
    expect(bodies()).toEqual(['hello', 'later']);
  });

  test('a cursor that is refused is replaced by a new snapshot', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    let isFirst = true;
    const requests = new Requests(async (name, response) => {
      if (name !== 'Snapshot' || !isFirst) return response;
      isFirst = false;
      const { data } = (await response.json()) as { data: object };
      await bob.send(conversationId, 'between the snapshots');
      return Response.json({ data: { ...data, cursor: 'made up' } });
    });
    const client = createHeraldClient(herald.http, alice.token, { ...options, fetch: requests.fetch });
    const { conversation, events, shows, bodies } = open(client, conversationId);

    await shows('between the snapshots');
    await bob.send(conversationId, 'later');
    await shows('later');
    expect(bodies()).toEqual(['between the snapshots', 'later']);
    expect(events).toMatchObject([{ message: { body: 'later' } }]);
    expect(requests.of('Snapshot')).toHaveLength(2);
    expect(conversation.failure.value).toBeUndefined();
  });

  test('it ends when the conversation is left', async () => {
    const { herald, alice, conversationId } = await chat();
    const client = createHeraldClient(herald.http, alice.token, options);
    const { conversation, events } = open(client, conversationId);
    await until(conversation.messages, Boolean);

    const elsewhere = createHeraldClient(herald.http, alice.token);
    await expectData(elsewhere.mutation(LEAVE, { input: { conversationId } }));
    const failure = await until(conversation.failure, Boolean);
    expect(failure?.graphQLErrors[0]?.extensions['code']).toBe('NOT_FOUND');
    expect(events.map(({ __typename }) => __typename)).toEqual(['ParticipantLeft']);
  });

  test('it ends with the session', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const client = createHeraldClient(herald.http, alice.token, options);
    const { conversation, shows } = open(client, conversationId);
    await until(conversation.messages, Boolean);
    await bob.send(conversationId, 'hello');
    await shows('hello');

    await alice.logOut();
    const { graphQLErrors, networkError } = (await until(conversation.failure, Boolean))!;
    const code = graphQLErrors[0]?.extensions['code'] ?? (networkError as { code?: number }).code;
    expect(code).toBe(options.fetchSubscriptions ? 'UNAUTHENTICATED' : 4403);
  });

  test('it ends with its component, and with no other', async () => {
    const { herald, alice, bob, conversationId } = await chat();
    const client = createHeraldClient(herald.http, alice.token, options);
    const [one, two] = [open(client, conversationId), open(client, conversationId)];
    await Promise.all([one, two].map(({ conversation }) => until(conversation.messages, Boolean)));
    await bob.send(conversationId, 'hello');
    await Promise.all([one.shows('hello'), two.shows('hello')]);
    one.close();
    // Either may have had it from its snapshot: both show what the cache has, which they share.
    const had = one.events.length;
    await bob.send(conversationId, 'goodbye');
    await two.shows('goodbye');
    expect(one.events.length).toBe(had);
    expect(two.events.at(-1)).toMatchObject({ message: { body: 'goodbye' } });
  });
});

test('what one conversation has of a new epoch stays when another one is told of it later', async () => {
  const { herald, alice, bob, conversationId: early } = await chat();
  const late = await alice.converse(bob);
  const streams = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
  const requests = new Requests();
  const client = createHeraldClient(herald.http, alice.token, {
    fetchSubscriptions: true,
    async fetch(input, init) {
      const { operationName, variables } = JSON.parse(String(init?.body ?? '{}'));
      if (operationName !== 'Events' || streams.has(variables.id)) return requests.fetch(input, init);
      // The first streams of both are the test's own.
      const body = new ReadableStream({ start: (stream) => void streams.set(variables.id, stream) });
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    },
  });
  const expire = (id: string) => {
    const result = { errors: [{ message: 'expired', extensions: { code: 'CURSOR_EXPIRED' } }] };
    streams.get(id)!.enqueue(Buffer.from(`event: next\ndata: ${JSON.stringify(result)}\n\nevent: complete\n\n`));
    streams.get(id)!.close();
  };
  const [one, two] = [open(client, early), open(client, late)];
  await vi.waitUntil(() => streams.size === 2);

  expire(early);
  await vi.waitUntil(() => requests.of('Events').length === 1);
  const question = await sendForSure(one.conversation, 'question');
  await bob.markRead(question.id);
  await until(one.conversation.messages, (messages) => messages?.[0]?.status === 'READ');
  expire(late);
  await vi.waitUntil(() => requests.of('Events').length === 2);
  await bob.send(late, 'hello');
  await two.shows('hello');
  await bob.send(early, 'answer');
  await one.shows('answer');

  expect(one.conversation.messages.value).toMatchObject([{ body: 'question', status: 'READ' }, { body: 'answer' }]);
});

/** Has somebody say something to a server that may be down for a moment. */
async function sayForSure(herald: Herald, user: User, conversationId: string, body: string): Promise<void> {
  for (;;) {
    try {
      return void (await user.send(conversationId, body, { idempotencyKey: body }));
    } catch (cause) {
      // What `fetch` throws when there was no answer. Anything else is one.
      if (!(cause instanceof TypeError)) throw cause;
      await herald.ready();
    }
  }
}
