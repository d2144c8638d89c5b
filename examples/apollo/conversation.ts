/** A conversation in Apollo Client's cache, right through lost connections, late answers and restored backups. */

import {
  type ApolloCache, ApolloClient, ApolloLink, type FieldPolicy, HttpLink, InMemoryCache, type Reference,
  type TypedDocumentNode,
} from '@apollo/client';
import { CombinedGraphQLErrors, ServerError } from '@apollo/client/errors';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import { concatMap, defer, map, retry, tap, timer } from 'rxjs';

import { graphql } from './generated/gql.ts'; // Or, without types: import { gql as graphql } from '@apollo/client'.
import generated from './generated/possible-types.ts'; // Or, without types: const generated = { possibleTypes: {} }.

export const CONVERSATION = graphql(`
  query Conversation($id: ID!, $last: Int = 50, $before: String) {
    cursor
    conversation(id: $id) {
      id
      messages(last: $last, before: $before) {
        edges { node { id body sentAt status deliveredCount readCount sender { id handle } } }
        pageInfo { startCursor hasPreviousPage }
      }
    }
  }
`);

const EVENTS = graphql(`
  subscription Events($id: ID!, $after: Cursor) {
    events(conversationId: $id, after: $after) {
      cursor
      ... on MessageSent { message { id body sentAt status deliveredCount readCount sender { id handle } } }
      ... on StatusChanged { status messages(first: 200) { id status deliveredCount readCount } }
    }
  }
`);

const PLACE = graphql(`fragment Place on Conversation { messages { edges { node { id } } } }`);

/** The data that answers a document. Without generated types it is `any`. */
type DataOf<D> = D extends TypedDocumentNode<infer Data, any> ? (unknown extends Data ? any : Data) : never;

/** The number of a cache's epoch. A new epoch begins when a restored backup or a failover takes herald back in time. */
const epochs = new WeakMap<ApolloCache, number>();
const epochOf = (cache: ApolloCache) => epochs.get(cache) ?? 0;

/** Fails a request whose answer comes after the end of the epoch in which it was sent. The caller sends it again. */
const guard = new ApolloLink((operation, forward) => {
  const { cache } = operation.client;
  const epoch = epochOf(cache);
  return forward(operation).pipe(tap(() => {
    if (epoch !== epochOf(cache)) throw new Error('This answer is of an epoch that has ended');
  }));
});

/** Keeps the greater of two values. They only grow within an epoch, but an old answer may come after a new event. */
function growing<T>(rank: (value: T) => number): FieldPolicy<T> {
  return {
    merge(known, came, { cache, storage }) {
      const isComparable = known !== undefined && storage['epoch'] === epochOf(cache);
      storage['epoch'] = epochOf(cache);
      return isComparable && rank(known) > rank(came) ? known : came;
    },
  };
}

type Edge = { node: Reference };
type List = { edges: Edge[]; pageInfo?: { startCursor: string } };

/** Merges pages, events and answers, in whatever order they come, into one list in the order of `sentAt`. */
const messages: FieldPolicy<List> = {
  keyArgs: false,
  merge(known = { edges: [] }, came, { args, readField }) {
    const isBefore = !!args?.['before'];
    if (isBefore && args['before'] !== known.pageInfo?.startCursor) return known; // The list begins elsewhere by now.
    const sentAt = ({ node }: Edge) => readField<string>('sentAt', node)!;
    const refs = new Set(came.edges.map(({ node }) => node.__ref));
    // The newest page replaces every message up to its end, since there may be a gap before it. Newer messages stay.
    const begin = came.pageInfo && !isBefore && came.edges.length ? sentAt(came.edges.at(-1)!) : '';
    const others = known.edges.filter((edge) => !refs.has(edge.node.__ref) && sentAt(edge) >= begin);
    return { ...known, ...came, edges: [...others, ...came.edges].sort((a, b) => (sentAt(a) < sentAt(b) ? -1 : 1)) };
  },
};

