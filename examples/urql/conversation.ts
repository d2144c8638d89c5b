/**
 * A conversation in Vue that misses nothing, with urql, Graphcache and graphql-ws:
 *
 *     app.use(urql, createHeraldClient('https://example.org/graphql', token));
 *     const { messages, send, failure } = useConversation(id); // in a component
 */

import { type Cache, cacheExchange, type Resolver, type UpdateResolver } from '@urql/exchange-graphcache';
import { Client, type ClientOptions, CombinedError, fetchExchange, subscriptionExchange } from '@urql/core';
import { useClientHandle, useQuery } from '@urql/vue';
import { createClient, type Sink } from 'graphql-ws';
import { computed, onScopeDispose, shallowRef } from 'vue';

import { graphql } from './generated/gql.ts';
import type { EventsSubscription, LineFragment, SendMutation } from './generated/graphql.ts';

graphql(`fragment Line on Message { id body status sentAt sender { id displayName } conversation { id } }`);
graphql(`fragment Newest on Conversation { id messages(last: 50) { nodes { ...Line } } }`);
const SNAPSHOT = graphql(`query Snapshot($id: ID!) { cursor conversation(id: $id) { ...Newest } }`);
// What is shown. To urql one document is one query: its answer may be one from the cache, with a cursor of another time.
const SHOWN = graphql(`query Shown($id: ID!) { conversation(id: $id) { ...Newest } }`);
const EVENTS = graphql(`subscription Events($id: ID!, $after: Cursor!) {
  events(conversationId: $id, after: $after) {
    __typename cursor
    ... on MessageSent { message { ...Line } }
    ... on StatusChanged { status message { id } messages(first: 200) { id status } }
  }
}`);
const SEND = graphql(`mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { ...Line } } }`);

/** What a client knows of an epoch. The next begins when a restored backup or a failover takes herald back in time. */
class Epoch {
  number = 0;
  /** Those under way. They end with the epoch that they were asked of: whoever waits for an answer asks again. */
  requests = new AbortController();
  readonly #furthest = new Map<string, unknown>();

  /** What a value that only grows has come to: an answer may come after an event that is newer. */
  furthest<T>(key: string, value: T, rank: (value: T) => number): T {
    const known = (this.#furthest.get(key) ?? value) as T;
    return rank(known) > rank(value) ? known : value;
  }

  reach<T>(key: string, value: T, rank: (value: T) => number): void {
    this.#furthest.set(key, this.furthest(key, value, rank));
  }

  end(): void {
    this.number++;
    this.#furthest.clear();
    this.requests.abort(new Error('The epoch that this was asked of has ended'));
    this.requests = new AbortController();
  }
}

const epochs = new WeakMap<Client, Epoch>();

/** What only grows in one epoch. */
const GROWING: Record<string, (value: any) => number> = {
  status: (status: string) => ['SENT', 'DELIVERED', 'READ'].indexOf(status),
  deliveredCount: Number,
  readCount: Number,
};

const growing = <T>(make: (rank: (value: any) => number) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(GROWING).map(([field, rank]) => [field, make(rank)]));

/** Notes a message beside the pages, for itself. Changed by events, a page would be undone by an answer that is older. */
function note({ id, conversation }: LineFragment, cache: Cache, { number }: Epoch): void {
  cache.link(`Conversation:${conversation.id}`, 'noted', { epoch: number, id }, `Message:${id}`);
}

/** The newest page and what came after it: each message once. `sentAt`, as text, has the order of the log. */
const messagesOf = (epoch: Epoch): Resolver => (_parent, args, cache, { parentKey }) => {
  const page = cache.resolve(parentKey, 'messages', args) as string | undefined;
  const nodes = cache.resolve(page ?? null, 'nodes') as string[] | undefined;
  if (!page || !nodes || !args['last'] || args['before']) return page;
  const sentAt = (node: string) => cache.resolve(node, 'sentAt') as string;
  const noted = cache.inspectFields(parentKey)
    .filter(({ fieldName, arguments: of }) => fieldName === 'noted' && of?.['epoch'] === epoch.number)
    .map(({ fieldKey }) => cache.resolve(parentKey, fieldKey) as string)
    .filter((node) => !nodes.includes(node) && (!nodes.length || sentAt(node) >= sentAt(nodes.at(-1)!)));
  const all = [...nodes, ...noted].sort((a, b) => (sentAt(a) < sentAt(b) ? -1 : 1));
  return { __typename: 'MessageConnection', nodes: all };
};

export function createHeraldClient(url: string, token: string, options: Partial<ClientOptions> = {}): Client {
  const authorization = `Bearer ${token}`;
  const connectionId = crypto.randomUUID(); // by which herald knows what this client did itself, and need not be told
  const headers = { authorization, 'x-connection-id': connectionId };
  const connectionParams = { authorization, connectionId };
  // graphql-ws by itself would begin again at the first cursor: useConversation goes on from the last.
  const socket = createClient({ url: url.replace('http', 'ws'), connectionParams, retryAttempts: 0 });
  const epoch = new Epoch();
  const cache = cacheExchange({
    keys: { Participant: () => null, Receipt: () => null }, // they have no id: they belong to what they were found in
    possibleTypes: {
      Event: ['ConversationStarted', 'MessageSent', 'ParticipantLeft', 'ParticipantsJoined', 'StatusChanged'],
    },
    resolvers: {
      Conversation: { messages: messagesOf(epoch) },
      Message: growing((rank): Resolver => (message, _args, _cache, { parentKey, fieldName }) =>
        epoch.furthest(`${parentKey}.${fieldName}`, message[fieldName], rank)),
    },
    updates: {
      Message: growing((rank): UpdateResolver => (message, _args, _cache, { parentKey, fieldName, optimistic }) => {
        if (!optimistic) epoch.reach(`${parentKey}.${fieldName}`, message[fieldName], rank);
      }),
      Mutation: { sendMessage: ({ sendMessage }: SendMutation, _, cache) => note(sendMessage.message, cache, epoch) },
      Subscription: {
        events({ events }: EventsSubscription, _, cache) {
          if (events.__typename === 'MessageSent') note(events.message, cache, epoch);
        },
      },
    },
  });
  const live = subscriptionExchange({
    forwardSubscription: ({ query = '', ...request }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, ...request }, sink as Sink) }),
    }),
  });
  const client = new Client({
    url, fetchOptions: { headers }, exchanges: [cache, fetchExchange, live],
    ...options,
    fetch(input, init) {
      const signal = AbortSignal.any([epoch.requests.signal, init!.signal!]);
      return (options.fetch ?? fetch)(input, { ...init, signal });
    },
  });
  epochs.set(client, epoch);
  return client;
}

