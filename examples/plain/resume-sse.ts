/** A subscription over server-sent events that resumes after a lost connection, with nothing but graphql-sse. */

import { setTimeout as pause } from 'node:timers/promises';
import type { Client, NetworkError } from 'graphql-sse';

/**
 * Yields every event after a cursor, once and in order, through lost connections and restarts of the server. The
 * cursor is that of a snapshot, of a mutation, or of the last event that the program has dealt with, perhaps in an
 * earlier run. The document takes it as `$after` and selects `cursor`. Rejects with the errors when herald refuses.
 *
 * The client needs `retryAttempts: 0`. Its own retry would repeat the subscription with the first cursor, also after
 * herald has refused it.
 */
export async function* follow<E extends { cursor: string }>(
  client: Client,
  query: string,
  variables: { after: string; [name: string]: unknown },
): AsyncGenerator<E, void> {
  let { after } = variables;
  for (let failures = 0; ; failures++) {
    try {
      const results = client.iterate<Record<string, E>>({ query, variables: { ...variables, after } });
      for await (const { data, errors } of results) {
        if (!data) throw errors;
        for (const event of Object.values(data)) {
          yield event;
          // The generator goes on only after the caller has dealt with the event.
          after = event.cursor;
          failures = 0;
        }
      }
      return;
    } catch (cause) {
      const errors = await refusal(cause);
      if (errors) throw errors;
    }
    // The pause doubles up to 5 s. Its length is partly random, so that not all clients come back at once.
    await pause(Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2));
  }
}

/** The errors with which herald has refused the subscription for good. Otherwise it is falsy. */
async function refusal(cause: unknown): Promise<unknown> {
  // An array holds the errors that were part of a stream.
  if (Array.isArray(cause)) return cause.some(({ extensions }) => extensions?.code !== 'UNAVAILABLE') && cause;
  // Otherwise there was no stream. Without a response the network is at fault, and from status 500 on the server.
  const { response } = cause as NetworkError<Response>;
  return response && response.status < 500 && ((await response.json()) as { errors: unknown }).errors;
}
