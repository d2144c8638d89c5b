/** A conversation in Apollo Client's cache that stays up to date, whatever becomes of the connection. */

import { type ApolloCache, ApolloClient, ApolloLink, HttpLink, InMemoryCache, type Reference } from '@apollo/client';
import { CombinedGraphQLErrors, ServerError } from '@apollo/client/errors';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import { concatMap, defer, map, retry, tap, timer } from 'rxjs';

import { graphql } from './generated/gql.ts'; // Or, without types: import { gql as graphql } from '@apollo/client'.

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

/** A client. Without the address of a socket, its subscriptions come over HTTP as well. */
export function connect(to: { http: string; socket?: string; token: string; connectionId: string }): ApolloClient {
  const { connectionId } = to;
  const authorization = `Bearer ${to.token}`;
  const http = new HttpLink({ uri: to.http, headers: { authorization, 'X-Connection-Id': connectionId } });
  // Without retries of its own, which would begin again at the first cursor: `follow` goes on from the last.
  const socket = { url: to.socket!, connectionParams: { authorization, connectionId }, retryAttempts: 0 };
  const live = to.socket ? new GraphQLWsLink(createClient(socket)) : http;
  return new ApolloClient({
    link: ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, live, http),
    cache: new InMemoryCache({
      possibleTypes: {
        Event: ['ConversationStarted', 'MessageSent', 'ParticipantLeft', 'ParticipantsJoined', 'StatusChanged'],
      },
      typePolicies: {
        Conversation: { fields: { messages: relayStylePagination() } },
        Subscription: { fields: { events: { keyArgs: false, merge: false } } }, // One event takes the other's place.
      },
    }),
  });
}

/** Reads the newest messages into the cache. Returns the cursor from which on to follow what happens to them. */
export async function snapshot(client: ApolloClient, id: string): Promise<string> {
  const { data } = await client.query({ query: CONVERSATION, variables: { id }, fetchPolicy: 'network-only' });
  return data!.cursor;
}

/** Every event after a cursor, once and in order. They are in the cache by the time that they are told. */
export function follow(client: ApolloClient, id: string, after?: string) {
  return defer(async () => (after ??= await snapshot(client, id))).pipe(
    concatMap((after) => client.subscribe({
      query: EVENTS, variables: { id, after },
      context: { queryDeduplication: false }, // Who is late would join another's subscription, and miss what that had.
    })),
    map(({ data, error }) => {
      if (!data) throw error;
      return data.events;
    }),
    tap((event) => {
      // A changed status needs no code: the cache knows each message by its id, and shows what the event says of it.
      if (event.__typename === 'MessageSent') show(client.cache, id, event.message);
      after = event.cursor;
    }),
    retry({
      resetOnSuccess: true,
      delay(error, failures) {
        const code = codeOf(error);
        if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') after = undefined; // Take another snapshot.
        else if (code && code !== 'UNAVAILABLE') throw error;
        return timer(Math.min(50 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2));
      },
    }),
  );
}

/** Why herald refused; undefined where it did not, but the connection was lost. */
function codeOf(error: Error): unknown {
  if (CombinedGraphQLErrors.is(error)) return error.errors[0]?.extensions?.code;
  if (ServerError.is(error) && error.statusCode === 401) return 'UNAUTHENTICATED';
  return /^Socket closed with event (44(?!08)\d\d)/.exec(error.message)?.[1];
}

/** Puts a message where it belongs, unless it is there: also the answer of `sendMessage`, which is no event here. */
export function show(cache: ApolloCache, id: string, message: { id: string; sentAt: string }): void {
  cache.modify({
    id: `Conversation:${id}`,
    fields: {
      messages(list, { readField, toReference }) {
        const edges: { node: Reference }[] = list.edges;
        if (edges.some(({ node }) => readField('id', node) === message.id)) return list;
        const earlier = edges.filter(({ node }) => readField<string>('sentAt', node)! <= message.sentAt).length;
        const edge = { __typename: 'MessageEdge', node: toReference(message)! };
        return { ...list, edges: edges.toSpliced(earlier, 0, edge) };
      },
    },
  });
}
