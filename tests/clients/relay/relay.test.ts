/** relay-runtime with documents from relay-compiler: all that Relay asks of a server, and the example held to it. */

import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import {
  commitLocalUpdate,
  commitMutation,
  createOperationDescriptor,
  createReaderSelector,
  Environment,
  fetchQuery,
  getFragment,
  getPaginationMetadata,
  getPaginationVariables,
  getRequest,
  getSingularSelector,
  graphql,
  type GraphQLResponse,
  type GraphQLTaggedNode,
  type MutationConfig,
  type MutationParameters,
  Network,
  type OperationType,
  RecordSource,
  requestSubscription,
  type SingularReaderSelector,
  Store,
} from 'relay-runtime';
import { describe, expect, onTestFinished, vi } from 'vitest';
import WebSocket from 'ws';

import PAGE, { type conversationPageQuery } from '../../../examples/relay/__generated__/conversationPageQuery.graphql.ts';
import type { conversationQuery } from '../../../examples/relay/__generated__/conversationQuery.graphql.ts';
import type { conversationSendMutation } from '../../../examples/relay/__generated__/conversationSendMutation.graphql.ts';
import type { conversation_messages$data } from '../../../examples/relay/__generated__/conversation_messages.graphql.ts';
import { connect, connectionsOf, CONVERSATION, type Event, follow, type Furthest, MESSAGES, SEND } from '../../../examples/relay/conversation.ts';
import { test } from '../fixtures.ts';
import { Herald } from '../herald.ts';
import type { Proxy } from '../proxy.ts';
import { races } from '../race.ts';
import { converses } from '../scenario.ts';
import { User } from '../user.ts';
import type { relay_pages$data } from './__generated__/relay_pages.graphql.ts';
import type { relayDeliveredMutation } from './__generated__/relayDeliveredMutation.graphql.ts';
import type { relayLoginMutation } from './__generated__/relayLoginMutation.graphql.ts';
import type { relayNodeQuery } from './__generated__/relayNodeQuery.graphql.ts';
import type { relayNodesQuery } from './__generated__/relayNodesQuery.graphql.ts';
import type { relayPagesQuery } from './__generated__/relayPagesQuery.graphql.ts';
import type { relayReadMutation } from './__generated__/relayReadMutation.graphql.ts';
import type { relayRegisterMutation } from './__generated__/relayRegisterMutation.graphql.ts';
import type { relayStartMutation } from './__generated__/relayStartMutation.graphql.ts';
import type { relayStatusSubscription } from './__generated__/relayStatusSubscription.graphql.ts';
import type { relayTooManyQuery } from './__generated__/relayTooManyQuery.graphql.ts';

// Node 20 has none of its own.
vi.stubGlobal('WebSocket', WebSocket);

const LOGIN = graphql`
  mutation relayLoginMutation($input: LoginInput!) { login(input: $input) { token user { id handle } } }
`;

const DELIVERED = graphql`
  mutation relayDeliveredMutation($input: MarkInput!) {
    markDelivered(input: $input) { message { status deliveredCount readCount } }
  }
`;

const READ = graphql`
  mutation relayReadMutation($input: MarkInput!) @raw_response_type {
    markRead(input: $input) { message { status deliveredCount readCount } }
  }
`;

converses('Relay over WebSocket', {
  async signIn(network, { handle, password }) {
    const stranger = connect({ http: network.http, socket: network.socket, connectionId: 'laptop' });
    const { login } = await commit<relayLoginMutation>(stranger, LOGIN, { input: { handle, password } });
    const environment = environmentOf(network, login.token);
    const leaving = new AbortController();
    let following: Promise<void> | undefined;
    return {
      history: (conversationId, size) => history(environment, conversationId, size),
      send: (id, body) => send(environment, id, body),
      async markDelivered(messageId) {
        const input = { messageId };
        const { markDelivered } = await commit<relayDeliveredMutation>(environment, DELIVERED, { input });
        return markDelivered.message.status;
      },
      async markRead(messageId) {
        const input = { messageId };
        const { markRead } = await commit<relayReadMutation>(environment, READ, { input });
        return markRead.message.status;
      },
      async follow(id, see) {
        const { cursor } = await ask<conversationQuery>(environment, CONVERSATION, { id });
        const tell = ({ message, messages, status }: Event) =>
          see(message ? { said: message.body } : { status: status!, messageId: messages![0]!.id });
        following = follow(environment, id, cursor, tell, leaving.signal);
      },
      leave() {
        leaving.abort();
        return following;
      },
    };
  },
});

