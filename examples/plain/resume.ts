/** A subscription that resumes after a lost connection, with nothing but graphql-ws. */

import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'graphql-ws';

/**
 * Yields every event after a cursor, once and in order, through lost connections and restarts of the server. The
 * cursor is that of a snapshot, of `connection_ack`, or of the last event that the program has dealt with, perhaps in
 * an earlier run. The document takes it as `$after` and selects `cursor`. Rejects when herald refuses.
 *
 * The client needs `retryAttempts: 0`. Its own retry would repeat the subscription with the first cursor, and so
 * deliver everything since then again.
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
      if (isFinal(cause)) throw cause;
    }
    // The pause doubles up to 5 s. Its length is partly random, so that not all clients come back at once.
    await pause(Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2));
  }
}

/** Whether to try again is no use: herald has refused the subscription, or this client. */
export function isFinal(cause: unknown): boolean {
  if (Array.isArray(cause)) return cause.some((error) => error.extensions?.code !== 'UNAVAILABLE');
  const { code } = cause as { code?: number };
  return code !== undefined && [4400, 4401, 4403, 4406, 4409, 4429].includes(code);
}
