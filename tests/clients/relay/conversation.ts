/** A conversation in Relay's store that stays up to date, whatever becomes of the connection. */

import { createClient, type Sink } from 'graphql-ws';
import {
  ConnectionHandler, Environment, fetchQuery, graphql, type GraphQLResponse, Network, Observable, RecordSource,
  requestSubscription, Store,
} from 'relay-runtime';

import type { conversationQuery } from './__generated__/conversationQuery.graphql.ts';
import type { conversationSubscription } from './__generated__/conversationSubscription.graphql.ts';

graphql`fragment conversation_message on Message { id body sender { handle } status deliveredCount readCount }`;

/** What is shown of a conversation. In React, it is for `usePaginationFragment`. */
export const MESSAGES = graphql`
  fragment conversation_messages on Conversation
  @refetchable(queryName: "conversationPageQuery")
  @argumentDefinitions(last: { type: "Int", defaultValue: 50 }, before: { type: "String" }) {
    messages(last: $last, before: $before) @connection(key: "conversation_messages") {
      edges { node { ...conversation_message @relay(mask: false) } }
      pageInfo { hasPreviousPage startCursor }
    }
  }
`;

export const CONVERSATION = graphql`
  query conversationQuery($id: ID!) { cursor conversation(id: $id) { ...conversation_messages } }
`;

export const SEND = graphql`
  mutation conversationSendMutation($input: SendMessageInput!, $connections: [ID!]!) {
    sendMessage(input: $input) {
      message @appendNode(connections: $connections, edgeTypeName: "MessageEdge") {
        ...conversation_message @relay(mask: false)
      }
    }
  }
`;

const EVENTS = graphql`
  subscription conversationSubscription($id: ID!, $after: Cursor!, $connections: [ID!]!) {
    events(conversationId: $id, after: $after) {
      cursor
      ... on MessageSent {
        message @appendNode(connections: $connections, edgeTypeName: "MessageEdge") {
          ...conversation_message @relay(mask: false)
        }
      }
      ... on StatusChanged { status messages(first: 200) { id status deliveredCount readCount } }
    }
  }
`;

export type Event = conversationSubscription['response']['events'];

/** The `$connections` above: where the store keeps what is shown of a conversation. */
export const connectionsOf = (id: string) => [ConnectionHandler.getConnectionID(id, 'conversation_messages')];

/** Without a token, to sign in. */
export function connect(to: { http: string; socket: string; token?: string; connectionId: string }): Environment {
  const { connectionId } = to;
  const session = to.token && { authorization: `Bearer ${to.token}` };
  const headers = { 'content-type': 'application/json', 'X-Connection-Id': connectionId, ...session };
  // Its own retry is off: it would begin again at the first cursor.
  const socket = createClient({ url: to.socket, connectionParams: { connectionId, ...session }, retryAttempts: 0 });
  const network = Network.create(
    async ({ text: query }, variables) => {
      const response = await fetch(to.http, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
      return (await response.json()) as GraphQLResponse;
    },
    ({ text }, variables) => Observable.create((sink) => socket.subscribe({ query: text!, variables }, sink as Sink)),
  );
  return new Environment({ network, store: new Store(new Records()) });
}

/** An answer may arrive after an event that is newer. Statuses only ever move forward: here as well. */
class Records extends RecordSource {
  override set(id: string, record: any): void {
    const known: any = this.get(id);
    const isOlder = record.deliveredCount + record.readCount < known?.deliveredCount + known?.readCount;
    const { status, deliveredCount, readCount } = isOlder ? known : record;
    super.set(id, isOlder ? { ...record, status, deliveredCount, readCount } : record);
  }
}

/** Follows a conversation from a snapshot's cursor on, until it is aborted. Fails if it is refused. */
export async function follow(
  environment: Environment, id: string, after: string | undefined, see: (event: Event) => void, signal: AbortSignal,
): Promise<void> {
  let leave = () => {};
  signal.addEventListener('abort', () => leave());
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      after ??= (await fetchQuery<conversationQuery>(environment, CONVERSATION, { id }).toPromise())!.cursor;
      signal.throwIfAborted();
      return await new Promise((resolve, reject) => {
        const { dispose } = requestSubscription<conversationSubscription>(environment, {
          subscription: EVENTS,
          variables: { id, after: after!, connections: connectionsOf(id) },
          onNext(data) {
            see(data!.events);
            after = data!.events.cursor;
            failures = 0;
          },
          onError: reject,
          onCompleted: resolve,
        });
        leave = () => resolve(dispose());
      });
    } catch (cause) {
      const code = codeOf(cause);
      if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') after = undefined; // begins with a new snapshot
      else if (typeof code === 'string' ? code !== 'UNAVAILABLE' : REFUSALS.includes(code!)) throw cause;
    }
    // Longer each time, up to 5 s, and not all clients at once.
    const pause = Math.min(50 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** With these, herald closes a socket that it would close again. */
const REFUSALS = [4400, 4401, 4403, 4406, 4409, 4429];

/** What an answer's or a subscription's error says, or how the socket was closed. */
function codeOf(cause: any): string | number | undefined {
  const errors = Array.isArray(cause) ? cause : cause.source?.errors;
  return errors ? errors[0].extensions?.code : cause.code;
}
