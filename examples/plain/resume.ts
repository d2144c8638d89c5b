/** A subscription that outlives its connection, with nothing but graphql-ws. */

import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'graphql-ws';

/**
 * Follows a subscription from a cursor on: every event once and in order, through lost connections and restarts
 * of the server. The cursor is one from a snapshot, from `connection_ack`, or of the last event that was dealt
 * with, perhaps by an earlier run of the program. The document takes it as `$after` and selects `cursor`.
 *
 * The client needs `retryAttempts: 0`. Its own retry would repeat the subscription with the cursor that it began
 * with, and so deliver everything since then again.
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
          // Only now, when the caller is done with it: what was under way at a crash comes again.
          after = event.cursor;
          failures = 0;
        }
      }
      return;
    } catch (cause) {
      if (isFinal(cause)) throw cause;
    }
    // Longer each time, up to 5 s, and not all clients at once.
    await pause(Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2));
  }
}

/** Whether trying again is in vain: the subscription was refused, or this client was. */
export function isFinal(cause: unknown): boolean {
  if (Array.isArray(cause)) return cause.some((error) => error.extensions?.code !== 'UNAVAILABLE');
  const { code } = cause as { code?: number };
  return code !== undefined && [4400, 4401, 4403, 4406, 4409, 4429].includes(code);
}
