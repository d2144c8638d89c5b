/** Apollo Client, with the code that herald's documentation shows: over WebSocket, and over multipart HTTP. */

import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { CombinedGraphQLErrors, ServerError } from '@apollo/client/errors';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { createHash } from 'node:crypto';
import {
  filter, firstValueFrom, lastValueFrom, map, type Observable, share, shareReplay, Subscription, takeWhile, toArray,
} from 'rxjs';
import { describe, expect, onTestFinished, vi } from 'vitest';
import WebSocket from 'ws';

import { CONVERSATION, connect, follow, show, snapshot } from '../../../examples/apollo/conversation.ts';
import type { EventsSubscription } from '../../../examples/apollo/generated/graphql.ts';
import { test as base } from '../fixtures.ts';
import { Herald } from '../herald.ts';
import { races } from '../race.ts';
import { converses, type Library, type Person } from '../scenario.ts';
import { User } from '../user.ts';
import { graphql } from './generated/gql.ts';

// Browsers have it, and Node from 22 on. Apollo Client looks for it even where graphql-ws was given another.
vi.stubGlobal('WebSocket', WebSocket);

const LOGIN = graphql(`
  mutation Login($input: LoginInput!) { login(input: $input) { token } }
`);

const SEND = graphql(`
  mutation Send($id: ID!, $body: String!) {
    sendMessage(input: { conversationId: $id, body: $body }) {
      message { id body sentAt status deliveredCount readCount sender { id handle } }
    }
  }
`);

const MARK_DELIVERED = graphql(`
  mutation MarkDelivered($messageId: ID!) {
    markDelivered(input: { messageId: $messageId }) { message { id status deliveredCount readCount } }
  }
`);

const MARK_READ = graphql(`
  mutation MarkRead($messageId: ID!) {
    markRead(input: { messageId: $messageId }) { message { id status deliveredCount readCount } }
  }
`);

const STATUS_CHANGED = graphql(`
  subscription StatusChanged($id: ID!, $after: Cursor) {
    statusChanged(conversationId: $id, after: $after) { cursor messages { id status } }
  }
`);

const TRANSPORTS = ['WebSocket', 'multipart HTTP'] as const;
type Transport = (typeof TRANSPORTS)[number];

/** The documented client. */
function client(
  transport: Transport,
  { http, socket }: { http: string; socket: string },
  { token }: { token: string },
  connectionId = 'laptop',
): ApolloClient {
  return connect({ http, token, connectionId, ...(transport === 'WebSocket' && { socket }) });
}

/** Herald does not tell a client what it did itself: it takes its own messages from the answer. */
async function send(client: ApolloClient, id: string, body: string) {
  const { data } = await client.mutate({
    mutation: SEND,
    variables: { id, body },
    update: (cache, { data }) => data && show(cache, id, data.sendMessage.message),
  });
  return data!.sendMessage.message;
}

/** What the cache has of a conversation. */
function messages(client: ApolloClient, id: string) {
  const data = client.readQuery({ query: CONVERSATION, variables: { id } });
  return data!.conversation!.messages;
}

function bodies(client: ApolloClient, id: string): string[] {
  return messages(client, id).edges.map(({ node }) => node.body);
}

/** What a page that shows the conversation gets from the cache, now and whenever it changes. */
function shown(client: ApolloClient, id: string) {
  return client.watchQuery({ query: CONVERSATION, variables: { id }, fetchPolicy: 'cache-only' }).pipe(
    filter(({ dataState }) => dataState === 'complete'),
    map(() => messages(client, id)),
    shareReplay(1),
  );
}

/** What is said, until this is. */
function said(last: string, events: Observable<EventsSubscription['events']>): Promise<string[]> {
  return firstValueFrom(
    events.pipe(
      map((event) => (event.__typename === 'MessageSent' ? event.message.body : undefined)),
      filter((body) => body !== undefined),
      takeWhile((body) => body !== last, true),
      toArray(),
    ),
  );
}

/** How herald refuses: the code, or how the socket was closed. */
async function refusal(answer: Promise<unknown>): Promise<unknown> {
  const error = await answer.then(() => undefined, (error: unknown) => error);
  if (CombinedGraphQLErrors.is(error)) return error.errors[0]?.extensions?.code;
  if (ServerError.is(error)) return JSON.parse(error.bodyText).errors[0].extensions.code;
  return /^Error: (Socket closed with event \d+)/.exec(String(error))?.[1];
}

function over(transport: Transport): Library {
  return {
    async signIn(network, { handle, password }) {
      const anonymous = new ApolloClient({ link: new HttpLink({ uri: network.http }), cache: new InMemoryCache() });
      const { data } = await anonymous.mutate({ mutation: LOGIN, variables: { input: { handle, password } } });
      return person(client(transport, network, data!.login));
    },
  };
}

