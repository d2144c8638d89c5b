/** A subscription that outlives the token of its user, where the token comes from another login and expires. */

import type { Client } from 'graphql-ws';

import { follow } from './resume.ts';

/**
 * Like `follow`. When herald closes the socket because the token has expired, it has the token renewed and goes on after
 * the last event. The client's `connectionParams` is a function, which gives the token of that moment. Rejects when a
 * token that was just renewed is refused, or when there is no other.
 */
export async function* followRenewing<E extends { cursor: string }>(
  client: Client,
  query: string,
  variables: { after: string; [name: string]: unknown },
  renew: () => Promise<void>,
): AsyncGenerator<E, void> {
  let { after } = variables;
  let isJustRenewed = false;
  const stop = client.on('connected', () => (isJustRenewed = false));
  try {
    for (;;) {
      try {
        for await (const event of follow<E>(client, query, { ...variables, after })) {
          yield event;
          after = event.cursor;
        }
        return;
      } catch (cause) {
        if ((cause as { code?: number }).code !== 4403 || isJustRenewed) throw cause;
      }
      await renew();
      isJustRenewed = true;
    }
  } finally {
    stop();
  }
}
