/** People, and what they do. Each has a session; HTTP requests and sockets are made with it. */

import { randomBytes } from 'node:crypto';
import type { ClientOptions } from 'graphql-ws';

import { Connection, type Variables } from './connection.ts';
import type { Herald } from './herald.ts';

export type Status = 'SENT' | 'DELIVERED' | 'READ';

export interface Message {
  id: string;
  body: string;
  status: Status;
  recipientCount: number;
  deliveredCount: number;
  readCount: number;
  sender: { handle: string };
}

export interface MessageSent {
  cursor: string;
  conversation: { id: string };
  message: Message;
}

export interface StatusChanged {
  cursor: string;
  conversation: { id: string };
  recipient: { handle: string };
  status: Status;
  message: { id: string; status: Status };
  messages: { id: string }[];
}

export const SEND = /* GraphQL */ `
  mutation Send($input: SendMessageInput!) {
    sendMessage(input: $input) {
      cursor
      message { id body status recipientCount deliveredCount readCount sender { handle } }
    }
  }
`;

export const MESSAGE_SENT = /* GraphQL */ `
  subscription MessageSent($after: Cursor, $conversationId: ID) {
    messageSent(after: $after, conversationId: $conversationId) {
      cursor
      conversation { id }
      message { id body status recipientCount deliveredCount readCount sender { handle } }
    }
  }
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
    const { register } = await post<{ register: { token: string } }>(
      herald,
      `mutation Register($input: RegisterInput!) { register(input: $input) { token } }`,
      { input: { handle, displayName: name, password: `the password of ${handle}` } },
    );
    return new User(herald, handle, register.token);
  }

  /** The same user, signed in once more: another session. */
  async signInAgain(): Promise<User> {
    const { login } = await post<{ login: { token: string } }>(
      this.#herald,
      `mutation Login($input: LoginInput!) { login(input: $input) { token } }`,
      { input: { handle: this.handle, password: this.password } },
    );
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
    return post(this.#herald, query, variables, {
      authorization: `Bearer ${this.token}`,
      ...(from && { 'x-connection-id': from }),
    });
  }

  /** Starts a conversation: its id. */
  async converse(...others: User[]): Promise<string> {
    const { startConversation } = await this.request<{ startConversation: { conversation: { id: string } } }>(
      `mutation Start($input: StartConversationInput!) {
        startConversation(input: $input) { conversation { id } }
      }`,
      { input: { participantHandles: others.map(({ handle }) => handle) } },
    );
    return startConversation.conversation.id;
  }

  async send(conversationId: string, body: string, { from, ...options }: Sending = {}): Promise<Message> {
    const variables = { input: { conversationId, body, ...options } };
    return (await this.request<{ sendMessage: { message: Message } }>(SEND, variables, from)).sendMessage.message;
  }

  async markDelivered(messageId: string, from?: string): Promise<void> {
    await this.request(
      `mutation Delivered($input: MarkInput!) { markDelivered(input: $input) { cursor } }`,
      { input: { messageId } },
      from,
    );
  }

  async markRead(messageId: string, from?: string): Promise<void> {
    await this.request(
      `mutation Read($input: MarkInput!) { markRead(input: $input) { cursor } }`,
      { input: { messageId } },
      from,
    );
  }

  async message(id: string): Promise<Message> {
    const { message } = await this.request<{ message: Message }>(
      `query Message($id: ID!) {
        message(id: $id) { id body status recipientCount deliveredCount readCount sender { handle } }
      }`,
      { id },
    );
    return message;
  }

  /** Everything that was said in a conversation, as long as it fits a page. */
  async messages(conversationId: string): Promise<Message[]> {
    const { conversation } = await this.request<{
      conversation: { messages: { nodes: Message[]; pageInfo: { hasNextPage: boolean } } };
    }>(
      `query Messages($conversationId: ID!) {
        conversation(id: $conversationId) {
          messages(first: 200) {
            nodes { id body status recipientCount deliveredCount readCount sender { handle } }
            pageInfo { hasNextPage }
          }
        }
      }`,
      { conversationId },
    );
    if (conversation.messages.pageInfo.hasNextPage) throw new Error('more messages than fit a page');
    return conversation.messages.nodes;
  }

  async logOut(): Promise<void> {
    await this.request(`mutation LogOut { logout { ended } }`);
  }
}

async function post<D>(herald: Herald, query: string, variables: Variables, headers = {}): Promise<D> {
  const response = await fetch(herald.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: D; errors?: ConstructorParameters<typeof Refused>[0] };
  if (errors) throw new Refused(errors);
  return data;
}
