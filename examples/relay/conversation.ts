/** A conversation in Relay's store. It stays right through lost connections, late answers and restored backups. */

import { createClient, type Sink } from 'graphql-ws';
import {
  commitLocalUpdate, ConnectionHandler, DefaultHandlerProvider, Environment, fetchQuery, generateClientID, graphql,
  type GraphQLResponse, Network, Observable, type RecordProxy, RecordSource, type RecordSourceProxy, requestSubscription,
  Store,
} from 'relay-runtime';

import type { conversationQuery } from './__generated__/conversationQuery.graphql.ts';
import type { conversationSubscription } from './__generated__/conversationSubscription.graphql.ts';

graphql`
  fragment conversation_message on Message { id body sentAt sender { handle } status deliveredCount readCount }
`;

/** The messages of a conversation. In React, pass it to `usePaginationFragment`. */
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

/** The ids of the lists in the store that show a conversation, for `$connections`. */
export const connectionsOf = (id: string) => [ConnectionHandler.getConnectionID(id, 'conversation_messages')];

/** Fields whose value only grows within an epoch, each with a function that makes a number of it. */
const GROWING: Record<string, (value: any) => number> = {
  status: (status) => ['SENT', 'DELIVERED', 'READ'].indexOf(status),
  deliveredCount: (count = 0) => count,
  readCount: (count = 0) => count,
};

/** Keeps the greatest value of the fields above: an old answer may come after a new event. */
export class Furthest extends Store {
  readonly #furthest = new Map<string, any>();
  #isOptimistic = false;
  /** Ends the requests under way when their epoch ends. The callers send them again. */
  requests = new AbortController();

  /** From here until `restore`, only optimistic updates are published. */
  override snapshot(): void {
    this.#isOptimistic = true;
    super.snapshot();
  }

  override restore(): void {
    this.#isOptimistic = false;
    super.restore();
  }

  /** Is told of every answer and event. A record is written only where one changes it. */
  override publish(source: RecordSource, invalidated?: Set<string>): void {
    for (const id of this.#isOptimistic ? [] : source.getRecordIDs()) {
      const record: any = source.get(id);
      if (record?.__typename !== 'Message') continue;
      const known = this.#furthest.get(id);
      const news = Object.entries(GROWING).filter(([field]) => field in record).map(([field, rank]) =>
        [field, (rank(known?.[field]) > rank(record[field]) ? known : record)[field]]);
      this.#furthest.set(id, { ...known, ...Object.fromEntries(news) });
      source.set(id, { ...record, ...Object.fromEntries(news) });
    }
    super.publish(source, invalidated);
  }

  /** Call it when a restored backup or a failover has taken herald back in time: then statuses may be lower. */
  endEpoch(): void {
    this.#furthest.clear();
    this.requests.abort(new Error('The epoch that this was asked of has ended'));
    this.requests = new AbortController();
  }
}

const nodeIn = (edge: RecordProxy) => edge.getLinkedRecord('node')!;
const sentAt = (edge: RecordProxy) => nodeIn(edge).getValue('sentAt') as string;

/** Adds the edges that a list does not have yet, and sorts by `sentAt`, as the log does. */
function insert(list: RecordProxy, others: RecordProxy[]): void {
  const edges = list.getLinkedRecords('edges') ?? [];
  const known = new Set(edges.map((edge) => nodeIn(edge).getDataID()));
  const added = others.filter((edge) => !known.has(nodeIn(edge).getDataID()));
  if (added.length) list.setLinkedRecords([...edges, ...added].sort((a, b) => (sentAt(a) < sentAt(b) ? -1 : 1)), 'edges');
}

/** The id of a record that holds messages which come before the first page of a list. */
const early = (list: string) => `${list}:early`;