races('Relay', (network, user) => {
  const environment = environmentOf(network, user.token);
  const open = new Map<string, AbortController>();
  const refetch = (id: string) => ask<conversationQuery>(environment, CONVERSATION, { id });
  return {
    async open(id) {
      open.set(id, new AbortController());
      void follow(environment, id, (await refetch(id)).cursor, () => {}, open.get(id)!.signal);
    },
    close: (id) => open.get(id)!.abort(),
    refetch,
    readBack(id) {
      const { startCursor } = listIn(environment, id)!.messages.pageInfo;
      return ask<conversationPageQuery>(environment, PAGE, { id, last: 50, before: startCursor });
    },
    send: (id, body) => send(environment, id, body),
    markDelivered: (messageId) => commit<relayDeliveredMutation>(environment, DELIVERED, { input: { messageId } }),
    shown: (id) => messagesIn(environment, id),
    leave: () => open.forEach((leaving) => leaving.abort()),
  };
});

describe('nodes', () => {
  const NODE = graphql`
    query relayNodeQuery($id: ID!) {
      node(id: $id) {
        __typename
        id
        ... on User { handle }
        ... on Conversation { unreadCount }
        ... on Message { body status }
      }
    }
  `;

  const NODES = graphql`query relayNodesQuery($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`;

  test('a user, a conversation and a message are refetched by id, and what the store has of them is updated', async ({
    network, alice, bob, conversationId,
  }) => {
    const { id } = await bob.send(conversationId, 'hello');
    const environment = environmentOf(network, bob.token);
    await ask<conversationQuery>(environment, CONVERSATION, { id: conversationId });
    expect(messagesIn(environment, conversationId)).toMatchObject([{ id, status: 'SENT' }]);
    await alice.markRead(id);

    const message = await ask<relayNodeQuery>(environment, NODE, { id });
    expect(message.node).toEqual({ __typename: 'Message', id, body: 'hello', status: 'READ' });
    expect(messagesIn(environment, conversationId)).toMatchObject([{ id, status: 'READ' }]);

    const conversation = await ask<relayNodeQuery>(environment, NODE, { id: conversationId });
    expect(conversation.node).toEqual({ __typename: 'Conversation', id: conversationId, unreadCount: 0 });

    const credentials = { handle: bob.handle, password: bob.password };
    const { login } = await commit<relayLoginMutation>(environment, LOGIN, { input: credentials });
    const user = await ask<relayNodeQuery>(environment, NODE, { id: login.user.id });
    expect(user.node).toEqual({ __typename: 'User', id: login.user.id, handle: bob.handle });
  });

  test('several at once come in the order that was asked for, with null for what is not to be seen', async ({
    herald, network, alice, bob, conversationId,
  }) => {
    const mine = await bob.send(conversationId, 'mine');
    const carol = await User.register(herald, 'carol');
    const elsewhere = await alice.converse(carol);
    const foreign = await alice.send(elsewhere, 'not for Bob');

    const environment = environmentOf(network, bob.token);
    const ids = [foreign.id, conversationId, 'msg_00000000000000000000000000000000', mine.id, elsewhere];
    expect((await ask<relayNodesQuery>(environment, NODES, { ids })).nodes).toEqual([
      null,
      { __typename: 'Conversation', id: conversationId },
      null,
      { __typename: 'Message', id: mine.id },
      null,
    ]);
    for (const id of [foreign.id, elsewhere, 'gibberish']) {
      expect((await ask<relayNodeQuery>(environment, NODE, { id })).node).toBeNull();
    }
  });
});

