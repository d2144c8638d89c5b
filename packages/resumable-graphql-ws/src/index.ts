/** Subscriptions that lose nothing and repeat nothing, over graphql-ws. */

import type { Client } from 'graphql-ws';
import {
  type Execute, follow as followOver, type FollowOptions, pushed, type Result, Silent, variablesAfter,
} from 'resumable-graphql';

/**
 * A client as what executes documents. Its own retry may be on or off; when a socket is closed with 1000, it repeats its
 * requests in any case.
 */
export function overSocket(client: Client): Execute {
  return ({ query, variables }, signal) => pushed<Result>(signal, (sink) => {
    const moving = variablesAfter(variables);
    const stop = client.subscribe<Record<string, unknown>>({ query, variables: moving.variables }, {
      next(result) {
        moving.see(result);
        sink.next(result);
      },
      error: (cause) => sink.error(cause),
      complete: () => sink.complete(),
    });
    return () => {
      stop();
      // Another operation may hold the socket open, and the next try would be made on it.
      if (signal.reason instanceof Silent) client.terminate();
    };
  });
}

/** Every event of a subscription after a snapshot, in order and once, through lost connections. */
export function follow<E, S = any>(client: Client, options: FollowOptions<E, S>): AsyncGenerator<E, void, undefined> {
  return followOver<E, S>(overSocket(client), options);
}