function person(client: ApolloClient): Person {
  const open = new Subscription();
  return {
    async history(id, size) {
      const query = client.watchQuery({ query: CONVERSATION, variables: { id, last: size } });
      const shown = query.subscribe(() => {});
      await firstValueFrom(query.pipe(filter(({ loading }) => !loading)));
      for (let at = messages(client, id).pageInfo; at.hasPreviousPage; at = messages(client, id).pageInfo) {
        await query.fetchMore({ variables: { before: at.startCursor } });
      }
      shown.unsubscribe();
      return bodies(client, id);
    },
    send: (id, body) => send(client, id, body),
    async markDelivered(messageId) {
      const { data } = await client.mutate({ mutation: MARK_DELIVERED, variables: { messageId } });
      return data!.markDelivered.message.status;
    },
    async markRead(messageId) {
      const { data } = await client.mutate({ mutation: MARK_READ, variables: { messageId } });
      return data!.markRead.message.status;
    },
    async follow(id, see) {
      const events = follow(client, id, await snapshot(client, id));
      open.add(
        events.subscribe((event) => {
          if (event.__typename === 'MessageSent') see({ said: event.message.body });
          if (event.__typename === 'StatusChanged') see({ status: event.status, messageId: event.messages[0]!.id });
        }),
      );
    },
    leave: () => open.unsubscribe(),
  };
}

for (const transport of TRANSPORTS) converses(`Apollo Client over ${transport}`, over(transport));

for (const transport of TRANSPORTS) {
  races(`Apollo Client over ${transport}`, (network, user) => {
    const apollo = client(transport, network, user);
    const page = (id: string) => apollo.watchQuery({ query: CONVERSATION, variables: { id } });
    const open = new Map<string, Subscription>();
    return {
      async open(id) {
        open.set(id, follow(apollo, id, await snapshot(apollo, id)).subscribe());
      },
      close: (id) => open.get(id)!.unsubscribe(),
      refetch: (id) => page(id).refetch(),
      readBack: (id) => page(id).fetchMore({ variables: { before: messages(apollo, id).pageInfo.startCursor } }),
      send: (id, body) => send(apollo, id, body),
      markDelivered: (messageId) => apollo.mutate({ mutation: MARK_DELIVERED, variables: { messageId } }),
      shown(id) {
        const data = apollo.readQuery({ query: CONVERSATION, variables: { id } });
        return data?.conversation?.messages.edges.map(({ node }) => node) ?? [];
      },
      leave: () => open.forEach((events) => events.unsubscribe()),
    };
  });
}

