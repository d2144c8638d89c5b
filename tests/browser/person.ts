/** People, and what they do elsewhere: by herald's API, without a browser. */

import { randomBytes } from 'node:crypto';

import type { Herald } from '../clients/herald.ts';

interface Message {
  id: string;
  body: string;
  status: string;
}

export class Person {
  readonly handle: string;
  readonly name: string;
  readonly password: string;
  /** What herald gave out at the registration. The session's cookie has the same value. */
  readonly token: string;
  readonly #herald: Herald;

  private constructor(herald: Herald, handle: string, name: string, password: string, token: string) {
    this.#herald = herald;
    this.handle = handle;
    this.name = name;
    this.password = password;
    this.token = token;
  }

  /** A new user. Unless it is given, the handle is the name and something that makes it unique among the tests. */
  static async register(herald: Herald, displayName: string, handle = unique(displayName)): Promise<Person> {
    const password = `the password of ${handle}`;
    const { register } = await request<{ register: { token: string } }>(
      herald,
      `mutation ($input: RegisterInput!) { register(input: $input) { token } }`,
      { input: { handle, displayName, password } },
    );
    return new Person(herald, handle, displayName, password, register.token);
  }

  /** Starts a conversation: its id. */
  async converse(others: Pick<Person, 'handle'>[], title?: string): Promise<string> {
    const input = { participantHandles: others.map(({ handle }) => handle), ...(title && { title }) };
    const { startConversation } = await this.#request<{ startConversation: { conversation: { id: string } } }>(
      `mutation ($input: StartConversationInput!) { startConversation(input: $input) { conversation { id } } }`,
      { input },
    );
    return startConversation.conversation.id;
  }

  /** Sends a message: its id. */
  async send(conversationId: string, body: string): Promise<string> {
    const { sendMessage } = await this.#request<{ sendMessage: { message: { id: string } } }>(
      `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }`,
      { input: { conversationId, body } },
    );
    return sendMessage.message.id;
  }

  /** Sends messages one after the other: the id of the last. */
  async sendAll(conversationId: string, bodies: string[]): Promise<string> {
    let id = '';
    for (const body of bodies) id = await this.send(conversationId, body);
    return id;
  }

  async addParticipants(conversationId: string, others: Pick<Person, 'handle'>[]): Promise<void> {
    await this.#request(
      `mutation ($input: ParticipantsInput!) { addParticipants(input: $input) { cursor } }`,
      { input: { conversationId, handles: others.map(({ handle }) => handle) } },
    );
  }

  async removeParticipants(conversationId: string, others: Pick<Person, 'handle'>[]): Promise<void> {
    await this.#request(
      `mutation ($input: ParticipantsInput!) { removeParticipants(input: $input) { cursor } }`,
      { input: { conversationId, handles: others.map(({ handle }) => handle) } },
    );
  }

  /** The id of this user. */
  async id(): Promise<string> {
    return (await this.#request<{ viewer: { id: string } }>(`{ viewer { id } }`, {})).viewer.id;
  }

  async markDelivered(messageId: string): Promise<void> {
    await this.#request(`mutation ($id: ID!) { markDelivered(input: { messageId: $id }) { cursor } }`, { id: messageId });
  }

  async markRead(messageId: string): Promise<void> {
    await this.#request(`mutation ($id: ID!) { markRead(input: { messageId: $id }) { cursor } }`, { id: messageId });
  }

  /** What was said in a conversation, as long as it fits a page, and how far it has come. */
  async messages(id: string): Promise<Message[]> {
    const { conversation } = await this.#request<{
      conversation: { messages: { nodes: Message[]; pageInfo: { hasNextPage: boolean } } };
    }>(
      `query ($id: ID!) {
        conversation(id: $id) { messages(first: 200) { nodes { id body status } pageInfo { hasNextPage } } }
      }`,
      { id },
    );
    if (conversation.messages.pageInfo.hasNextPage) throw new Error('more messages than fit a page');
    return conversation.messages.nodes;
  }

  #request<D>(query: string, variables: object): Promise<D> {
    return request<D>(this.#herald, query, variables, { authorization: `Bearer ${this.token}` });
  }
}

export function unique(name: string): string {
  return `${name.toLowerCase()}-${randomBytes(4).toString('hex')}`;
}

async function request<D>(herald: Herald, query: string, variables: object, headers = {}): Promise<D> {
  const response = await fetch(herald.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: D; errors?: { message: string }[] };
  if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
  return data;
}