describe('a connection', () => {
  const PAGES = graphql`
    fragment relay_pages on Conversation
    @refetchable(queryName: "relayPagesRefetchQuery")
    @argumentDefinitions(
      first: { type: "Int" }
      after: { type: "String" }
      last: { type: "Int" }
      before: { type: "String" }
    ) {
      messages(first: $first, after: $after, last: $last, before: $before) @connection(key: "relay_pages_messages") {
        edges { cursor node { body } }
        pageInfo { hasPreviousPage hasNextPage startCursor endCursor }
      }
    }
  `;

  const FIRST_PAGE = graphql`
    query relayPagesQuery($id: ID!, $first: Int, $last: Int) {
      conversation(id: $id) { ...relay_pages @arguments(first: $first, last: $last) }
    }
  `;

  /** What the hook `usePaginationFragment` does. */
  async function turnPages(environment: Environment, id: string, size: { first: number } | { last: number }) {
    const { conversation } = await ask<relayPagesQuery>(environment, FIRST_PAGE, { id, ...size });
    const fragment = getFragment(PAGES);
    const selector = getSingularSelector(fragment, conversation);
    const { paginationRequest, paginationMetadata } = getPaginationMetadata(fragment, 'pages');
    const read = () => (environment.lookup(selector).data as unknown as relay_pages$data).messages;
    return {
      /** Every message that was loaded, and whether there is more at the ends. */
      get list() {
        const { edges, pageInfo } = read();
        const bodies = edges.map(({ node }) => node.body);
        return { bodies, before: pageInfo.hasPreviousPage, after: pageInfo.hasNextPage };
      },
      /** The ends of what was loaded, by the list's cursors. */
      get ends() {
        const { edges, pageInfo } = read();
        const [first, last] = [edges[0], edges.at(-1)];
        return { start: [pageInfo.startCursor, first?.cursor], end: [pageInfo.endCursor, last?.cursor] };
      },
      async turn(direction: 'forward' | 'backward', count: number) {
        const { startCursor, endCursor } = read().pageInfo;
        const cursor = direction === 'forward' ? endCursor! : startCursor!;
        const variables = getPaginationVariables(direction, count, cursor, {}, {}, paginationMetadata);
        await ask(environment, paginationRequest, { ...variables, id });
      },
    };
  }

  test('is read backwards, from the newest page to the beginning', async ({
    network, alice, bob, conversationId,
  }) => {
    for (const body of ['1', '2', '3', '4', '5']) await alice.send(conversationId, body);
    const pages = await turnPages(environmentOf(network, bob.token), conversationId, { last: 2 });
    expect(pages.list).toEqual({ bodies: ['4', '5'], before: true, after: false });

    await alice.send(conversationId, '6');
    await pages.turn('backward', 2);
    expect(pages.list).toEqual({ bodies: ['2', '3', '4', '5'], before: true, after: false });
    await pages.turn('backward', 2);
    expect(pages.list).toEqual({ bodies: ['1', '2', '3', '4', '5'], before: false, after: false });

    // And what came meanwhile is behind the end.
    await pages.turn('forward', 2);
    expect(pages.list).toEqual({ bodies: ['1', '2', '3', '4', '5', '6'], before: false, after: false });
    const { start, end } = pages.ends;
    expect(start[0]).toBe(start[1]);
    expect(end[0]).toBe(end[1]);
  });

  test('is read forwards, from the beginning to the newest page', async ({ network, alice, bob, conversationId }) => {
    for (const body of ['1', '2', '3', '4', '5']) await alice.send(conversationId, body);
    const pages = await turnPages(environmentOf(network, bob.token), conversationId, { first: 2 });
    expect(pages.list).toEqual({ bodies: ['1', '2'], before: false, after: true });

    await pages.turn('forward', 2);
    expect(pages.list).toEqual({ bodies: ['1', '2', '3', '4'], before: false, after: true });
    await pages.turn('forward', 2);
    expect(pages.list).toEqual({ bodies: ['1', '2', '3', '4', '5'], before: false, after: false });

    // There is nothing behind either end, and to ask for it does no harm.
    await pages.turn('forward', 2);
    await pages.turn('backward', 2);
    expect(pages.list).toEqual({ bodies: ['1', '2', '3', '4', '5'], before: false, after: false });
    const { start, end } = pages.ends;
    expect(start[0]).toBe(start[1]);
    expect(end[0]).toBe(end[1]);
  });

  test('of nothing has no ends', async ({ network, bob, conversationId }) => {
    const pages = await turnPages(environmentOf(network, bob.token), conversationId, { last: 2 });
    expect(pages.list).toEqual({ bodies: [], before: false, after: false });
    expect(pages.ends).toEqual({ start: [null, undefined], end: [null, undefined] });
  });

  test('takes what is sent and what is said by others at its end, once', async ({
    network, alice, bob, conversationId,
  }) => {
    for (const body of ['1', '2', '3']) await alice.send(conversationId, body);
    const { cursor } = await alice.request<{ cursor: string }>(`{ cursor }`);
    await alice.send(conversationId, '4');

    // This event is in the snapshot as well.
    const environment = environmentOf(network, bob.token);
    await ask<conversationPageQuery>(environment, PAGE, { id: conversationId, last: 2 });
    const seen = following(environment, conversationId, cursor);
    await send(environment, conversationId, '5');
    await alice.send(conversationId, '6');
    await shows(environment, conversationId, endingWith('6'));
    expect(seen.map(({ message }) => message!.body)).toEqual(['4', '6']);

    expect(await history(environment, conversationId, 2)).toEqual(['1', '2', '3', '4', '5', '6']);
  });
});

