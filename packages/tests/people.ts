/** People at a real herald, and what they do over HTTP. */

import { randomBytes } from 'node:crypto';

export interface Person {
  token: string;
  handle: string;
  /** Gets another token, where theirs expires. */
  renew?: (() => unknown) | undefined;
  ask(query: string, variables?: object): Promise<any>;
}

export async function post(url: string, query: string, variables: object = {}, headers: Record<string, string> = {}): Promise<any> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: any; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

export async function register(url: string, name: string): Promise<Person> {
  const handle = `${name}-${randomBytes(4).toString('hex')}`;
  const { register } = await post(
    url,
    'mutation ($input: RegisterInput!) { register(input: $input) { token } }',
    { input: { handle, displayName: name, password: `the password of ${handle}` } },
  );
  const { token } = register;
  return { token, handle, ask: (query, variables) => post(url, query, variables, { authorization: `Bearer ${token}` }) };
}

export async function converse({ ask }: Person, ...others: Person[]): Promise<string> {
  const { startConversation } = await ask(
    'mutation ($input: StartConversationInput!) { startConversation(input: $input) { conversation { id } } }',
    { input: { participantHandles: others.map(({ handle }) => handle) } },
  );
  return startConversation.conversation.id;
}

export async function send({ ask }: Person, conversationId: string, body: string): Promise<string> {
  const { sendMessage } = await ask(
    'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
    { input: { conversationId, body } },
  );
  return sendMessage.message.id;
}

export async function markRead({ ask }: Person, messageId: string): Promise<void> {
  await ask('mutation ($input: MarkInput!) { markRead(input: $input) { cursor } }', { input: { messageId } });
}
