/** Through routers: herald's fields beside those of others, its entities by their keys, and its subscriptions. */

import { createClient as createStreamClient } from 'graphql-sse';
import { createClient as createSocketClient } from 'graphql-ws';
import { describe, expect, onTestFinished } from 'vitest';
import WebSocket from 'ws';

import { Inbox, type Variables } from '../connection.ts';
import { post, SEND, User } from '../user.ts';
import { test as base } from './fixtures.ts';
import { apollo, hive, type Router, type Upstream } from './routers.ts';

const test = base
  .extend('hive', { scope: 'file' }, async ({ subgraphs }, { onCleanup }) => {
    const router = await hive(subgraphs.supergraph, 'websocket');
    onCleanup(() => router.close());
    return router;
  })
  .extend('apollo', { scope: 'file' }, async ({ subgraphs }, { onCleanup }) => {
    const router = await apollo(subgraphs.supergraph);
    onCleanup(() => router.stop());
    return router;
  });

/** Asks a router for somebody. */
type Ask = (query: string, variables: Variables, authorization: string) => Promise<unknown>;

const BOOKMARKS = /* GraphQL */ `
  query Bookmarks($ids: [ID!]!) {
    viewer { handle avatarUrl }
    bookmarks(ids: $ids) {
      nodes {
        __typename
        ... on User { handle avatarUrl }
        ... on Conversation { id lastMessage { body } }
        ... on Message { body sender { avatarUrl } }
      }
      pageInfo { hasNextPage }
    }
  }
`;

const ORDER = /* GraphQL */ `
  query Order { order(customer: "42") { number customer { handle externalId } } }
`;

const ME = /* GraphQL */ `{ viewer { id } }`;

const EVENTS = /* GraphQL */ `
  subscription Events($after: Cursor) {
    events(after: $after) {
      cursor
      previous
      conversation { id }
      ... on MessageSent { message { body sender { handle avatarUrl } } }
    }
  }
`;

interface Told {
  cursor: string;
  previous: string;
  conversation: { id: string };
  message: { body: string; sender: { handle: string; avatarUrl: string } };
}

const idOf = async (user: User) => (await user.request<{ viewer: { id: string } }>(ME)).viewer.id;
const avatar = (id: string) => `https://avatars.example/${id}.png`;

describe.for(['Hive Gateway', "Apollo's gateway"])('through %s', (name) => {
  const asks = test.extend('ask', ({ hive, apollo }): Ask => {
    if (name !== 'Hive Gateway') return apollo.ask;
    return async (query, variables, authorization) => {
      const headers = { 'content-type': 'application/json', authorization };
      const response = await fetch(hive.http, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
      const { data, errors = [] } = (await response.json()) as { data: unknown; errors?: { message: string }[] };
      // What is null because herald has no such entity has an error here, too.
      const others = errors.filter(({ message }) => !message.startsWith('Cannot return null for non-nullable field'));
      expect(others).toEqual([]);
      return data;
    };
  });

  asks('what others refer to is found by its key, as far as the viewer may see it', async ({
    ask, herald, alice, bob, conversationId,
  }) => {
    const { id: message } = await alice.send(conversationId, 'for us two');
    const [a, b] = [await idOf(alice), await idOf(bob)];
    const variables = { ids: [message, b, 'usr_00000000000000000000000000000007', conversationId, a, b] };
    const [alices, bobs] = [
      { __typename: 'User', handle: alice.handle, avatarUrl: avatar(a) },
      { __typename: 'User', handle: bob.handle, avatarUrl: avatar(b) },
    ];
    expect(await ask(BOOKMARKS, variables, `Bearer ${bob.token}`)).toEqual({
      viewer: { handle: bob.handle, avatarUrl: avatar(b) },
      bookmarks: {
        nodes: [
          { __typename: 'Message', body: 'for us two', sender: { avatarUrl: avatar(a) } },
          bobs,
          null,
          { __typename: 'Conversation', id: conversationId, lastMessage: { body: 'for us two' } },
          alices,
          bobs,
        ],
        pageInfo: { hasNextPage: false },
      },
    });

    const stranger = await User.register(herald, 'cat');
    expect(await ask(BOOKMARKS, variables, `Bearer ${stranger.token}`)).toMatchObject({
      bookmarks: { nodes: [null, bobs, null, { __typename: 'Conversation', lastMessage: null }, alices, bobs] },
    });
  });

  asks('a user is found by the id that a service gave them, for services alone', async ({ ask, herald, alice }) => {
    const key = await herald.key(name.replaceAll(/\W+/g, '-'), 'provision', 'read');
    await post(
      herald.http,
      /* GraphQL */ `mutation { upsertUsers(input: { users: [{ externalId: "42", handle: "grace" }] }) { created } }`,
      {},
      { authorization: `Bearer ${key}` },
    );
    const order = (customer: unknown) => ({ order: { number: 7, customer } });
    expect(await ask(ORDER, {}, `Bearer ${key}`)).toEqual(order({ handle: 'grace', externalId: '42' }));
    expect(await ask(ORDER, {}, `Bearer ${alice.token}`)).toEqual(order(null));
  });
});

/** Opens a subscription at a router. */
type Follow = (router: Router, user: User, after: string, connectionId: string) => Inbox<Told>;

const FOLLOWERS: Record<string, Follow> = {
  WebSocket(router, user, after, connectionId) {
    const client = createSocketClient({
      url: router.socket,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${user.token}`, 'x-connection-id': connectionId },
      retryAttempts: 0,
    });
    onTestFinished(() => client.dispose());
    return new Inbox(client.iterate({ query: EVENTS, variables: { after } }));
  },
  'server-sent events'(router, user, after, connectionId) {
    const headers = { authorization: `Bearer ${user.token}`, 'x-connection-id': connectionId };
    const client = createStreamClient({ url: router.http, headers, retryAttempts: 0 });
    onTestFinished(() => client.dispose());
    return new Inbox(client.iterate<Record<string, Told>>({ query: EVENTS, variables: { after } }));
  },
};

describe.for<Upstream>(['websocket', 'server-sent events'])('Hive Gateway, which follows herald by %s,', (upstream) => {
  test.for(Object.entries(FOLLOWERS))('brings events over %s, and not those of its client', async (
    [, follow], { subgraphs, alice, bob, conversationId },
  ) => {
    const router = await hive(subgraphs.supergraph, upstream);
    onTestFinished(() => router.close());
    const after = await bob.cursor();
    const [first, second] = [await alice.send(conversationId, 'one'), await alice.send(conversationId, 'two')];
    const inbox = follow(router, bob, after, 'phone');
    const sender = { handle: alice.handle, avatarUrl: avatar(await idOf(alice)) };
    const told = await inbox.take(2);
    expect(told.map(({ message }) => message)).toEqual([first, second].map(({ body }) => ({ body, sender })));
    expect(told.map(({ previous }) => previous)).toEqual([after, told[0]!.cursor]);
    expect(told[0]!.conversation.id).toBe(conversationId);

    // Bob answers through the router, as the connection that follows there.
    const headers = { authorization: `Bearer ${bob.token}`, 'x-connection-id': 'phone' };
    await post(router.http, SEND, { input: { conversationId, body: 'from the phone' } }, headers);
    await alice.send(conversationId, 'three');
    expect(await inbox.next()).toMatchObject({ previous: told[1]!.cursor, message: { body: 'three', sender } });
  });
});
