/**
 * A conversation in Vue with urql, Graphcache and graphql-ws. It stays right through lost connections, late answers and
 * restored backups:
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
import generated from './generated/possible-types.ts';

graphql(`fragment Line on Message { id body status sentAt sender { id displayName } conversation { id } }`);
graphql(`fragment Newest on Conversation { id messages(last: 50) { nodes { ...Line } } }`);
const SNAPSHOT = graphql(`query Snapshot($id: ID!) { cursor conversation(id: $id) { ...Newest } }`);
// This document has no `cursor`. urql could answer it from the cache, and then the cursor would be of another time.
const SHOWN = graphql(`query Shown($id: ID!) { conversation(id: $id) { ...Newest } }`);
const EVENTS = graphql(`subscription Events($id: ID!, $after: Cursor!) {
  events(conversationId: $id, after: $after) {
    __typename cursor
    ... on MessageSent { message { ...Line } }
    ... on StatusChanged { status message { id } messages(first: 200) { id status } }
  }
}`);
const SEND = graphql(`mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { ...Line } } }`);

/** The state of an epoch. A new epoch begins when a restored backup or a failover takes herald back in time. */
class Epoch {
  number = 0;
  /** Ends the requests under way when their epoch ends. The callers send them again. */
  requests = new AbortController();
  readonly #furthest = new Map<string, unknown>();

  /** The greater of a value and the greatest one so far: an old answer may come after a new event. */
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

/** Fields whose value only grows within an epoch, each with a function that makes a number of it. */
const GROWING: Record<string, (value: any) => number> = {
  status: (status: string) => ['SENT', 'DELIVERED', 'READ'].indexOf(status),
  deliveredCount: Number,
  readCount: Number,
};

const growing = <T>(make: (rank: (value: any) => number) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(GROWING).map(([field, rank]) => [field, make(rank)]));

/** Links a message beside the pages. If an event changed a page itself, an older answer could undo the change. */
function note({ id, conversation }: LineFragment, cache: Cache, { number }: Epoch): void {
  cache.link(`Conversation:${conversation.id}`, 'noted', { epoch: number, id }, `Message:${id}`);
}

/** Joins the newest page and the messages that came after it. It sorts by `sentAt`, as the log does. */
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
  const connectionId = crypto.randomUUID(); // herald does not tell this connection what it did itself
  const headers = { authorization, 'x-connection-id': connectionId };
  const connectionParams = { authorization, connectionId };
  // The retry of graphql-ws would begin again at the first cursor, so it is off: useConversation resumes.
  const socket = createClient({ url: url.replace('http', 'ws'), connectionParams, retryAttempts: 0 });
  const epoch = new Epoch();
  const cache = cacheExchange({
    keys: { Participant: () => null, Receipt: () => null }, // these types have no id
    possibleTypes: generated.possibleTypes,
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

/** Shows the newest messages of a conversation and all that follow, with live statuses, until the component is gone. */
export function useConversation(id: string, onEvent: (event: EventsSubscription['events']) => void = () => {}) {
  const { client } = useClientHandle();
  const { data } = useQuery({ query: SHOWN, variables: { id }, requestPolicy: 'cache-only' });
  const failure = shallowRef<CombinedError>();
  let [isOver, failures, unsubscribe] = [false, 0, () => {}];
  let after: string | undefined;
  const epoch = epochs.get(client)!;
  let { number } = epoch;

  /** Asks herald, not the cache, whose cursor may be that of another conversation. Returns an error, if any. */
  async function takeSnapshot(): Promise<CombinedError | undefined> {
    if (!after) ({ number } = epoch);
    const { data, error } = await client.query(SNAPSHOT, { id }, { requestPolicy: 'network-only' });
    if (error) return error;
    after ??= data?.cursor;
    return undefined;
  }

  /** Receives the events after a cursor until the connection ends. Resolves with the reason why it ended. */
  const receive = (cursor: string) => new Promise<CombinedError>((resolve) => {
    ({ unsubscribe } = client.subscription(EVENTS, { id, after: cursor }).subscribe(({ data, error, hasNext }) => {
      if (error) return resolve(error);
      // At the end of a subscription, urql repeats the last event.
      if (!data || !hasNext) return resolve(new CombinedError({ networkError: new Error('The server has ended it') }));
      onEvent(data.events);
      after = data.events.cursor;
      failures = 0;
      if (data.events.__typename === 'StatusChanged' && data.events.messages.length === 200) void readAgain();
    }));
  });

  /** An event lists 200 messages at most. So there may be more: this reads the newest page again. */
  async function readAgain(): Promise<void> {
    while (!isOver && !failure.value && (await takeSnapshot())) await pause();
  }

  /** Waits. The pause doubles up to 5 s, and is partly random, so that not all clients come back at once. */
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
      const { code: close = 0 } = (error.networkError ?? {}) as { code?: number }; // the close code of a WebSocket
      if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') {
        if (number === epoch.number) epoch.end(); // Otherwise another conversation has ended it.
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
  /** Sends a message. Repeat it with the same key if the answer was lost: herald stores one message for each key. */
  const send = (body: string, idempotencyKey: string = crypto.randomUUID()) =>
    client.mutation(SEND, { input: { conversationId: id, body, idempotencyKey } }).toPromise();
  return { messages, send, failure };
}
