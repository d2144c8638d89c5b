/**
 * Why the retry that each library has is not enough, by what it does: with nothing but that, each of these apps is told
 * something twice, or misses something. If a library learns to do it, its test here fails, and its package can go.
 */

import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { RetryLink } from '@apollo/client/link/retry';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient, type Sink } from 'graphql-ws';
import { commitLocalUpdate, Environment, fetchQuery, Network as RelayNetwork, RecordSource, Store } from 'relay-runtime';
import { follow } from 'resumable-graphql-ws';
import { pipe, subscribe } from 'wonka';
import { expect, test, vi } from 'vitest';

import { compiled } from './compiled.ts';
import { EVENTS_ALONE as EVENTS, type Event, Server, SNAPSHOT } from './model.ts';
import { Network } from './network.ts';
import { fetching, webSocket } from './wire.ts';
import { World } from './world.ts';

// GraphQLWsLink looks at this, which Node has from version 22 on.
globalThis.WebSocket ??= { CLOSED: 3 } as never;

/** Bodies of messages, as an app is told of them. */
type Watch = (scene: { network: Network; world: World; after: string }, told: (event: Event) => void, ended: (cause?: unknown) => void) => void;

/** One is said, the connection is lost, two is said meanwhile, and three once it is back. */
async function scene(watch: Watch): Promise<{ told: string[]; ended: boolean }> {
  const world = new World(7);
  const server = new Server(world, false);
  const network = new Network(world, server, {});
  network.slowness = 10;
  const told: string[] = [];
  let hasEnded = false;
  const tell = (event: Event) => event.__typename === 'MessageSent' && told.push(event.message.body);
  watch({ network, world, after: server.cursor }, tell, () => (hasEnded = true));
  await world.pass(1_000);
  server.send('one');
  await world.pass(1_000);
  network.isDown = !network.isNeverDown;
  network.cut();
  server.send('two');
  await world.pass(100);
  network.isDown = false;
  // The time that retries take is not what is asked about.
  await world.pass(60_000);
  server.send('three');
  await world.pass(60_000);
  return { told, ended: hasEnded };
}

const client = (network: Network, world: World) => createClient({
  url: 'ws://model', webSocketImpl: webSocket(network, 'me'), retryAttempts: 100, shouldRetry: () => true, retryWait: () => world.wait(200),
});

test('graphql-ws by itself begins again at its first cursor: what was told is told again', async () => {
  const { told } = await scene(({ network, world, after }, tell, end) => {
    client(network, world).subscribe<any>({ query: EVENTS, variables: { after } }, {
      next: ({ data }) => tell(data!.events), error: end, complete: end,
    });
  });
  expect(told).toEqual(['one', 'one', 'two', 'three']);
});

test('graphql-ws by itself, without a cursor: what is said meanwhile is lost', async () => {
  const { told } = await scene(({ network, world }, tell, end) => {
    client(network, world).subscribe<any>({ query: EVENTS }, { next: ({ data }) => tell(data!.events), error: end, complete: end });
  });
  expect(told).toEqual(['one', 'three']);
});

test('graphql-ws does so without a retry as well, when the socket is closed with 1000', async () => {
  const { told } = await scene(({ network, after }, tell, end) => {
    network.closeCode = 1000;
    const once = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, 'me'), retryAttempts: 0 });
    // It tries again at once, so the network is not down for long.
    network.isNeverDown = true;
    once.subscribe<any>({ query: EVENTS, variables: { after } }, { next: ({ data }) => tell(data!.events), error: end, complete: end });
  });
  expect(told).toEqual(['one', 'one', 'two', 'three']);
});

test('graphql-sse by itself begins again at its first cursor', async () => {
  const { told } = await scene(({ network, world, after }, tell, end) => {
    const sse = createSseClient({
      url: 'http://model/graphql', fetchFn: lowerCase(fetching(network, 'me')), retryAttempts: 100, retry: () => world.wait(200),
    });
    sse.subscribe<any>({ query: EVENTS, variables: { after } }, { next: ({ data }) => tell(data!.events), error: end, complete: end });
  });
  expect(told).toEqual(['one', 'one', 'two', 'three']);
});

test("Apollo's RetryLink begins again at the first cursor", async () => {
  const { told } = await scene(({ network, world, after }, tell, end) => {
    const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, 'me'), retryAttempts: 0 });
    vi.stubGlobal('setTimeout', (run: () => void, milliseconds: number) => world.later(milliseconds, run));
    const retry = new RetryLink({ delay: () => 200, attempts: () => true });
    const client = new ApolloClient({ link: retry.concat(new GraphQLWsLink(socket)), cache: new InMemoryCache() });
    client.subscribe<any>({ query: gql(EVENTS), variables: { after } }).subscribe({
      next: ({ data, error }) => (data ? tell(data.events) : end(error)), complete: end,
    });
  });
  vi.unstubAllGlobals();
  expect(told).toEqual(['one', 'one', 'two', 'three']);
});

