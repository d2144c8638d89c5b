/** The way to herald: who this tab is, a socket for events, and urql over HTTP for everything else. */

import { Client, type CombinedError, fetchExchange, subscriptionExchange } from '@urql/vue';
import { createClient, type Client as Socket, type ClientOptions, type Sink } from 'graphql-ws';

import { createCache } from './cache';
import type { History } from './history';
import { authorization, isSignedIn, renew } from './login';
import { Messages } from './messages';

const URL_PATH = '/graphql';

/** How long an answer may take, in milliseconds: longer than herald's own limit of 15 s. */
const PATIENCE = 20_000;

/** How long to wait after a failure that may pass, in milliseconds. */
export const PAUSE = 1_000;

/** How often the server is asked for a sign of life, and how long it may take to give one, in milliseconds. */
const PING_INTERVAL = 15_000;
const PONG_TIMEOUT = 5_000;

/** Nobody can guess it. (`crypto.randomUUID` is missing on pages that come over plain HTTP from another machine.) */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Names this tab to herald, which then does not tell it what it caused itself: not live, not after a reconnect, not
 * after a reload. While the tab lives, the id is not in its storage: "duplicate tab" copies that.
 */
export const connectionId = sessionStorage.getItem('connectionId') ?? randomId();
addEventListener('pageshow', () => sessionStorage.removeItem('connectionId'));
addEventListener('pagehide', () => sessionStorage.setItem('connectionId', connectionId));

/**
 * The socket authenticates by the cookie at its upgrade, or by a token of another login when it begins. So each sign-in
 * needs a new one. It opens when needed.
 */
export function createSocket(on: ClientOptions['on']): Socket {
  const url = new URL(URL_PATH, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  let lost: ReturnType<typeof setTimeout>;
  const socket = createClient({
    url: url.href,
    connectionParams: async () => ({ connectionId, ...(await authorization()) }),
    retryAttempts: 0, // it would begin again at the first cursor: live.ts goes on from the last
    keepAlive: PING_INTERVAL, // a network that is gone says nothing
    on,
  });
  socket.on('ping', (received) => {
    if (!received) lost = setTimeout(() => socket.terminate(), PONG_TIMEOUT);
  });
  socket.on('pong', () => clearTimeout(lost));
  socket.on('closed', () => clearTimeout(lost));
  return socket;
}

/** `fetch`, for whoever is signed in. A token that herald does not take is renewed once. */
const authorized: typeof fetch = async (input, init) => {
  const ask = async () => {
    const headers = new Headers(init?.headers);
    for (const [name, value] of Object.entries(await authorization())) headers.set(name, value);
    return fetch(input, { ...init, headers });
  };
  const answer = await ask();
  if (answer.status !== 401 || !isSignedIn()) return answer;
  await renew();
  return ask();
};

/** Without a socket and without a cache: for signing in. */
export function createAnonymousClient(): Client {
  return new Client({ url: URL_PATH, exchanges: [fetchExchange], requestPolicy: 'network-only', fetch: authorized });
}

const messagesOf = new WeakMap<Client, Messages>();

/** What the cache of a client has of a conversation, and which part of it is shown. */
export const historyOf = (client: Client, conversationId: string): History =>
  messagesOf.get(client)!.historyOf(conversationId);

/** One per snapshot: its cache holds what that snapshot and the events after it make together. */
export function createHeraldClient(socket: Socket, isCut: () => boolean): Client {
  const live = subscriptionExchange({
    forwardSubscription: ({ query = '', ...request }) => ({
      subscribe(sink) {
        // Of a subscription that completes before its first event, urql would say nothing.
        const complete = () => sink.error(new Error('The subscription has ended'));
        return { unsubscribe: socket.subscribe({ query, ...request }, { ...sink, complete } as Sink) };
      },
    }),
  });
  const messages = new Messages();
  const client = new Client({
    url: URL_PATH,
    exchanges: [createCache(messages), fetchExchange, live],
    fetchOptions: { headers: { 'x-connection-id': connectionId } },
    async fetch(input, init) {
      if (isCut()) throw new TypeError('This tab is offline');
      const signals = [AbortSignal.timeout(PATIENCE), init?.signal].filter((signal) => !!signal);
      return authorized(input, { ...init, signal: AbortSignal.any(signals) });
    },
  });
  messagesOf.set(client, messages);
  return client;
}

// ---- What went wrong

export const codeOf = (error?: CombinedError) => error?.graphQLErrors?.[0]?.extensions['code'] as string | undefined;
export const fieldOf = (error?: CombinedError) => error?.graphQLErrors[0]?.extensions['field'] as string | undefined;

/** Whether the same request may well succeed later. */
export function passes(error: CombinedError): boolean {
  return !!error.networkError || ['UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL'].includes(codeOf(error) ?? '');
}

/** What this page calls the inputs that herald's messages begin with. */
const INPUTS: Record<string, string> = {
  handle: 'The handle', displayName: 'The name', password: 'The password', newPassword: 'The new password',
  currentPassword: 'The current password', title: 'The title', body: 'It',
  participantHandles: 'The list', handles: 'The list',
};

/** For people. herald's own messages are, but for the names of the inputs. */
export function explain(error?: CombinedError): string | undefined {
  if (error?.networkError) return 'herald cannot be reached at the moment.';
  return error?.graphQLErrors[0]?.message.replace(/^`(\w+)`/, (name, input: string) => INPUTS[input] ?? name);
}
