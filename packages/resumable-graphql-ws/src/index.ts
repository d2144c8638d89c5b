/** Subscriptions that lose nothing and repeat nothing, over graphql-ws. */

import type { Client } from 'graphql-ws';
import {
  type Execute, follow as followOver, type FollowOptions, Lost, pushed, type Result, Silent, variablesAfter,
} from 'resumable-graphql';

/** A client as what executes documents. Its own retry may be on or off. */
export function overSocket(client: Client): Execute {
  return ({ query, variables }, signal) => pushed<Result>(signal, (sink) => {
    const moving = variablesAfter(variables);
    let isClosed = false;
    const forget = client.on('closed', () => (isClosed = true));
    const connects = client.on('opened', () => (isClosed = false));
    const stop = client.subscribe<Record<string, unknown>>({ query, variables: moving.variables }, {
      next(result) {
        moving.see(result);
        sink.next(result);
      },
      error: (cause) => sink.error(cause),
      // graphql-ws calls it complete as well when the socket was closed with 1000, as a proxy does.
      complete: () => (isClosed ? sink.error(new Lost('the socket was closed')) : sink.complete()),
    });
    return () => {
      forget();
      connects();
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
