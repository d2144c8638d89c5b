/**
 * How an operation reaches herald: queries and mutations by fetch, subscriptions over a WebSocket of their own.
 *
 * Who asks is said by the session's cookie, which the browser sends with both, or by an `authorization` among the
 * headers of the tab: a page cannot give a WebSocket headers, so it goes into `connection_init`.
 *
 * No connection id is sent unless the headers have an `x-connection-id`. herald leaves out of a subscription what its
 * own connection caused; whoever explores wants to see that what they just did is an event, and would take a resumed
 * subscription without it for one that lost something.
 */

import type { Fetcher, FetcherOpts, FetcherParams, Observable } from '@graphiql/toolkit';
import { getOperationAST, type ExecutionResult } from 'graphql';
import { createClient } from 'graphql-ws';

import { filledIn, remember } from './answers';

/** How much of a subscription is shown; the rest scrolls out. */
const SHOWN = 100;

export const fetcher: Fetcher = async (params, options) => {
  try {
    const [filled, headers] = [{ ...params, variables: filledIn(params.variables) }, filledIn(options?.headers)];
    if (isSubscription(params, options)) return follow(filled, headers);
    const answer = await ask(filled, headers);
    remember(nameOf(params, options), answer);
    return answer;
  } catch (cause) {
    return failure((cause as Error).message);
  }
};

const nameOf = ({ operationName }: FetcherParams, options?: FetcherOpts) =>
  operationName ?? (options?.documentAST && getOperationAST(options.documentAST)?.name?.value);

function isSubscription({ operationName }: FetcherParams, options?: FetcherOpts): boolean {
  return !!options?.documentAST && getOperationAST(options.documentAST, operationName)?.operation === 'subscription';
}

async function ask(params: FetcherParams, given?: Record<string, unknown>): Promise<ExecutionResult> {
  try {
    const headers = new Headers({
      accept: 'application/graphql-response+json, application/json;q=0.9',
      'content-type': 'application/json',
    });
    for (const [name, value] of Object.entries(given ?? {})) headers.set(name, String(value));
    const response = await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify(params) });
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    return isJson ? await response.json() : failure(`${response.status} ${response.statusText}`); // of a proxy in between
  } catch (cause) {
    return failure(String(cause));
  }
}

/** How GraphiQL listens. It shows as JSON whatever it is given. */
interface Observer {
  next(shown: object): void;
  complete(): void;
}

/**
 * GraphiQL shows only the newest result of a subscription. A replay is over in an instant, and what matters in it is
 * the order: so everything that came is shown as a list, the newest first.
 */
function follow(params: FetcherParams, given?: Record<string, unknown>): Observable<ExecutionResult> {
  return {
    subscribe(observer: Observer) {
      const received: unknown[] = [];
      const show = (message: unknown) => {
        received.unshift(message);
        received.length = Math.min(received.length, SHOWN);
        observer.next({ toJSON: () => received });
      };
      const client = createClient({
        url: new URL('/graphql', location.href.replace(/^http/, 'ws')).href,
        connectionParams: connectionParams(given),
        retryAttempts: 0, // one who explores wants to see that the connection was lost, and why
        on: { connected: (_socket, payload) => show({ connection_ack: payload }) },
      });
      const unsubscribe = client.subscribe(params, {
        next: show,
        error: (cause) => {
          show(refusal(cause));
          observer.complete();
        },
        complete: observer.complete,
      });
      return { unsubscribe };
    },
  } as Observable<ExecutionResult>;
}

/** What the payload of `connection_init` says of the headers. */
function connectionParams(given: Record<string, unknown> = {}): Record<string, unknown> {
  const names: Record<string, string> = { authorization: 'authorization', 'x-connection-id': 'connectionId' };
  const known = Object.entries(given).map(([name, value]) => [names[name.toLowerCase()], value]);
  return Object.fromEntries(known.filter(([name]) => name));
}

/** Why a subscription ended: refused by herald, cut off with a close code, or never connected. */
function refusal(cause: unknown): object {
  if (Array.isArray(cause)) return { errors: cause };
  if (cause instanceof CloseEvent) return { close: { code: cause.code, reason: cause.reason } };
  return failure(cause instanceof Error ? cause.message : 'No connection to herald');
}

/** What the page itself has to say, in the form of an answer. */
const failure = (message: string) => ({ errors: [{ message }] }) as unknown as ExecutionResult;