describe('statuses', () => {
  const MESSAGE_STATUS = graphql`fragment relay_status on Message { status }`;

  const STATUS = graphql`
    subscription relayStatusSubscription($after: Cursor!) {
      statusChanged(after: $after) { messages { id status deliveredCount readCount } }
    }
  `;

  test('show in whatever is on display, by themselves', async ({ network, alice, bob, conversationId }) => {
    for (const body of ['one', 'two']) await alice.send(conversationId, body);
    const environment = environmentOf(network, alice.token);
    const { cursor } = await ask<conversationQuery>(environment, CONVERSATION, { id: conversationId });
    const [one, two] = messagesIn(environment, conversationId);
    const { dispose } = requestSubscription<relayStatusSubscription>(environment, {
      subscription: STATUS,
      variables: { after: cursor },
    });
    onTestFinished(dispose);

    const asked = vi.spyOn(globalThis, 'fetch');
    onTestFinished(() => asked.mockRestore());
    await bob.markDelivered(two!.id);
    const delivered = { status: 'DELIVERED', deliveredCount: 1, readCount: 0 };
    const both = await shows(environment, conversationId, (messages) => messages[1]?.status === 'DELIVERED');
    expect(both).toEqual([{ ...one, ...delivered }, { ...two, ...delivered }]);

    await bob.markRead(one!.id);
    await shows(environment, conversationId, (messages) => messages[0]?.status === 'READ');
    expect(messagesIn(environment, conversationId).map(({ status }) => status)).toEqual(['READ', 'DELIVERED']);
    expect(asked.mock.calls.filter(([url]) => url === network.http)).toEqual([]);
  });

  test('are not taken back by an answer that arrives after a newer event', async ({
    network, alice, bob, conversationId,
  }) => {
    const environment = environmentOf(network, alice.token);
    const { cursor } = await ask<conversationQuery>(environment, CONVERSATION, { id: conversationId });
    following(environment, conversationId, cursor);

    // The server's answer is there, but it does not get through to Alice yet.
    const answers = new EventEmitter();
    const fetchNow = globalThis.fetch;
    const held = vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      const answer = await fetchNow(url, init);
      if (url !== network.http) return answer;
      answers.emit('arrival');
      await once(answers, 'release');
      return answer;
    });
    onTestFinished(() => held.mockRestore());
    const arrival = once(answers, 'arrival');
    const sending = send(environment, conversationId, 'question');
    await arrival;

    const { id } = (await bob.messages(conversationId))[0]!;
    await bob.markRead(id);
    const status = createReaderSelector(getFragment(MESSAGE_STATUS), id, {}, requestOf(conversationId));
    await sees<{ status?: string }>(environment, status, (message) => message?.status === 'READ');
    answers.emit('release');

    expect(await sending).toMatchObject({ id, status: 'READ', deliveredCount: 1, readCount: 1 });
    expect(messagesIn(environment, conversationId)).toMatchObject([{ body: 'question', status: 'READ' }]);
  });
});

