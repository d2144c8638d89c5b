/** Each binding against the real server, over a network that is cut: `HERALD_BIN` names the binary. */

import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

import { ApolloClient, type ApolloLink, gql as apolloGql, HttpLink, InMemoryCache } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { EventSource } from 'eventsource';
import { type Client, createClient, type Sink } from 'graphql-ws';
import { Environment, type GraphQLResponse, Observable, requestSubscription } from 'relay-runtime';
import { Epoch, type FollowOptions, judge } from 'resumable-graphql';
import { growing, inOrder, resumableLink } from 'resumable-graphql-apollo';
import { follow as followBySse, followByEventSource } from 'resumable-graphql-sse';
import { resumable as resumableRelay } from 'resumable-graphql-relay';
import { resumable } from 'resumable-graphql-urql';
import { overTabs, subscriber } from 'resumable-graphql-tabs';
import { follow, overSocket as executeOver } from 'resumable-graphql-ws';
import { pipe, subscribe } from 'wonka';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import WebSocket from 'ws';

import { Herald } from '../../tests/clients/herald.ts';
import { Proxy } from '../../tests/clients/proxy.ts';
import { Browser } from './browser.ts';
import { compiled } from './compiled.ts';
import { converse, markRead, type Person, register, send } from './people.ts';
import { Signer } from './signer.ts';

vi.stubGlobal('WebSocket', WebSocket);

const STATUSES = ['SENT', 'DELIVERED', 'READ'];
const POSSIBLE_TYPES = { Event: ['ConversationStarted', 'MessageSent', 'ParticipantLeft', 'ParticipantsJoined', 'StatusChanged'] };
const MESSAGE = 'id body sentAt status conversation { id }';
const SNAPSHOT = `query Snapshot($id: ID!) {
  cursor
  conversation(id: $id) { id messages(last: 50) { nodes { ${MESSAGE} } pageInfo { startCursor } } }
}`;
const SHOWN = SNAPSHOT.replace('Snapshot', 'Shown').replace('cursor\n', '');
const EVENTS = `subscription Events($id: ID!, $after: Cursor) {
  events(conversationId: $id, after: $after, checkpoints: true) {
    __typename cursor previous
    ... on MessageSent { message { ${MESSAGE} } }
    ... on StatusChanged { messages(first: 200) { id status } }
  }
}`;

/** A binding that follows a conversation, and what it shows. */
interface Follower {
  /** The bodies of messages that came as events, in this order. */
  told: string[];
  shown(): { body: string; status: string }[];
}

type Follow = (network: Proxy, viewer: Person, id: string, failed: (cause: unknown) => void) => Follower;

/** Without a library's cache. */
const plainly = (start: (network: Proxy, viewer: Person, options: FollowOptions<any>) => AsyncIterable<any>): Follow =>
  (network, viewer, id, failed) => {
    const over = new AbortController();
    onTestFinished(() => over.abort());
    const epoch = new Epoch();
    const known = new Map<string, any>();
    const told: string[] = [];
    const take = (news: any[]) => news.forEach((came) => {
      const status = epoch.reach(came.id, came.status, (status) => STATUSES.indexOf(status));
      known.set(came.id, { ...known.get(came.id), ...came, status });
    });
    const events = start(network, viewer, {
      renew: viewer.renew,
      events: EVENTS,
      snapshot: SNAPSHOT,
      variables: { id },
      signal: over.signal,
      onSnapshot({ conversation }) {
        take(conversation?.messages.nodes ?? []);
        epoch.begin();
      },
      onReset() {
        epoch.end();
        known.clear();
      },
    });
    void (async () => {
      for await (const event of events) {
        if (event.message) told.push(event.message.body);
        take(event.messages ?? [event.message]);
      }
    })().catch(failed);
    return { told, shown: () => [...known.values()].sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1)) };
  };

const authorization = ({ token }: Person) => `Bearer ${token}`;

