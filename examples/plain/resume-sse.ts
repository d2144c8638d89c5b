/** A subscription over server-sent events that outlives its connection, with nothing but graphql-sse. */

import { setTimeout as pause } from 'node:timers/promises';
import type { Client, NetworkError } from 'graphql-sse';

/**
 * Follows a subscription from a cursor on: every event once and in order, through lost connections and restarts
 * of the server. The cursor is one from a snapshot, from a mutation, or of the last event that was dealt with,
 * perhaps by an earlier run of the program. The document takes it as `$after` and selects `cursor`. Rejects with
 * the errors when the subscription is refused.
 *
 * The client needs `retryAttempts: 0`. Its own retry would repeat the subscription with the cursor that it began
 * with, and it would repeat what was refused as well.
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
      const errors = await refusal(cause);
      if (errors) throw errors;
    }
    // Longer each time, up to 5 s, and not all clients at once.
    await pause(Math.min(100 * 2 ** failures, 5_000) * (0.5 + Math.random() / 2));
  }
}

/** Why the subscription was refused, if it was and trying again is in vain: the errors. */
async function refusal(cause: unknown): Promise<unknown> {
  // Of a stream.
  if (Array.isArray(cause)) return cause.some(({ extensions }) => extensions?.code !== 'UNAVAILABLE') && cause;
  // Instead of one. Without a response the network is at fault, and from 500 on the server.
  const { response } = cause as NetworkError<Response>;
  return response && response.status < 500 && ((await response.json()) as { errors: unknown }).errors;
}
