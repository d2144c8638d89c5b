/** People, and what they do. Each has a session; HTTP requests and sockets are made with it. */

import { randomBytes } from 'node:crypto';
import type { ClientOptions } from 'graphql-ws';

import { Connection, type Variables } from './connection.ts';
import type {
  CursorQuery,
  DeliveryStatus,
  LoginMutation,
  MessageFragment,
  MessageQuery,
  MessageSentSubscription,
  MessagesQuery,
  RegisterMutation,
  SendMutation,
  StartMutation,
  StatusChangedSubscription,
} from './generated/graphql.ts';
import type { Herald } from './herald.ts';

export type Status = DeliveryStatus;
export type Message = MessageFragment;
export type MessageSent = MessageSentSubscription['messageSent'];
export type StatusChanged = StatusChangedSubscription['statusChanged'];

const MESSAGE = /* GraphQL */ `
  fragment Message on Message {
    id
    body
    status
    recipientCount
    deliveredCount
    readCount
    sender { handle }
  }
`;

export const LOGIN = /* GraphQL */ `
  mutation Login($input: LoginInput!) { login(input: $input) { token } }
`;

export const SEND = /* GraphQL */ `
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) { cursor message { ...Message } }
  }
  ${MESSAGE}
`;

export const MARK_DELIVERED = /* GraphQL */ `
  mutation MarkDelivered($input: MarkInput!) { markDelivered(input: $input) { message { status } } }
`;

export const MARK_READ = /* GraphQL */ `
  mutation MarkRead($input: MarkInput!) { markRead(input: $input) { message { status } } }
`;

export const MESSAGE_SENT = /* GraphQL */ `
  subscription MessageSent($after: Cursor, $conversationId: ID) {
    messageSent(after: $after, conversationId: $conversationId) {
      cursor
      conversation { id }
      message { ...Message }
    }
  }
  ${MESSAGE}
`;

export const STATUS_CHANGED = /* GraphQL */ `
  subscription StatusChanged($after: Cursor, $conversationId: ID) {
    statusChanged(after: $after, conversationId: $conversationId) {
      cursor
      conversation { id }
      recipient { handle }
      status
      message { id status }
      messages { id }
    }
  }
`;

/** An answer with errors in it. */
export class Refused extends Error {
  readonly code: unknown;

  constructor(errors: { message: string; extensions?: { code?: unknown } }[]) {
    super(errors.map(({ message }) => message).join('\n'));
    this.code = errors[0]?.extensions?.code;
  }
}

/** The mutation's options: the connection that it is part of, and the key that makes a retry harmless. */
interface Sending {
  from?: string;
  idempotencyKey?: string;
}

export class User {
  readonly handle: string;
  readonly token: string;
  readonly #herald: Herald;

  private constructor(herald: Herald, handle: string, token: string) {
    this.#herald = herald;
    this.handle = handle;
    this.token = token;
  }

  get password(): string {
    return `the password of ${this.handle}`;
  }

  /** A new user. The handle is the name and something that makes it unique among the tests. */
  static async register(herald: Herald, name: string): Promise<User> {
    const handle = `${name}-${randomBytes(4).toString('hex')}`;
    const { register } = await post<RegisterMutation>(
      herald.http,
      /* GraphQL */ `mutation Register($input: RegisterInput!) { register(input: $input) { token } }`,
      { input: { handle, displayName: name, password: `the password of ${handle}` } },
    );
    return new User(herald, handle, register.token);
  }

  /** Somebody whom herald knows, or gets to know, by a token that they have from elsewhere. */
  static of(herald: Herald, handle: string, token: string): User {
    return new User(herald, handle, token);
  }

  /** The same user, signed in once more: another session. */
  async signInAgain(): Promise<User> {
    const input = { handle: this.handle, password: this.password };
    const { login } = await post<LoginMutation>(this.#herald.http, LOGIN, { input });
    return new User(this.#herald, this.handle, login.token);
  }

  /** Opens a socket. A connection that names itself keeps its name when it comes again. */
  async connect(connectionId?: string, options: Partial<ClientOptions> = {}): Promise<Connection> {
    return Connection.open({
      url: this.#herald.socket,
      connectionParams: { authorization: `Bearer ${this.token}`, ...(connectionId && { connectionId }) },
      ...options,
    });
  }

  /** A query or a mutation over HTTP, perhaps as part of a connection. */
  async request<D>(query: string, variables: Variables = {}, from?: string): Promise<D> {
    return post(this.#herald.http, query, variables, {
      authorization: `Bearer ${this.token}`,
      ...(from && { 'x-connection-id': from }),
    });
  }

  /** A place in the log that has everything until now. */
  async cursor(): Promise<string> {
    return (await this.request<CursorQuery>(/* GraphQL */ `query Cursor { cursor }`)).cursor;
  }

  /** Starts a conversation: its id. */
  async converse(...others: User[]): Promise<string> {
    const { startConversation } = await this.request<StartMutation>(
      /* GraphQL */ `mutation Start($input: StartConversationInput!) {
        startConversation(input: $input) { conversation { id } }
      }`,
      { input: { participantHandles: others.map(({ handle }) => handle) } },
    );
    return startConversation.conversation.id;
  }

  async send(conversationId: string, body: string, { from, ...options }: Sending = {}): Promise<Message> {
    const variables = { input: { conversationId, body, ...options } };
    return (await this.request<SendMutation>(SEND, variables, from)).sendMessage.message;
  }

  async markDelivered(messageId: string, from?: string): Promise<void> {
    await this.request(MARK_DELIVERED, { input: { messageId } }, from);
  }

  async markRead(messageId: string, from?: string): Promise<void> {
    await this.request(MARK_READ, { input: { messageId } }, from);
  }

  async message(id: string): Promise<Message> {
    const { message } = await this.request<MessageQuery>(
      /* GraphQL */ `query Message($id: ID!) { message(id: $id) { ...Message } } ${MESSAGE}`,
      { id },
    );
    if (!message) throw new Error(`${this.handle} sees no message ${id}`);
    return message;
  }

  /** Everything that was said in a conversation, as long as it fits a page. */
  async messages(conversationId: string): Promise<Message[]> {
    const { conversation } = await this.request<MessagesQuery>(
      /* GraphQL */ `query Messages($conversationId: ID!) {
        conversation(id: $conversationId) {
          messages(first: 200) { nodes { ...Message } pageInfo { hasNextPage } }
        }
      } ${MESSAGE}`,
      { conversationId },
    );
    if (!conversation) throw new Error(`${this.handle} sees no conversation ${conversationId}`);
    if (conversation.messages.pageInfo.hasNextPage) throw new Error('more messages than fit a page');
    return conversation.messages.nodes;
  }

  async leave(conversationId: string): Promise<void> {
    await this.request(
      /* GraphQL */ `mutation Leave($input: LeaveConversationInput!) { leaveConversation(input: $input) { cursor } }`,
      { input: { conversationId } },
    );
  }

  async logOut(): Promise<void> {
    await this.request(/* GraphQL */ `mutation LogOut { logout { ended } }`);
  }
}

/** A query or a mutation over HTTP, whoever asks: its data. */
export async function post<D>(url: string, query: string, variables: Variables, headers = {}): Promise<D> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: D; errors?: ConstructorParameters<typeof Refused>[0] };
  if (errors) throw new Refused(errors);
  return data;
}