function socketOf(network: Proxy, viewer: Person) {
  const client = createClient({
    url: network.socket, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: () => ({ authorization: authorization(viewer) }),
  });
  onTestFinished(() => Promise.resolve(client.dispose()).catch(() => {}));
  return client;
}

type SocketOf = (network: Proxy, viewer: Person) => Pick<Client, 'subscribe'>;

/** The same in a tab that does not lead. */
const otherTab: SocketOf = (network, viewer) => {
  const browser = new Browser({ later: (milliseconds, run) => void setTimeout(run, milliseconds) });
  const [, other] = [browser.open(), browser.open()].map((tab) => {
    onTestFinished(() => tab.close());
    const execute = executeOver(socketOf(network, viewer));
    return overTabs(execute, { name: 'app', signal: tab.signal, locks: tab.locks, open: tab.channel });
  });
  return subscriber(other!) as Pick<Client, 'subscribe'>;
};

const bindings: Record<string, Follow> = {
  'graphql-ws': plainly((network, viewer, options) => follow(socketOf(network, viewer), options)),

  'server-sent events': plainly((network, viewer, options) =>
    followBySse({ url: network.http, headers: () => ({ authorization: authorization(viewer) }) }, options)),

  EventSource: plainly((network, viewer, options) => {
    const headers = () => ({ authorization: authorization(viewer) });
    // A browser sends a cookie instead.
    const withSession: typeof fetch = (url, init) => fetch(url, { ...init, headers: { ...(init?.headers as object), ...headers() } });
    return followByEventSource({ url: network.http, headers, open: (url) => new EventSource(url, { fetch: withSession as never }) }, options);
  }),

  'Apollo Client': byApollo((network, viewer) => new GraphQLWsLink(socketOf(network, viewer))),
  'Apollo Client in another tab': byApollo((network, viewer) => new GraphQLWsLink(otherTab(network, viewer) as Client)),
  'Apollo Client by multipart responses': byApollo((_network, _viewer, http) => http),
  urql: byUrql(socketOf),
  'urql in another tab': byUrql(otherTab),
  'urql by server-sent events': byUrql(),
  Relay: byRelay(socketOf),
  'Relay in another tab': byRelay(otherTab),
};

function byApollo(liveBy: (network: Proxy, viewer: Person, http: ApolloLink) => ApolloLink): Follow {
  return (network, viewer, id, failed) => {
    const [events, shown] = [apolloGql(EVENTS), apolloGql(SHOWN)];
    const resumable = resumableLink({ snapshot: apolloGql(SNAPSHOT), renew: viewer.renew });
    const signedIn = new SetContextLink(() => ({ headers: { authorization: authorization(viewer) } }));
    const http = signedIn.concat(new HttpLink({ uri: network.http }));
    const live = liveBy(network, viewer, http);
    const client = new ApolloClient({
      link: resumable.split(({ operationType }) => operationType === 'subscription', live, http),
      cache: new InMemoryCache({
        possibleTypes: POSSIBLE_TYPES,
        typePolicies: {
          Conversation: { fields: { messages: inOrder('sentAt') } },
          Message: { fields: { status: growing(STATUSES) } },
          Subscription: { fields: { events: { keyArgs: false, merge: false } } },
        },
      }),
    });
    const told: string[] = [];
    const subscription = client.subscribe<any>({ query: events, variables: { id } }).subscribe(({ data, error }) => {
      if (error) return failed(error);
      const { message } = data.events;
      if (!message) return;
      told.push(message.body);
      client.cache.writeFragment({
        fragment: apolloGql`fragment Place on Conversation { messages { nodes { id } } }`,
        id: `Conversation:${id}`,
        data: { __typename: 'Conversation', messages: { __typename: 'MessageConnection', nodes: [message] } },
      });
    });
    onTestFinished(() => subscription.unsubscribe());
    return { told, shown: () => client.readQuery<any>({ query: shown, variables: { id } })?.conversation.messages.nodes ?? [] };
  };
}

