/**
 * A socket that is closed with 1000 is opened again by graphql-ws, which repeats its requests whatever its settings are. After
 * a long subscription, that must not tell everything again.
 */

import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client as UrqlClient, subscriptionExchange } from '@urql/core';
import { createClient, type Client, type Sink } from 'graphql-ws';
import { Environment, Observable, requestSubscription } from 'relay-runtime';
import { resumableLink } from 'resumable-graphql-apollo';
import { resumable as resumableRelay } from 'resumable-graphql-relay';
import { resumable } from 'resumable-graphql-urql';
import { follow } from 'resumable-graphql-ws';
import { pipe, subscribe } from 'wonka';
import { expect, test } from 'vitest';

import { compiled } from './compiled.ts';
import { EVENTS_ALONE, type Event, Server } from './model.ts';
import { Network } from './network.ts';
import { webSocket } from './wire.ts';
import { World } from './world.ts';

/** More than the core knows again. */
const MANY = 1_200;

type Watch = (socket: Client, after: string, world: World, told: (event: Event) => void) => unknown;

const ways: Record<string, Watch> = {
  async 'resumable-graphql-ws'(socket, after, { wait, now }, told) {
    for await (const event of follow<Event>(socket, { events: EVENTS_ALONE, snapshot: () => after, wait, now })) told(event);
  },
  'resumable-graphql-apollo'(socket, after, { wait, now }, told) {
    const link = resumableLink({ snapshot: () => after, wait, now }).concat(new GraphQLWsLink(socket));
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    client.subscribe<any>({ query: gql(EVENTS_ALONE), fetchPolicy: 'no-cache' }).subscribe(({ data }) => told(data.events));
  },
  'resumable-graphql-urql'(socket, after, { wait, now }, told) {
    const forwardSubscription = ({ query = '', ...request }) => ({
      subscribe: (sink: object) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
    });
    const { exchange } = resumable({ snapshot: () => after, wait, now });
    const exchanges = [exchange, subscriptionExchange({ forwardSubscription })];
    const client = new UrqlClient({ url: 'http://model/graphql', preferGetMethod: false, exchanges });
    pipe(client.subscription<any>(EVENTS_ALONE, {}), subscribe(({ data }) => told(data.events)));
  },
  'resumable-graphql-relay'(socket, after, { wait, now }, told) {
    const live = resumableRelay({ snapshot: () => expect.unreachable(), wait, now });
    const network = live.network(() => expect.unreachable(), ({ text }, variables) =>
      Observable.create((sink) => socket.subscribe({ query: text!, variables }, sink as Sink)));
    const environment = new Environment({ network, store: live.store({}) });
    requestSubscription<any>(environment, {
      subscription: compiled(EVENTS_ALONE), variables: { after }, onNext: ({ events }: any) => told(events),
    });
  },
};

test.for(Object.entries(ways))('%s goes on after the newest event', async ([, watch]) => {
  const world = new World(1);
  const server = new Server(world, false);
  const network = new Network(world, server, {});
  network.closeCode = 1000;
  const told: string[] = [];
  const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, 'me') as never, retryAttempts: 0 });
  const first = server.cursor;
  void watch(socket, first, world, ({ cursor }) => told.push(cursor));
  await world.pass(1_000);
  const { id } = server.send('one');
  for (let n = 1; n < MANY; n++) server.elsewhere();
  server.mark(id, 'READ');
  for (let n = 0; n < MANY; n++) server.send(`more ${n}`);
  await world.pass(1_000);
  const newest = server.cursor;
  network.cut();
  await world.pass(1_000);
  server.send('the end');
  await world.pass(1_000);
  expect(new Set(told).size).toBe(told.length);
  expect(told).toHaveLength(MANY + 3);
  expect(network.asked).toEqual([first, newest]);
});