test('a status that is so again after a restored backup is not taken back by an older answer', () => {
  const environment = connect({ http: 'http://none', socket: 'ws://none', connectionId: 'laptop' });
  const comes = (status: string) =>
    commitLocalUpdate(environment, (store) => void (store.get('m1') ?? store.create('m1', 'Message')).setValue(status, 'status'));
  comes('READ');
  (environment.getStore() as Furthest).endEpoch();
  comes('READ');
  comes('SENT');
  expect(environment.getStore().getSource().get('m1')!['status']).toBe('READ');
});

test('a mark that is shown ahead, and then refused, leaves nothing behind', async ({
  network, alice, conversationId,
}) => {
  const environment = environmentOf(network, alice.token);
  await ask<conversationQuery>(environment, CONVERSATION, { id: conversationId });
  const { id } = await send(environment, conversationId, 'mine');
  const message = { id, status: 'READ' as const, deliveredCount: 1, readCount: 1 };
  const marked = commit<relayReadMutation>(environment, READ, { input: { messageId: id } }, { markRead: { message } });
  expect(messagesIn(environment, conversationId)).toMatchObject([{ status: 'READ' }]);
  await expect(marked).rejects.toMatchObject(refusal('SENDER_CANNOT_MARK'));
  expect(messagesIn(environment, conversationId)).toMatchObject([{ status: 'SENT' }]);
});

describe('errors', () => {
  const TOO_MANY = graphql`
    query relayTooManyQuery($id: ID!) {
      conversation(id: $id) @catch { messages(last: 201) { edges { node { id } } } }
    }
  `;

  test('of a mutation come with their code', async ({ network, alice, conversationId }) => {
    const { id } = await alice.send(conversationId, 'mine');
    const environment = environmentOf(network, alice.token);
    const marked = commit<relayReadMutation>(environment, READ, { input: { messageId: id } });
    await expect(marked).rejects.toMatchObject(refusal('SENDER_CANNOT_MARK'));

    const guess = { input: { handle: alice.handle, password: 'guessed' } };
    const login = commit<relayLoginMutation>(environment, LOGIN, guess);
    await expect(login).rejects.toMatchObject(refusal('INVALID_CREDENTIALS'));
    const lost = send(environment, 'cnv_00000000000000000000000000000000', 'hello?');
    await expect(lost).rejects.toMatchObject(refusal('NOT_FOUND'));
  });

  test('of a field are caught where the document says so', async ({ network, alice, conversationId }) => {
    const environment = environmentOf(network, alice.token);
    const { conversation } = await ask<relayTooManyQuery>(environment, TOO_MANY, { id: conversationId });
    const error = { path: ['messages'], extensions: { code: 'BAD_INPUT' } };
    expect(conversation).toMatchObject({ ok: false, errors: [error] });
  });

  test('end a subscription for good, if trying again is in vain', async ({
    herald, network, alice, bob, conversationId,
  }) => {
    const { cursor } = await alice.request<{ cursor: string }>(`{ cursor }`);
    const { signal } = new AbortController();
    const see = () => {};

    const alone = await alice.converse(await User.register(herald, 'carol'));
    const refused = follow(environmentOf(network, bob.token), alone, cursor, see, signal);
    await expect(refused).rejects.toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);

    const stranger = connect({ http: network.http, socket: network.socket, connectionId: 'laptop' });
    const anonymous = follow(stranger, conversationId, cursor, see, signal);
    await expect(anonymous).rejects.toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);

    const impostor = environmentOf(network, 'a token of nobody');
    await expect(follow(impostor, conversationId, cursor, see, signal)).rejects.toMatchObject({ code: 4403 });
    const snapshot = follow(impostor, conversationId, undefined, see, signal);
    await expect(snapshot).rejects.toMatchObject(refusal('UNAUTHENTICATED'));
  });

  test('of a cursor lead to a new snapshot', async ({ network, alice, bob, conversationId }) => {
    const other = await Herald.create();
    onTestFinished(() => other.remove());
    const { cursor: foreign } = await (await User.register(other, 'alice')).request<{ cursor: string }>(`{ cursor }`);

    for (const [round, cursor] of ['gibberish', foreign].entries()) {
      await bob.send(conversationId, `before ${round}`);
      const environment = environmentOf(network, alice.token);
      const seen = following(environment, conversationId, cursor);
      await shows(environment, conversationId, endingWith(`before ${round}`));
      await bob.send(conversationId, `after ${round}`);
      const messages = await shows(environment, conversationId, endingWith(`after ${round}`));
      const said = await bob.messages(conversationId);
      expect(messages.map(({ body }) => body)).toEqual(said.map(({ body }) => body));
      expect(seen.map(({ message }) => message!.body)).toEqual([`after ${round}`]);
    }
  });
});