/** Makes a client. Without `socket`, its subscriptions come over multipart HTTP. */
export function connect(to: { http: string; socket?: string; token: string; connectionId: string }): ApolloClient {
  const { connectionId } = to;
  const authorization = `Bearer ${to.token}`;
  const http = new HttpLink({ uri: to.http, headers: { authorization, 'X-Connection-Id': connectionId } });
  // The retry of graphql-ws would begin again at the first cursor, so it is off. `follow` resumes after the last one.
  const socket = { url: to.socket!, connectionParams: { authorization, connectionId }, retryAttempts: 0 };
  const live = to.socket ? new GraphQLWsLink(createClient(socket)) : http;
  return new ApolloClient({
    link: guard.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, live, http),
    defaultOptions: { watchQuery: { refetchWritePolicy: 'merge' } }, // Otherwise `refetch` overwrites newer values.
    cache: new InMemoryCache({
      possibleTypes: generated.possibleTypes,
      typePolicies: {
        Conversation: { fields: { messages } },
        Message: {
          fields: {
            status: growing((status: string) => ['SENT', 'DELIVERED', 'READ'].indexOf(status)),
            deliveredCount: growing(Number),
            readCount: growing(Number),
          },
        },
        Subscription: { fields: { events: { keyArgs: false, merge: false } } }, // Events replace each other.
      },
    }),
  });
}

/** Reads the newest messages into the cache. Returns the cursor after which to follow. */
export async function snapshot(client: ApolloClient, id: string): Promise<string> {
  const { data } = await client.query<DataOf<typeof CONVERSATION>>({
    query: CONVERSATION, variables: { id }, fetchPolicy: 'network-only',
  });
  return data!.cursor;
}

/** Emits every event after a cursor, once and in order. The cache has an event before the observable emits it. */
export function follow(client: ApolloClient, id: string, after?: string) {
  return defer(async () => (after ??= await snapshot(client, id))).pipe(
    concatMap((after) => client.subscribe<DataOf<typeof EVENTS>>({
      query: EVENTS, variables: { id, after },
      context: { queryDeduplication: false }, // Otherwise a second follower joins the first, and misses what that had.
    })),
    map(({ data, error }) => {
      if (!data) throw error;
      return data.events;
    }),
    concatMap(async (event) => {
      // A changed status needs no code: the cache finds each message by its id and takes the status of the event.
      if (event.__typename === 'MessageSent') show(client.cache, id, event.message);
      // An event lists 200 messages at most. So there may be more: read the newest page again.
      if (event.__typename === 'StatusChanged' && event.messages.length === 200) await snapshot(client, id);
      after = event.cursor;
      return event;
    }),
    retry({
      resetOnSuccess: true,
      delay(error, failures) {
        const code = codeOf(error);
        if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') {
          forget(client.cache, id);
          after = undefined; // `defer` takes a new snapshot.
        } else if (code && code !== 'UNAVAILABLE') throw error;
        return timer(Math.min(50 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2));
      },
    }),
  );
}

/** The code with which herald refused. It is undefined when the connection was lost. */
function codeOf(error: Error): unknown {
  if (CombinedGraphQLErrors.is(error)) return error.errors[0]?.extensions?.code;
  if (ServerError.is(error) && error.statusCode === 401) return 'UNAUTHENTICATED';
  return /^Socket closed with event (44(?!08)\d\d)/.exec(error.message)?.[1];
}

/** Removes the messages from the cache. In the next epoch, messages may be missing and statuses lower. */
function forget(cache: ApolloCache, id: string): void {
  epochs.set(cache, epochOf(cache) + 1);
  cache.evict({ id: `Conversation:${id}`, fieldName: 'messages' });
}

/** Puts a message into the list, once. Call it with the answer of `sendMessage`: this client gets no event for that. */
export function show(cache: ApolloCache, id: string, message: { id: string }): void {
  const node = { __typename: 'Message' as const, id: message.id };
  const edges = [{ __typename: 'MessageEdge' as const, node }];
  const messages = { __typename: 'MessageConnection' as const, edges };
  cache.writeFragment({ fragment: PLACE, id: `Conversation:${id}`, data: { __typename: 'Conversation', messages } });
}