/** The newest messages of a conversation and all that follow, with their statuses, until the component is gone. */
export function useConversation(id: string, onEvent: (event: EventsSubscription['events']) => void = () => {}) {
  const { client } = useClientHandle();
  const { data } = useQuery({ query: SHOWN, variables: { id }, requestPolicy: 'cache-only' });
  const failure = shallowRef<CombinedError>();
  let [isOver, failures, unsubscribe] = [false, 0, () => {}];
  let after: string | undefined;
  const epoch = epochs.get(client)!;
  let { number } = epoch;

  /** Not from the cache: the cursor in there may be that of another conversation's snapshot. */
  async function takeSnapshot(): Promise<CombinedError | undefined> {
    if (!after) ({ number } = epoch);
    const { data, error } = await client.query(SNAPSHOT, { id }, { requestPolicy: 'network-only' });
    if (error) return error;
    after ??= data?.cursor;
    return undefined;
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
      if (data.events.__typename === 'StatusChanged' && data.events.messages.length === 200) void readAgain();
    }));
  });

  /** An event lists no more than that many messages. So the newest are read again, and take the place of all others. */
  async function readAgain(): Promise<void> {
    while (!isOver && !failure.value && (await takeSnapshot())) await pause();
  }

  /** Longer each time, up to 5 s, and not all clients at once. */
  function pause(): Promise<void> {
    const wait = Math.min(100 * 2 ** failures++, 5_000) * (0.5 + Math.random() / 2);
    return new Promise((resolve) => setTimeout(resolve, wait));
  }

  async function follow(): Promise<void> {
    while (!isOver) {
      const error = after ? await receive(after) : await takeSnapshot();
      if (!error) continue;
      unsubscribe();
      const code = error.graphQLErrors[0]?.extensions['code'];
      const { code: close = 0 } = (error.networkError ?? {}) as { code?: number }; // of a WebSocket
      if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') {
        if (number === epoch.number) epoch.end(); // Otherwise another conversation was told first.
        after = undefined;
      } else if (code ? code !== 'UNAVAILABLE' : close >= 4400 && close !== 4408) return void (failure.value = error);
      await pause();
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
