import { Client as UrqlClient, fetchExchange, gql, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { createClient, type Sink } from 'graphql-ws';
import { Silent } from 'resumable-graphql';
import { resumable } from 'resumable-graphql-urql';
import { pipe, subscribe, tap } from 'wonka';
import { expect, test } from 'vitest';

import { type Client, type Join, runs } from './chaos.ts';
import { type Event, EVENTS, EVENTS_ALONE, MARK, type Message, SEND, SHOWN, SNAPSHOT, STATUSES } from './model.ts';
import { outbox } from './outbox.ts';
import { fetching, webSocket } from './wire.ts';

// To urql one document is one query: what is shown would wait for an answer that never comes to another one who asks.
const read = gql(SHOWN.replace('Shown', 'Read'));
const [shown, events, eventsAlone, snapshot, send, mark] = [gql(SHOWN), gql(EVENTS), gql(EVENTS_ALONE), gql(SNAPSHOT), gql(SEND), gql(MARK)];

const join: Join = (start): Client => {
  const { network, world, origin, changed, failed, silence } = start;
  const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, origin), retryAttempts: 0 });
  const history = { from: '', told: [] as string[], number: 0 };
  const onLost = (cause: unknown) => void (cause instanceof Silent && socket.terminate());
  const live = resumable({ snapshot, silence, renew: network.renew, onLost, now: world.now, wait: world.wait, random: world.random });
  const place = (cache: Parameters<typeof live.place>[0], { id }: Message) => live.place(cache, 'Conversation:c1', 'messages', `Message:${id}`);
  const { resolvers, updates } = live.graphcache({
    growing: { Message: { status: STATUSES, readCount: Number } },
    inOrder: { Conversation: { messages: 'sentAt' } },
  });
  const client = new UrqlClient({
    url: 'http://model/graphql',
    fetch: fetching(network, origin),
    preferGetMethod: false,
    exchanges: [
      cacheExchange({
        possibleTypes: { Event: ['MessageSent', 'StatusChanged', 'Checkpoint'] },
        keys: { P: () => null, PageInfo: () => null, MessageConnection: () => null },
        resolvers,
        updates: {
          ...updates,
          Mutation: { sendMessage: ({ sendMessage }: any, _args, cache) => place(cache, sendMessage.message) },
          Subscription: {
            events({ events }: any, _args, cache) {
              if (events.__typename === 'MessageSent') place(cache, events.message);
            },
          },
        },
      }),
      // Notes where the events begin.
      ({ forward }) => (operations) => pipe(forward(operations), tap(({ operation, data }) => {
        const [definition] = operation.query.definitions;
        const isSnapshot = definition?.kind === 'OperationDefinition' && definition.name?.value === 'Snapshot';
        if (isSnapshot && data) Object.assign(history, { from: data.cursor, told: [], number: history.number + 1 });
      })),
      live.exchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', ...request }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
        }),
      }),
    ],
  });
  const over = new AbortController();
  const { unsubscribe } = pipe(client.subscription<{ events: Event }>(network.server.saysPrevious ? events : eventsAlone, {}), subscribe(({ data, error }) => {
    if (error) return failed(error);
    history.told.push(data!.events.cursor);
    changed();
  }));
  const mutate = outbox(start, over.signal, async ({ query, variables }) => {
    const { data, error } = await client.mutation(query === SEND ? send : mark, variables);
    changed();
    if (error) throw error;
    return data;
  });
  return {
    shown: () => client.readQuery<any>(read, {})?.data?.conversation.messages.nodes ?? [],
    // What was shown before stays on display until there is a snapshot.
    epoch: () => history.number,
    history: () => history,
    send: (body, key) => mutate(key, SEND, { body, key }),
    mark: (id, status) => mutate(`${id} ${status}`, MARK, { id, status }),
    refetch: () => void client.query(shown, {}, { requestPolicy: 'network-only' }).then(changed, () => {}),
    stop() {
      over.abort();
      unsubscribe();
      void Promise.resolve(socket.dispose()).catch(() => {});
    },
  };
};

test('nothing is lost, repeated or taken back, whatever happens', async () => {
  expect((await runs(join)).lied).toBeGreaterThan(0);
});

test('nor with credentials that expire', async () => {
  expect((await runs(join, 300, true)).renewed).toBeGreaterThan(0);
});