test('urql by itself ends', async () => {
  const { told, ended } = await scene(({ network, after }, tell, end) => {
    const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, 'me'), retryAttempts: 0 });
    const client = new UrqlClient({
      url: 'http://model/graphql', preferGetMethod: false, fetch: fetching(network, 'me'),
      exchanges: [fetchExchange, subscriptionExchange({
        forwardSubscription: ({ query = '', ...request }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
        }),
      })],
    });
    pipe(client.subscription<any>(EVENTS, { after }), subscribe(({ data, error }) => (error ? end(error) : tell(data!.events))));
  });
  expect(told).toEqual(['one']);
  expect(ended).toBe(true);
});

test('with resumable-graphql-ws, everything is told once', async () => {
  const { told } = await scene(({ network, world }, tell, end) => {
    const events = follow<Event>(client(network, world), { events: EVENTS, snapshot: SNAPSHOT, wait: world.wait, now: world.now });
    void (async () => {
      for await (const event of events) tell(event);
    })().then(end, end);
  });
  expect(told).toEqual(['one', 'two', 'three']);
});

test("Apollo's cache by itself believes an answer that is older than an event", async () => {
  const status = await answerAfterEvent(async (network, seen) => {
    const http = new HttpLink({ uri: 'http://model/graphql', fetch: fetching(network, 'me') });
    const client = new ApolloClient({ link: http, cache: new InMemoryCache() });
    await seen(
      (message) => void client.cache.writeFragment({ fragment: gql`fragment S on Message { status }`, id: `Message:${message.id}`, data: message }),
      () => client.query({ query: gql(SNAPSHOT) }),
    );
    return client.cache.readFragment<any>({ fragment: gql`fragment T on Message { status }`, id: 'Message:m1' }).status;
  });
  expect(status).toBe('SENT');
});

test('so does Graphcache', async () => {
  const status = await answerAfterEvent(async (network, seen) => {
    const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, 'you'), retryAttempts: 0 });
    const client = new UrqlClient({
      url: 'http://model/graphql', preferGetMethod: false, fetch: fetching(network, 'me'),
      exchanges: [cacheExchange({ possibleTypes: { Event: ['MessageSent', 'StatusChanged', 'Checkpoint'] }, keys: { P: () => null, MessageConnection: () => null, PageInfo: () => null } }), fetchExchange, subscriptionExchange({
        forwardSubscription: ({ query = '', ...request }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
        }),
      })],
    });
    pipe(client.subscription(EVENTS, {}), subscribe(() => {}));
    await seen(() => {}, () => client.query(SNAPSHOT, {}).toPromise());
    return client.readQuery<any>(SNAPSHOT, {})!.data.conversation.messages.nodes[0].status;
  });
  expect(status).toBe('SENT');
});

test("so does Relay's store", async () => {
  const status = await answerAfterEvent(async (network, seen) => {
    const network_ = RelayNetwork.create(({ text: query }, variables) => fetching(network, 'me')('http://model/graphql', {
      method: 'POST', headers: { accept: 'application/json' }, body: JSON.stringify({ query, variables }),
    }).then((response) => response.json()));
    const environment = new Environment({ network: network_, store: new Store(new RecordSource()) });
    await seen(
      ({ id, status }) => commitLocalUpdate(environment, (store) => void (store.get(id) ?? store.create(id, 'Message')).setValue(status, 'status')),
      () => fetchQuery(environment, compiled(SNAPSHOT), {}).toPromise(),
    );
    return environment.getStore().getSource().get('m1')!['status'] as unknown as string;
  });
  expect(status).toBe('SENT');
});

/** A query is answered, then a message is read; the event is seen, and only then the answer. */
async function answerAfterEvent(
  run: (network: Network, seen: (write: (message: any) => void, ask: () => Promise<unknown>) => Promise<void>) => Promise<string>,
): Promise<string> {
  const world = new World(1);
  const server = new Server(world, false);
  const network = new Network(world, server, {});
  const { id } = server.send('question');
  const result = run(network, async (write, ask) => {
    const answered = ask();
    network.slowness = 10_000;
    await world.pass(5_000);
    write(server.mark(id, 'READ'));
    await world.pass(20_000);
    await answered;
  });
  return result;
}

/** graphql-sse writes its headers in lower case as well, but may pass them as it likes. */
function lowerCase(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return (url, init) => fetch(url, { ...init, headers: Object.fromEntries(new Headers(init?.headers)) });
}
