/**
 * A conversation in Vue that misses nothing, with urql, Graphcache and graphql-ws:
 *
 *     app.use(urql, createHeraldClient('https://example.org/graphql', token));
 *     const { messages, send, failure } = useConversation(id); // in a component
 */

import { type Cache, cacheExchange, type Resolver } from '@urql/exchange-graphcache';
import { Client, type ClientOptions, CombinedError, fetchExchange, subscriptionExchange } from '@urql/core';
import { useClientHandle, useQuery } from '@urql/vue';
import { createClient, type Sink } from 'graphql-ws';
import { computed, onScopeDispose, shallowRef } from 'vue';

import { graphql } from './generated/gql.ts';
import type { EventsSubscription, LineFragment, SendMutation } from './generated/graphql.ts';

graphql(`fragment Line on Message { id body status sentAt sender { id displayName } conversation { id } }`);
const SNAPSHOT = graphql(`query Snapshot($id: ID!) {
  cursor conversation(id: $id) { id messages(last: 50) { nodes { ...Line } } }
}`);
const EVENTS = graphql(`subscription Events($id: ID!, $after: Cursor!) {
  events(conversationId: $id, after: $after) {
    __typename cursor
    ... on MessageSent { message { ...Line } }
    ... on StatusChanged { status message { id } messages(first: 200) { id status } }
  }
}`);
const SEND = graphql(`mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { ...Line } } }`);

/** Adds a message to the cached list: once, for it may come again, and in its place, for answers and events race. */
function insert({ id, sentAt, conversation }: LineFragment, cache: Cache): void {
  const list = cache.resolve(`Conversation:${conversation.id}`, 'messages', { last: 50 }) as string;
  const nodes = cache.resolve(list, 'nodes') as string[] | undefined;
  if (!nodes || nodes.includes(`Message:${id}`)) return;
  const place = nodes.findLastIndex((node) => (cache.resolve(node, 'sentAt') as string) <= sentAt) + 1;
  cache.link(list, 'nodes', nodes.toSpliced(place, 0, `Message:${id}`));
}

/** A status never goes back, even if the answer to a send comes after the news that it was read. */
function forward(furthest = new Map<string, number>()): Resolver {
  const order = ['SENT', 'DELIVERED', 'READ'];
  return ({ status }, _args, _cache, { parentKey }) => {
    furthest.set(parentKey, Math.max(furthest.get(parentKey) ?? -1, order.indexOf(status as string)));
    return order[furthest.get(parentKey)!];
  };
}

export function createHeraldClient(url: string, token: string, options: Partial<ClientOptions> = {}): Client {
  const authorization = `Bearer ${token}`;
  const connectionId = crypto.randomUUID(); // by which herald knows what this client did itself, and need not be told
  const headers = { authorization, 'x-connection-id': connectionId };
  const connectionParams = { authorization, connectionId };
  // graphql-ws by itself would begin again at the first cursor: useConversation goes on from the last.
  const socket = createClient({ url: url.replace('http', 'ws'), connectionParams, retryAttempts: 0 });
  const cache = cacheExchange({
    keys: { Participant: () => null, Receipt: () => null }, // they have no id: they belong to what they were found in
    possibleTypes: {
      Event: ['ConversationStarted', 'MessageSent', 'ParticipantLeft', 'ParticipantsJoined', 'StatusChanged'],
    },
    resolvers: { Message: { status: forward() } },
    updates: {
      Mutation: { sendMessage: ({ sendMessage }: SendMutation, _, cache) => insert(sendMessage.message, cache) },
      Subscription: {
        events({ events }: EventsSubscription, _, cache) {
          if (events.__typename === 'MessageSent') insert(events.message, cache);
        },
      },
    },
  });
  const live = subscriptionExchange({
    forwardSubscription: ({ query = '', ...request }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
    }),
  });
  return new Client({ url, fetchOptions: { headers }, exchanges: [cache, fetchExchange, live], ...options });
}

/** The newest messages of a conversation and all that follow, with their statuses, until the component is gone. */
export function useConversation(id: string, onEvent: (event: EventsSubscription['events']) => void = () => {}) {
  const { client } = useClientHandle();
  const { data } = useQuery({ query: SNAPSHOT, variables: { id }, requestPolicy: 'cache-only' });
  const failure = shallowRef<CombinedError>();
  let [isOver, failures, unsubscribe] = [false, 0, () => {}];
  let after: string | undefined;

  /** Not from the cache: the cursor in there may be that of another conversation's snapshot. */
  async function takeSnapshot(): Promise<CombinedError | undefined> {
    const { data, error } = await client.query(SNAPSHOT, { id }, { requestPolicy: 'network-only' });
    if (!error) after = data?.cursor;
    return error;
  }

  /** Brings the events that follow a cursor, as long as the connection lasts: why it ended. */
  const receive = (cursor: string) => new Promise<CombinedError>((resolve) => {
    ({ unsubscribe } = client.subscription(EVENTS, { id, after: cursor }).subscribe(({ data, error, hasNext }) => {
      if (error) return resolve(error);
      // With the end, urql repeats the last event.
      if (!data || !hasNext) return resolve(new CombinedError({ networkError: new Error('The server has ended it') }));
      onEvent(data.events);
      after = data.events.cursor;
      failures = 0;
    }));
  });

  async function follow(): Promise<void> {
    while (!isOver) {
      const error = after ? await receive(after) : await takeSnapshot();
      if (!error) continue;
      unsubscribe();
      const code = error.graphQLErrors[0]?.extensions['code'];
      const { code: close = 0 } = (error.networkError ?? {}) as { code?: number }; // of a WebSocket
      if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') after = undefined;
      else if (code ? code !== 'UNAVAILABLE' : close >= 4400 && close !== 4408) return void (failure.value = error);
      // Longer each time, up to 5 s, and not all clients at once.
      const wait = Math.min(100 * 2 ** failures++, 5_000) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  void follow();
  onScopeDispose(() => {
    isOver = true;
    unsubscribe();
  });
  const messages = computed(() => data.value?.conversation?.messages.nodes);
  /** Of one key, herald takes one message: to be used again where the answer was lost. */
  const send = (body: string, idempotencyKey: string = crypto.randomUUID()) =>
    client.mutation(SEND, { input: { conversationId: id, body, idempotencyKey } }).toPromise();
  return { messages, send, failure };
}