function byUrql(socketOf?: SocketOf): Follow {
  return (network, viewer, id, failed) => {
    const live = resumable({ snapshot: SNAPSHOT, renew: viewer.renew });
    const { resolvers, updates } = live.graphcache({
      growing: { Message: { status: STATUSES } },
      inOrder: { Conversation: { messages: 'sentAt' } },
    });
    const client = new UrqlClient({
      url: network.http,
      preferGetMethod: false,
      fetchSubscriptions: !socketOf,
      fetchOptions: () => ({ headers: { authorization: authorization(viewer) } }),
      exchanges: [
        cacheExchange({
          possibleTypes: POSSIBLE_TYPES,
          resolvers,
          updates: {
            ...updates,
            Subscription: {
              events({ events }: any, _args, cache) {
                if (events.message) live.place(cache, `Conversation:${id}`, 'messages', `Message:${events.message.id}`);
              },
            },
          },
        }),
        live.exchange,
        fetchExchange,
        ...(socketOf ? [overSocket(socketOf(network, viewer))] : []),
      ],
    });
    const told: string[] = [];
    const { unsubscribe } = pipe(client.subscription<any>(EVENTS, { id }), subscribe(({ data, error }) => {
      if (error) failed(error);
      else if (data.events.message) told.push(data.events.message.body);
    }));
    onTestFinished(unsubscribe);
    return { told, shown: () => client.readQuery<any>(SHOWN, { id })?.data?.conversation.messages.nodes ?? [] };
  };
}

function byRelay(socketOf: SocketOf): Follow {
  return (network, viewer, id, failed) => {
    const ids = new Set<string>();
    const list = (messages: { id: string }[]) => messages.forEach((message) => ids.add(message.id));
    const socket = socketOf(network, viewer);
    const live = resumableRelay({
      snapshot: () => ({ environment, query: compiled(SNAPSHOT), variables: { id } }),
      onReset: () => ids.clear(),
      renew: viewer.renew,
    });
    const store = live.store({ Message: { status: STATUSES } });
    const environment: Environment = new Environment({
      network: live.network(
        async ({ text: query }, variables) => {
          const headers = { 'content-type': 'application/json', authorization: authorization(viewer) };
          const response = await fetch(network.http, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
          const result = (await response.json()) as any;
          list(result.data?.conversation?.messages.nodes ?? []);
          return result as GraphQLResponse;
        },
        ({ text }, variables) => Observable.create((sink) => socket.subscribe({ query: text!, variables }, sink as Sink)),
      ),
      store,
    });
    const told: string[] = [];
    const { dispose } = requestSubscription<any>(environment, {
      subscription: compiled(EVENTS),
      variables: { id },
      onNext({ events: { message } }: any) {
        if (!message) return;
        told.push(message.body);
        list([message]);
      },
      onError: failed,
    });
    onTestFinished(dispose);
    const shown = () => [...ids].map((id) => store.getSource().get(id) as any).filter((message) => message?.sentAt);
    return { told, shown: () => shown().sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1)) };
  };
}

function overSocket(socket: Pick<Client, 'subscribe'>) {
  return subscriptionExchange({
    forwardSubscription: ({ query = '', ...request }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
    }),
  });
}

const signer = new Signer();
let herald: Herald;
beforeAll(async () => {
  herald = await Herald.create(...signer.flags);
});
afterAll(async () => {
  await herald?.remove();
  signer.remove();
});

