/** A subscription that goes on by the retry which graphql-ws and graphql-sse have of their own. */

import { EventEmitter, on } from 'node:events';

import type { Result } from './connection.ts';

/** What the clients of the two have in common. */
interface Client<E> {
  subscribe(
    request: { query: string; variables: { after: string } },
    sink: { next(result: Result<E>): void; error(cause: unknown): void; complete(): void },
  ): unknown;
}

/**
 * Follows a subscription from a cursor on. The client turns its request into JSON anew each time that it sends it,
 * and so goes on after the last event if the request has that event's cursor by then.
 */
export async function* follow<E extends { cursor: string }>(
  client: Client<E>,
  query: string,
  variables: { after: string },
): AsyncGenerator<E, void> {
  const arrivals = new EventEmitter();
  const request = { query, variables: { ...variables } };
  client.subscribe(request, {
    next({ data, errors }) {
      if (!data) return void arrivals.emit('error', errors);
      for (const event of Object.values(data)) {
        // At once, and not when somebody has read it: it will not be lost with the connection.
        request.variables.after = event.cursor;
        arrivals.emit('event', event);
      }
    },
    error: (cause) => arrivals.emit('error', cause),
    complete: () => arrivals.emit('complete'),
  });
  for await (const [event] of on(arrivals, 'event', { close: ['complete'] })) yield event;
}