describe('a follower', () => {
  test('goes on after the server was killed and started again', async ({
    herald, network, alice, bob, conversationId,
  }) => {
    const environment = environmentOf(network, bob.token);
    const { cursor } = await ask<conversationQuery>(environment, CONVERSATION, { id: conversationId });
    const seen = following(environment, conversationId, cursor);
    await alice.send(conversationId, 'one');
    await shows(environment, conversationId, endingWith('one'));

    // More happens than it can have been told of before the server died.
    await alice.send(conversationId, 'two');
    await herald.kill();
    await herald.start();
    await alice.send(conversationId, 'three');
    await shows(environment, conversationId, endingWith('three'));
    expect(seen.map(({ message }) => message!.body)).toEqual(['one', 'two', 'three']);
  });

  test('is done when the viewer has left', async ({ network, alice, bob, conversationId }) => {
    const environment = environmentOf(network, bob.token);
    const { cursor } = await ask<conversationQuery>(environment, CONVERSATION, { id: conversationId });
    const seen: Event[] = [];
    const { signal } = new AbortController();
    const whole = follow(environment, conversationId, cursor, (event) => seen.push(event), signal);
    await alice.send(conversationId, 'goodbye');
    await bob.request(
      `mutation Leave($input: LeaveConversationInput!) { leaveConversation(input: $input) { cursor } }`,
      { input: { conversationId } },
    );
    await whole;
    expect(seen.map(({ message }) => message?.body)).toEqual(['goodbye', undefined]);
  });
});

describe('trusted documents', () => {
  const REGISTER = graphql`
    mutation relayRegisterMutation($input: RegisterInput!) { register(input: $input) { token } }
  `;

  const START = graphql`
    mutation relayStartMutation($input: StartConversationInput!) {
      startConversation(input: $input) { conversation { id } }
    }
  `;

  /** Says which document it means, and not what is in it. */
  function connectByHash(herald: Herald, hashed: (hash: string) => object, token?: string): Environment {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
    const network = Network.create(async ({ id }, variables) => {
      const body = JSON.stringify({ ...hashed(id!), variables });
      return (await (await fetch(herald.http, { method: 'POST', headers, body })).json()) as GraphQLResponse;
    });
    return new Environment({ network, store: new Store(new RecordSource()) });
  }

  test('are executed, by their text and by its hash, and no others are', async () => {
    const documents = join(import.meta.dirname, '__generated__/persisted.json');
    const herald = await Herald.create('--trusted-documents', documents);
    onTestFinished(() => herald.remove());
    const person = (handle: string) => ({ input: { handle, displayName: handle, password: 'correct horse' } });

    const byText = connect({ http: herald.http, socket: herald.socket, connectionId: 'laptop' });
    const { register: alice } = await commit<relayRegisterMutation>(byText, REGISTER, person('alice'));
    const byId = (hash: string) => ({ documentId: `sha256:${hash}` });
    const sparing = connectByHash(herald, byId);
    const { register: bob } = await commit<relayRegisterMutation>(sparing, REGISTER, person('bob'));
    const byExtension = (sha256Hash: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash } } });
    const others = { input: { participantHandles: ['bob'] } };
    const started = await commit<relayStartMutation>(connectByHash(herald, byExtension, alice.token), START, others);
    const { id } = started.startConversation.conversation;

    // And the example, as it is.
    const [laptop, phone] = [environmentOf(herald, alice.token), environmentOf(herald, bob.token)];
    await ask<conversationQuery>(laptop, CONVERSATION, { id });
    const { cursor } = await ask<conversationQuery>(phone, CONVERSATION, { id });
    following(phone, id, cursor);
    await send(laptop, id, 'hello');
    await shows(phone, id, endingWith('hello'));

    // Its document is not Relay's.
    await expect(User.register(herald, 'carol')).rejects.toMatchObject({ code: 'DOCUMENT_NOT_TRUSTED' });
    const unknown = connectByHash(herald, () => byId('0'.repeat(64)));
    const registered = commit<relayRegisterMutation>(unknown, REGISTER, person('carol'));
    await expect(registered).rejects.toMatchObject(refusal('DOCUMENT_NOT_TRUSTED'));
  });
});

