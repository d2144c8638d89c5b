/** Subscriptions that lose nothing and repeat nothing, over server-sent events: by `fetch`, or by an EventSource. */

import {
  type Execute, follow as followOver, type FollowOptions, Lost, pushed, Refused, type Request, type Result,
} from 'resumable-graphql';
import { parse } from './parse.ts';

export interface Endpoint {
  url: string | URL;
  /** Sent with each request. A function is asked each time, for tokens that are renewed. */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>) | undefined;
  /** `include` sends cookies to another origin. */
  credentials?: RequestCredentials | undefined;
  fetch?: typeof fetch | undefined;
}

/** Subscribes by POST, in the distinct-connections mode of GraphQL over SSE. */
export function overFetch(endpoint: Endpoint): Execute {
  return async function* execute(request, signal) {
    const headers = { 'content-type': 'application/json', accept: `${STREAM}, ${JSON_RESPONSE}, application/json` };
    const body = JSON.stringify(request);
    yield* results(await ask(endpoint, endpoint.url, { method: 'POST', headers, body, signal }));
  };
}

/** What is used of an EventSource. */
export interface Source {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: any) => void): void;
  close(): void;
}

export interface EventSourceEndpoint extends Endpoint {
  /** Added to the URL as JSON: an EventSource cannot send headers. herald takes `{ connectionId }`. */
  extensions?: Record<string, unknown> | undefined;
  /** By default the browser's, with cookies where `credentials` is `include`. */
  open?: ((url: string) => Source) | undefined;
}

/** Subscribes by an EventSource, whose session comes by cookie. Queries go by `fetch`. */
export function overEventSource(endpoint: EventSourceEndpoint): Execute {
  const withCredentials = endpoint.credentials === 'include';
  const open = endpoint.open ?? ((url: string): Source => new EventSource(url, { withCredentials }));
  const byFetch = overFetch(endpoint);
  return (request, signal) => (/^\s*subscription\b/m.test(request.query) ? subscribe(request, signal) : byFetch(request, signal));

  function subscribe(request: Request, signal: AbortSignal): AsyncGenerator<Result, void> {
    const url = addressOf(endpoint, request);
    return pushed<Result>(signal, (sink) => {
      const source = open(url);
      source.addEventListener('next', ({ data }) => {
        try {
          sink.next(JSON.parse(data));
        } catch (cause) {
          sink.error(cause);
        }
      });
      source.addEventListener('complete', () => sink.complete());
      source.addEventListener('error', () => {
        // It would try again by itself: at its first URL where no event had come, all at once, and for ever.
        const isRefused = source.readyState === 2;
        source.close();
        if (isRefused) void refusal(endpoint, url, signal).then(sink.error);
        else sink.error(new Lost('the stream broke'));
      });
      return () => source.close();
    });
  }
}

/** Every event of a subscription after a snapshot, in order and once, through lost connections: by `fetch`. */
export function follow<E, S = any>(endpoint: Endpoint, options: FollowOptions<E, S>): AsyncGenerator<E, void, undefined> {
  return followOver<E, S>(overFetch(endpoint), options);
}

/** The same by an EventSource. */
export function followByEventSource<E, S = any>(
  endpoint: EventSourceEndpoint,
  options: FollowOptions<E, S>,
): AsyncGenerator<E, void, undefined> {
  return followOver<E, S>(overEventSource(endpoint), options);
}

const STREAM = 'text/event-stream';
const JSON_RESPONSE = 'application/graphql-response+json';

async function ask(endpoint: Endpoint, url: string | URL, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
  const own = typeof endpoint.headers === 'function' ? await endpoint.headers() : endpoint.headers;
  const { credentials, fetch: by = fetch } = endpoint;
  return by(url, { ...init, ...(credentials && { credentials }), headers: { ...init.headers, ...own } });
}

/** The results in an answer. Throws what it refuses with. */
async function* results(response: Response): AsyncGenerator<Result, void> {
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !type.startsWith(STREAM)) {
    const answer = (await response.json().catch(() => undefined)) as Result | undefined;
    if (response.ok && answer?.data) return yield answer;
    throw new Refused(response.status, answer?.errors, retryAfter(response));
  }
  for await (const { type, data } of parse(response.body!)) {
    if (type === 'complete') return;
    if (type === 'next') yield JSON.parse(data);
  }
  throw new Lost('the stream broke');
}

/** Why an EventSource was refused, which it does not say. */
async function refusal(endpoint: Endpoint, url: string, signal: AbortSignal): Promise<unknown> {
  try {
    const response = await ask(endpoint, url, { headers: { accept: STREAM }, signal });
    const [body] = [response.body, response.ok];
    if (!response.ok) await results(response).next();
    else if (!response.headers.get('content-type')?.startsWith(STREAM)) await results(response).next();
    else await body?.cancel();
    return new Lost('the stream was refused, but is not any more');
  } catch (cause) {
    return cause;
  }
}

function addressOf({ url, extensions }: EventSourceEndpoint, { query, variables }: Request): string {
  const address = new URL(url, globalThis.location?.href);
  address.searchParams.set('query', query);
  address.searchParams.set('variables', JSON.stringify(variables));
  if (extensions) address.searchParams.set('extensions', JSON.stringify(extensions));
  return address.href;
}

/** In milliseconds. */
function retryAfter({ headers }: Response): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? NaN);
  return Number.isNaN(seconds) ? undefined : seconds * 1_000;
}