describe.each(TRANSPORTS)('over %s', (transport) => {
  const test = base.extend('apollo', ({ herald, alice }) => client(transport, herald, alice));
  const unauthenticated = transport === 'WebSocket' ? 'Socket closed with event 4403' : 'UNAUTHENTICATED';

  test('a status shows where the message does, and nobody wrote it there', async ({
    apollo, alice, bob, conversationId: id,
  }) => {
    const asked: unknown[] = [];
    const ear = new ApolloLink((operation, forward) => {
      asked.push(operation.operationName);
      return forward(operation);
    });
    apollo.setLink(ear.concat(apollo.link));
    const message = await alice.send(id, 'Tea at four?');
    const after = await snapshot(apollo, id);

    const events = apollo.subscribe({ query: STATUS_CHANGED, variables: { id, after } }).subscribe(() => {});
    onTestFinished(() => events.unsubscribe());
    const statuses = shown(apollo, id).pipe(map(({ edges }) => edges[0]?.node.status));
    expect(await firstValueFrom(statuses)).toBe('SENT');
    await bob.markDelivered(message.id);
    await firstValueFrom(statuses.pipe(filter((status) => status === 'DELIVERED')));
    await bob.markRead(message.id);
    await firstValueFrom(statuses.pipe(filter((status) => status === 'READ')));

    expect(asked).toEqual(['Conversation', 'StatusChanged']);
  });

  // That is, before a sign of life comes, which would end the event's part if nothing else did.
  test('an event is there before anything follows it', { timeout: 10_000 }, async ({
    apollo, bob, conversationId: id,
  }) => {
    const event = firstValueFrom(follow(apollo, id, await snapshot(apollo, id)));
    await bob.send(id, 'anybody there?');
    expect(await event).toMatchObject({ message: { body: 'anybody there?' } });
    expect(bodies(apollo, id)).toEqual(['anybody there?']);
  });

  test('what a client says, another of the same user is told, and it is not', async ({
    herald, alice, bob, conversationId: id,
  }) => {
    const [laptop, phone] = [client(transport, herald, alice, 'laptop'), client(transport, herald, alice, 'phone')];
    const toldLaptop = said('the end', follow(laptop, id, await snapshot(laptop, id)));
    const toldPhone = said('the end', follow(phone, id, await snapshot(phone, id)));

    await send(laptop, id, 'from the laptop');
    await bob.send(id, 'the end');

    expect(await toldLaptop).toEqual(['the end']);
    expect(await toldPhone).toEqual(['from the laptop', 'the end']);
    expect(bodies(laptop, id)).toEqual(['from the laptop', 'the end']);
    expect(bodies(phone, id)).toEqual(['from the laptop', 'the end']);
  });

  test('whoever comes second is told everything, too', async ({ apollo, bob, conversationId: id }) => {
    const after = await snapshot(apollo, id);
    const first = follow(apollo, id, after).pipe(share());
    const toldFirst = said('two', first);
    const heard = said('one', first);
    await bob.send(id, 'one');
    await heard;
    const toldSecond = said('two', follow(apollo, id, after));
    await bob.send(id, 'two');
    expect(await Promise.all([toldFirst, toldSecond])).toEqual([['one', 'two'], ['one', 'two']]);
  });

  test('what is told late shows where it belongs, and what a snapshot had shows once', async ({
    herald, apollo, bob, conversationId: id,
  }) => {
    const cursor = await snapshot(apollo, id);
    const early = await send(client(transport, herald, bob), id, 'early');
    // Their times, which are in milliseconds, are to differ.
    await vi.waitUntil(() => Date.now() > Date.parse(early.sentAt));
    await send(apollo, id, 'late');
    const told = said('the end', follow(apollo, id, cursor));
    await bob.send(id, 'the end');
    expect(await told).toEqual(['early', 'the end']);
    expect(bodies(apollo, id)).toEqual(['early', 'late', 'the end']);

    await snapshot(apollo, id);
    expect(await said('the end', follow(apollo, id, cursor))).toEqual(['early', 'the end']);
    expect(bodies(apollo, id)).toEqual(['early', 'late', 'the end']);
  });

  test.for(['kill', 'stop'] as const)('a server that ended (%s) and started again is followed on', async (end, {
    herald, apollo, bob, conversationId: id,
  }) => {
    const events = follow(apollo, id, await snapshot(apollo, id)).pipe(share());
    const all = said('after', events);
    const before = said('before', events);
    await bob.send(id, 'before');
    await before;

    await herald[end]();
    await herald.start();
    await bob.send(id, 'meanwhile');
    await bob.send(id, 'after');

    expect(await all).toEqual(['before', 'meanwhile', 'after']);
    expect(bodies(apollo, id)).toEqual(['before', 'meanwhile', 'after']);
  });

  test.for(['CURSOR_INVALID', 'CURSOR_EXPIRED'])('a cursor of no use (%s) costs a new snapshot', async (code, {
    apollo, bob, conversationId: id,
  }) => {
    const after = code === 'CURSOR_INVALID' ? 'mangled' : await elsewhere();
    const refused = firstValueFrom(apollo.subscribe({ query: STATUS_CHANGED, variables: { id, after } }));
    expect(await refusal(refused.then(({ error }) => Promise.reject(error)))).toBe(code);

    await bob.send(id, 'missed');
    const told = said('the end', follow(apollo, id, after));
    await firstValueFrom(shown(apollo, id));
    await bob.send(id, 'the end');
    expect(await told).toEqual(['the end']);
    expect(bodies(apollo, id)).toEqual(['missed', 'the end']);
  });

  test('a conversation that one takes no part in is not asked for again', async ({ herald, apollo, bob }) => {
    const id = await bob.converse(await User.register(herald, 'carol'));
    expect(await refusal(lastValueFrom(follow(apollo, id)))).toBe('NOT_FOUND');
  });

  test('nobody is followed without being signed in', async ({ herald, alice, conversationId: id }) => {
    const apollo = client(transport, herald, { token: 'never-given-out' });
    expect(await refusal(snapshot(apollo, id))).toBe('UNAUTHENTICATED');
    const { cursor } = await alice.request<{ cursor: string }>('{ cursor }');
    expect(await refusal(lastValueFrom(follow(apollo, id, cursor)))).toBe(unauthenticated);
  });

  test('the session ends, and it does', async ({ herald, alice, bob, conversationId: id }) => {
    const session = await alice.signInAgain();
    const apollo = client(transport, herald, session);
    const events = follow(apollo, id, await snapshot(apollo, id)).pipe(share());
    const end = refusal(lastValueFrom(events));
    const here = said('here', events);
    await bob.send(id, 'here');
    await here;
    await session.logOut();
    expect(await end).toBe(unauthenticated);
  });

  test('the viewer leaves, and it is complete', async ({ apollo, alice, conversationId: id }) => {
    const events = lastValueFrom(follow(apollo, id, await snapshot(apollo, id)).pipe(toArray()));
    await alice.request(
      `mutation Leave($id: ID!) { leaveConversation(input: { conversationId: $id }) { cursor } }`,
      { id },
    );
    expect(await events).toMatchObject([{ __typename: 'ParticipantLeft' }]);
  });
});