/** Pages, answers and events may come in any order. So these sort what they insert, and keep newer messages. */
const HANDLERS: Record<string, (store: RecordSourceProxy, payload: any) => void> = {
  connection(store, payload) {
    const id = generateClientID(payload.dataID, payload.handleKey);
    const known = (store.get(id) ?? store.get(early(id)))?.getLinkedRecords('edges') ?? [];
    ConnectionHandler.update(store, payload);
    const list = store.get(id);
    if (list?.getType() !== 'MessageConnection' || payload.args.before) return;
    const end = list.getLinkedRecords('edges')?.at(-1);
    // The newest page replaces every message up to its end, since there may be a gap before it.
    insert(list, known.filter((edge) => !end || sentAt(edge) >= sentAt(end)));
  },
  appendNode(store, { dataID, fieldKey, handleArgs }) {
    const message = store.get(dataID)?.getLinkedRecord(fieldKey);
    for (const id of message ? handleArgs.connections : []) {
      const list = store.get(id) ?? store.get(early(id)) ?? store.create(early(id), 'MessageConnection');
      insert(list, [ConnectionHandler.createEdge(store, list, message!, handleArgs.edgeTypeName)]);
    }
  },
};

/** Makes an environment. Without a token it serves to sign in. */
export function connect(to: { http: string; socket: string; token?: string; connectionId: string }): Environment {
  const { connectionId } = to;
  const session = to.token && { authorization: `Bearer ${to.token}` };
  const headers = { 'content-type': 'application/json', 'X-Connection-Id': connectionId, ...session };
  // The retry of graphql-ws would begin again at the first cursor, so it is off. `follow` resumes after the last one.
  const socket = createClient({ url: to.socket, connectionParams: { connectionId, ...session }, retryAttempts: 0 });
  const store = new Furthest(new RecordSource());
  const network = Network.create(
    async ({ text: query }, variables) => {
      const { signal } = store.requests;
      const body = JSON.stringify({ query, variables });
      const response = await fetch(to.http, { method: 'POST', headers, body, signal });
      return (await response.json()) as GraphQLResponse;
    },
    ({ text }, variables) => Observable.create((sink) => socket.subscribe({ query: text!, variables }, sink as Sink)),
  );
  const handlerProvider = (name: string) => {
    const update = HANDLERS[name];
    return update ? { update } : DefaultHandlerProvider(name);
  };
  return new Environment({ network, handlerProvider, store });
}

/** Follows a conversation after a cursor, or after a new snapshot, until it is aborted. Rejects when herald refuses. */
export async function follow(
  environment: Environment, id: string, after: string | undefined, see: (event: Event) => void, signal: AbortSignal,
): Promise<void> {
  let leave = () => {};
  signal.addEventListener('abort', () => leave());
  for (let [failures, isOutdated] = [0, !after]; !signal.aborted; failures++) {
    try {
      if (isOutdated) {
        const snapshot = await fetchQuery<conversationQuery>(environment, CONVERSATION, { id }).toPromise();
        after ??= snapshot!.cursor;
        isOutdated = false;
      }
      signal.throwIfAborted();
      return await new Promise((resolve, reject) => {
        const { dispose } = requestSubscription<conversationSubscription>(environment, {
          subscription: EVENTS,
          variables: { id, after: after!, connections: connectionsOf(id) },
          onNext(data) {
            see(data!.events);
            after = data!.events.cursor;
            failures = 0;
            if (data!.events.messages?.length !== 200) return;
            // An event lists 200 messages at most. So there may be more: read the newest page again.
            isOutdated = true;
            reject(dispose());
          },
          onError: reject,
          onCompleted: resolve,
        });
        leave = () => resolve(dispose());
      });
    } catch (cause) {
      const code = codeOf(cause);
      if (code === 'CURSOR_INVALID' || code === 'CURSOR_EXPIRED') {
        (environment.getStore() as Furthest).endEpoch();
        commitLocalUpdate(environment, (store) => {
          for (const list of connectionsOf(id)) store.get(list)?.setLinkedRecords([], 'edges');
        });
        [after, isOutdated] = [undefined, true]; // Take a new snapshot.
      } else if (typeof code === 'string' ? code !== 'UNAVAILABLE' : REFUSALS.includes(code!)) throw cause;
    }
    // The pause doubles up to 5 s. Its length is partly random, so that not all clients come back at once.
    const pause = Math.min(50 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** herald closes a socket with these codes when it would close the next one, too. */
const REFUSALS = [4400, 4401, 4403, 4406, 4409, 4429];

/** The code of an answer's or a subscription's error, or the close code of the socket. */
function codeOf(cause: any): string | number | undefined {
  const errors = Array.isArray(cause) ? cause : cause?.source?.errors;
  return errors ? errors[0].extensions?.code : cause?.code;
}