describe.for(Object.entries(bindings))('%s', ([, follow]) => {
  test('goes on through cuts, a killed server, and a backup that is put back', async () => {
    const network = await Proxy.to(herald.port);
    onTestFinished(() => network.close());
    const [alice, bob] = [await register(herald.http, 'alice'), await register(herald.http, 'bob')];
    const id = await converse(alice, bob);
    const first = await send(alice, id, 'before');
    let failure: unknown;
    const follower = follow(network, bob, id, (cause) => (failure = cause));
    const shows = async (...wanted: string[]) => {
      const isSo = () => failure || JSON.stringify(follower.shown().map(({ body, status }) => `${body} ${status}`)) === JSON.stringify(wanted);
      // Where it does not, it is the difference that is of interest.
      await vi.waitUntil(isSo, { timeout: 20_000, interval: 5 }).catch(() => {});
      expect(failure).toBeUndefined();
      expect(follower.shown().map(({ body, status }) => `${body} ${status}`)).toEqual(wanted);
    };
    await shows('before SENT');

    await send(alice, id, 'one');
    await shows('before SENT', 'one SENT');
    network.cut();
    await markRead(bob, first);
    await send(alice, id, 'two');
    network.heal();
    await shows('before READ', 'one SENT', 'two SENT');

    await herald.kill();
    await herald.start();
    await send(alice, id, 'three');
    await shows('before READ', 'one SENT', 'two SENT', 'three SENT');
    expect(follower.told).toEqual(['one', 'two', 'three']);

    const restore = await herald.backUp();
    await markRead(bob, await send(alice, id, 'undone'));
    await shows('before READ', 'one READ', 'two READ', 'three READ', 'undone READ');
    await restore();
    await shows('before READ', 'one SENT', 'two SENT', 'three SENT');
    await send(alice, id, 'again');
    await shows('before READ', 'one SENT', 'two SENT', 'three SENT', 'again SENT');
    expect(follower.told).toEqual(['one', 'two', 'three', 'undone', 'again']);
  });

  test('goes on when its token has expired, with the next one', async () => {
    const network = await Proxy.to(herald.port);
    onTestFinished(() => network.close());
    const [alice, erin] = [await register(herald.http, 'alice'), await signer.employ(herald.http)];
    const id = await converse(alice, erin);
    await send(alice, id, 'before');
    const renew = vi.spyOn(erin, 'renew');
    let failure: unknown;
    const follower = follow(network, erin, id, (cause) => (failure = cause));
    const until = async (isSo: () => boolean) => {
      await vi.waitUntil(() => failure || isSo(), { timeout: 20_000, interval: 5 }).catch(() => {});
      expect(failure).toBeUndefined();
    };
    await until(() => follower.shown().length === 1);
    const said: string[] = [];
    const say = async (body: string) => {
      said.push(body);
      await send(alice, id, body);
    };
    // It expires while much is said, and while nothing is.
    for (let n = 0; renew.mock.calls.length < 2 && !failure; n++) {
      await say(`message ${n}`);
      await pause(20);
    }
    await until(() => renew.mock.calls.length === 3);
    await say('the end');
    await until(() => follower.told.at(-1) === 'the end');
    expect(follower.told).toEqual(said);
    expect(follower.shown().map(({ body }) => body).slice(-50)).toEqual(['before', ...said].slice(-50));
  });

  test('is told when its token has expired and there is no other', async () => {
    const network = await Proxy.to(herald.port);
    onTestFinished(() => network.close());
    const [alice, erin] = [await register(herald.http, 'alice'), await signer.employ(herald.http, false)];
    const id = await converse(alice, erin);
    const failure = await new Promise((resolve) => follow(network, erin, id, resolve));
    expect(inspect(failure, { depth: 5 })).toMatch(/UNAUTHENTICATED|4403/);
  });

  test('is told when it is refused', async () => {
    const network = await Proxy.to(herald.port);
    onTestFinished(() => network.close());
    const stranger = await register(herald.http, 'stranger');
    const [alice, bob] = [await register(herald.http, 'alice'), await register(herald.http, 'bob')];
    const id = await converse(alice, bob);
    const failure = await new Promise((resolve) => follow(network, stranger, id, resolve));
    expect(judge(failure)).toBe('end');
    expect(JSON.stringify(failure)).toContain('NOT_FOUND');
  });
});