/** A cursor of another database. */
async function elsewhere(): Promise<string> {
  const herald = await Herald.create();
  onTestFinished(() => herald.remove());
  const alice = await User.register(herald, 'alice');
  return (await alice.request<{ cursor: string }>('{ cursor }')).cursor;
}

base('a refusal has its code', async ({ herald, alice, conversationId: id }) => {
  const apollo = client('WebSocket', herald, alice);
  const { id: messageId } = await send(apollo, id, 'mine');
  const marked = apollo.mutate({ mutation: MARK_READ, variables: { messageId } });
  expect(await refusal(marked)).toBe('SENDER_CANNOT_MARK');
});

base('a mark that is shown ahead, and then refused, leaves nothing behind', async ({
  herald, alice, conversationId: id,
}) => {
  const apollo = client('WebSocket', herald, alice);
  await snapshot(apollo, id);
  const { id: messageId } = await send(apollo, id, 'mine');
  const statuses: unknown[] = [];
  const page = apollo.watchQuery({ query: CONVERSATION, variables: { id }, fetchPolicy: 'cache-only' });
  const watched = page.subscribe(({ data }) => statuses.push(data?.conversation?.messages?.edges?.[0]?.node?.status));
  onTestFinished(() => watched.unsubscribe());
  const message = { __typename: 'Message' as const, id: messageId, status: 'READ' as const, deliveredCount: 1, readCount: 1 };
  const marked = apollo.mutate({
    mutation: MARK_READ,
    variables: { messageId },
    optimisticResponse: { markRead: { __typename: 'MarkPayload', message } },
  });
  expect(await refusal(marked)).toBe('SENDER_CANNOT_MARK');
  await vi.waitUntil(() => statuses.at(-1) === 'SENT');
  expect(statuses).toEqual(['SENT', 'READ', 'SENT']);
});

base('with a socket alone everything goes over it, and it is not told what it did', async ({
  herald, alice, bob, conversationId: id,
}) => {
  const apollo = client('WebSocket', herald, alice);
  const connectionParams = { authorization: `Bearer ${alice.token}` };
  apollo.setLink(new GraphQLWsLink(createClient({ url: herald.socket, connectionParams })));
  const told = said('answer', follow(apollo, id, await snapshot(apollo, id)));
  await send(apollo, id, 'question');
  await bob.send(id, 'answer');
  expect(await told).toEqual(['answer']);
  expect(bodies(apollo, id)).toEqual(['question', 'answer']);
});

describe.each([
  { by: 'POST', useGETForHashedQueries: false },
  { by: 'GET', useGETForHashedQueries: true },
])('persisted queries by $by', ({ by, useGETForHashedQueries }) => {
  const test = base
    .extend('requests', () => new Array<string>())
    .extend('apollo', ({ herald, alice, requests }) => {
      const http = new HttpLink({
        uri: herald.http,
        headers: { authorization: `Bearer ${alice.token}` },
        fetch(uri, options) {
          const { body, method } = options!;
          const isWhole = body ? 'query' in JSON.parse(String(body)) : new URL(String(uri)).searchParams.has('query');
          requests.push(`${method} ${isWhole ? 'text' : 'hash'}`);
          return fetch(uri, options);
        },
      });
      const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
      const hashes = new PersistedQueryLink({ sha256, useGETForHashedQueries });
      return new ApolloClient({ link: hashes.concat(http), cache: new InMemoryCache() });
    });
  // The server is the same for all tests, so what it has not seen yet has a name of its own.
  const expected = [`${by} hash`, 'POST text', `${by} hash`];

  test('the text of a query is sent once', async ({ apollo, alice, requests }) => {
    const query = gql(`query ViewerBy${by} { viewer { handle } }`);
    for (const _ of ['first', 'second']) {
      const { data } = await apollo.query({ query, fetchPolicy: 'network-only' });
      expect(data).toMatchObject({ viewer: { handle: alice.handle } });
    }
    expect(requests).toEqual(expected);
  });

  test('the text of a subscription is sent once', async ({
    apollo, alice, bob, conversationId: id, requests,
  }) => {
    const { cursor: after } = await alice.request<{ cursor: string }>('{ cursor }');
    await bob.send(id, 'hello');
    const query = gql(`subscription HeardBy${by}($after: Cursor) { messageSent(after: $after) { message { body } } }`);
    for (const _ of ['first', 'second']) {
      const { data } = await firstValueFrom(apollo.subscribe({ query, variables: { after } }));
      expect(data).toMatchObject({ messageSent: { message: { body: 'hello' } } });
    }
    expect(requests).toEqual(expected);
  });
});