/** The example's environment. */
function environmentOf({ http, socket }: Pick<Proxy, 'http' | 'socket'>, token: string): Environment {
  return connect({ http, socket, token, connectionId: 'laptop' });
}

async function ask<O extends OperationType>(
  environment: Environment,
  query: GraphQLTaggedNode,
  variables: O['variables'],
): Promise<NonNullable<O['response']>> {
  return (await fetchQuery<O>(environment, query, variables).toPromise())!;
}

function commit<M extends MutationParameters>(
  environment: Environment,
  mutation: GraphQLTaggedNode,
  variables: M['variables'],
  optimisticResponse?: MutationConfig<M>['optimisticResponse'],
): Promise<M['response']> {
  return new Promise((resolve, reject) => {
    commitMutation<M>(environment, {
      mutation,
      variables,
      ...(optimisticResponse && { optimisticResponse }),
      onCompleted: (response, errors) => (errors ? reject(errors) : resolve(response)),
      onError: reject,
    });
  });
}

async function send(environment: Environment, conversationId: string, body: string) {
  const variables = { input: { conversationId, body }, connections: connectionsOf(conversationId) };
  return (await commit<conversationSendMutation>(environment, SEND, variables)).sendMessage.message;
}

/** What was said, read in pages from the newest back. */
async function history(environment: Environment, id: string, size: number): Promise<string[]> {
  for (let before: string | null | undefined; ; ) {
    const { node } = await ask<conversationPageQuery>(environment, PAGE, { id, last: size, before });
    const selector = getSingularSelector(getFragment(MESSAGES), node);
    const { messages } = environment.lookup(selector).data as unknown as conversation_messages$data;
    if (!messages.pageInfo.hasPreviousPage) return messages.edges.map((edge) => edge.node.body);
    before = messages.pageInfo.startCursor;
  }
}

/** Follows until the test ends: what it was told. */
function following(environment: Environment, id: string, cursor: string): Event[] {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const seen: Event[] = [];
  void follow(environment, id, cursor, (event) => seen.push(event), leaving.signal);
  return seen;
}

type Shown = conversation_messages$data['messages']['edges'][number]['node'];

function listIn(environment: Environment, id: string): conversation_messages$data | undefined {
  return environment.lookup(selectorOf(id)).data as unknown as conversation_messages$data;
}

function messagesIn(environment: Environment, id: string): Shown[] {
  return nodesOf(listIn(environment, id));
}

/** Waits until the store shows such messages in a conversation. */
async function shows(environment: Environment, id: string, such: (messages: Shown[]) => boolean): Promise<Shown[]> {
  return nodesOf(await sees<conversation_messages$data>(environment, selectorOf(id), (data) => such(nodesOf(data))));
}

function endingWith(body: string) {
  return (messages: Shown[]) => messages.at(-1)?.body === body;
}

/** Waits, as something on display does, until the store has such data. */
function sees<D>(environment: Environment, selector: SingularReaderSelector, such: (data: D) => boolean): Promise<D> {
  return new Promise((resolve) => {
    const look = ({ data }: { data: unknown }) => such(data as D) && resolve(data as D);
    const snapshot = environment.lookup(selector);
    onTestFinished(environment.subscribe(snapshot, look).dispose);
    look(snapshot);
  });
}

function nodesOf(conversation: conversation_messages$data | null | undefined): Shown[] {
  return conversation?.messages?.edges.map(({ node }) => node) ?? [];
}

function selectorOf(id: string): SingularReaderSelector {
  return createReaderSelector(getFragment(MESSAGES), id, {}, requestOf(id));
}

function requestOf(id: string) {
  return createOperationDescriptor(getRequest(CONVERSATION), { id }).request;
}

/** How Relay says that an answer had an error with this code, and no data. */
function refusal(code: string) {
  return { source: { errors: [{ extensions: { code } }] } };
}
