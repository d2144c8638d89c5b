import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { Silent } from 'resumable-graphql';
import { growing, inOrder, resumableLink } from 'resumable-graphql-apollo';
import { tap } from 'rxjs';
import { expect, test, vi } from 'vitest';

import { type Client, type Join, runs } from './chaos.ts';
import { type Event, EVENTS, EVENTS_ALONE, MARK, type Message, SEND, SHOWN, SNAPSHOT, STATUSES } from './model.ts';
import { outbox } from './outbox.ts';
import { fetching, webSocket } from './wire.ts';

// GraphQLWsLink looks at this, which Node has from version 22 on.
vi.stubGlobal('WebSocket', { CLOSED: 3 });

const PLACE = gql`fragment Place on Conversation { messages { nodes { id } } }`;
const shownDocument = gql(SHOWN);
const [events, eventsAlone, snapshot] = [gql(EVENTS), gql(EVENTS_ALONE), gql(SNAPSHOT)];

/** Puts a message into the list. */
function show({ cache }: ApolloClient, { id }: Message): void {
  const messages = { __typename: 'MessageConnection', nodes: [{ __typename: 'Message', id }] };
  cache.writeFragment({ fragment: PLACE, id: 'Conversation:c1', data: { __typename: 'Conversation', messages } });
}

const join: Join = (start): Client => {
  const { network, world, origin, changed, failed, silence } = start;
  const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, origin), retryAttempts: 0 });
  const history = { from: '', told: [] as string[], number: 0 };
  // A socket that is silent is that also for what begins on it, or waits for it to open.
  const onLost = (cause: unknown) => void (cause instanceof Silent && socket.terminate());
  const resumable = resumableLink({ snapshot, silence, renew: network.renew, onLost, now: world.now, wait: world.wait, random: world.random });
  /** Notes where the events begin. */
  const noting = new ApolloLink((operation, forward) => forward(operation).pipe(tap(({ data }) => {
    if (operation.operationName === 'Snapshot' && data) Object.assign(history, { from: data['cursor'], told: [], number: history.number + 1 });
  })));
  const http = new HttpLink({ uri: 'http://model/graphql', fetch: fetching(network, origin) });
  const client = new ApolloClient({
    link: ApolloLink.from([resumable, noting]).split(({ operationType }) => operationType === 'subscription', new GraphQLWsLink(socket), http),
    cache: new InMemoryCache({
      possibleTypes: { Event: ['MessageSent', 'StatusChanged', 'Checkpoint'] },
      typePolicies: {
        Conversation: { fields: { messages: inOrder('sentAt') } },
        Message: { fields: { status: growing(STATUSES), readCount: growing() } },
        Subscription: { fields: { events: { keyArgs: false, merge: false } } },
      },
    }),
  });
  const over = new AbortController();
  const subscription = client.subscribe<{ events: Event }>({ query: network.server.saysPrevious ? events : eventsAlone }).subscribe(({ data, error }) => {
    if (!data) return failed(error);
    if (data.events.__typename === 'MessageSent') show(client, data.events.message);
    history.told.push(data.events.cursor);
    changed();
  });
  const mutate = outbox(start, over.signal, async ({ query, variables }) => {
    const { data } = await client.mutate<Record<string, { message: Message | null }>>({
      mutation: gql(query), variables, update: (_cache, { data }) => data?.['sendMessage'] && show(client, data['sendMessage'].message!),
    });
    changed();
    return data;
  });
  return {
    shown: () => client.cache.readQuery<any>({ query: shownDocument })?.conversation.messages.nodes ?? [],
    // What was shown before stays on display until there is a snapshot.
    epoch: () => history.number,
    history: () => history,
    send: (body, key) => mutate(key, SEND, { body, key }),
    mark: (id, status) => mutate(`${id} ${status}`, MARK, { id, status }),
    refetch: () => void client.query({ query: shownDocument, fetchPolicy: 'network-only' }).then(changed, () => {}),
    stop() {
      over.abort();
      subscription.unsubscribe();
      void Promise.resolve(socket.dispose()).catch(() => {});
      client.stop();
    },
  };
};

test('nothing is lost, repeated or taken back, whatever happens', async () => {
  expect((await runs(join)).lied).toBeGreaterThan(0);
});

test('nor with credentials that expire', async () => {
  expect((await runs(join, 300, true)).renewed).toBeGreaterThan(0);
});
