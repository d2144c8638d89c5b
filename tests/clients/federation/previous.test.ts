/**
 * Routers drop events: when a buffer is full, when their own connection to herald breaks, when they end. Who resumes
 * with `after`, and compares `previous`, ends with everything; who does neither ends short, and is told nothing of it.
 */

import { EventEmitter, once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { describe, expect, onTestFinished } from 'vitest';
import WebSocket from 'ws';

import { Proxy } from '../proxy.ts';
import type { User } from '../user.ts';
import { Buffer } from './buffer.ts';
import { test as base } from './fixtures.ts';
import { hive, type Router, type Upstream } from './routers.ts';
import { serve } from './subgraphs.ts';

/** How many events wait in the router for each client. */
const CAPACITY = 5;

const EVENTS = /* GraphQL */ `
  subscription Events($after: Cursor, $conversationId: ID!) {
    events(after: $after, conversationId: $conversationId, checkpoints: true) {
      __typename
      cursor
      previous
      ... on MessageSent { message { body } }
    }
  }
`;

interface Told {
  cursor: string;
  previous: string | null;
  message?: { body: string };
}

/** Subscribes once: everything until the router ends it, or the connection. */
type Subscribe = (after: string | null) => AsyncGenerator<Told, void>;

/** Goes on from its own place, after whatever broke and whenever `previous` shows that something is missing. */
async function* careful(subscribe: Subscribe, after: string): AsyncGenerator<Told, void> {
  for (;;) {
    for await (const event of subscribe(after)) {
      if (event.previous !== after) break;
      yield event;
      after = event.cursor;
    }
    await pause(20);
  }
}

/** Believes that what comes is everything. */
async function* careless(subscribe: Subscribe): AsyncGenerator<Told, void> {
  for (;;) {
    yield* subscribe(null);
    await pause(20);
  }
}

/** What somebody was told, in their order, kept as it comes. */
class Telling {
  readonly bodies: string[] = [];
  checkpoints = 0;
  readonly #changes = new EventEmitter();

  constructor(events: AsyncGenerator<Told, void>) {
    void this.#keep(events);
  }

  /** Waits until this holds. */
  async until(holds: (telling: this) => boolean): Promise<void> {
    while (!holds(this)) await once(this.#changes, 'change');
  }

  async #keep(events: AsyncGenerator<Told, void>): Promise<void> {
    for await (const { message } of events) {
      if (message) this.bodies.push(message.body);
      else this.checkpoints++;
      this.#changes.emit('change');
    }
  }
}

const says = (body: string) => (telling: Telling) => telling.bodies.includes(body);
const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => `message ${first + index}`);

const test = base
  /** Each test says it. */
  .extend('upstream', (): Upstream => 'websocket')
  .extend('buffer', () => new Buffer(CAPACITY))
  /** Between the router and herald. */
  .extend('behind', async ({ herald }, { onCleanup }) => {
    const behind = await Proxy.to(herald.port);
    onCleanup(() => behind.close());
    return behind;
  })
  /** The router, which can be ended and started again. */
  .extend('router', async ({ sdl, behind, buffer, upstream }, { onCleanup }) => {
    const subgraphs = await serve(sdl, behind.http);
    const start = (port = 0) => hive(subgraphs.supergraph, upstream, { port, plugins: [buffer.plugin] });
    const router: { now: Router; restart(meanwhile: () => Promise<void>): Promise<void> } = {
      now: await start(),
      async restart(meanwhile) {
        await this.now.close();
        await meanwhile();
        this.now = await start(this.now.port);
      },
    };
    onCleanup(async () => {
      await router.now.close();
      subgraphs.close();
    });
    return router;
  })
  /** A careful and a careless client of Bob's, which both follow already. */
  .extend('clients', async ({ router, bob, conversationId }) => {
    const [one, other] = [subscriber(router, bob, conversationId), subscriber(router, bob, conversationId)];
    const clients = { careful: new Telling(careful(one, await bob.cursor())), careless: new Telling(careless(other)) };
    const isLive = ({ checkpoints }: Telling) => checkpoints > 0;
    await Promise.all([clients.careful.until(isLive), clients.careless.until(isLive)]);
    return clients;
  })
  .extend('sendEach', ({ alice, conversationId }) => async (bodies: string[]): Promise<void> => {
    for (const body of bodies) await alice.send(conversationId, body);
  });

/** A client of the router that says no more of a lost connection than that nothing comes any more. */
function subscriber(router: { now: Router }, user: User, conversationId: string): Subscribe {
  const connectionParams = { authorization: `Bearer ${user.token}` };
  const client = createClient({ url: router.now.socket, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
  onTestFinished(() => client.dispose());
  return async function* (after) {
    try {
      const variables = { after, conversationId };
      for await (const { data } of client.iterate<{ events: Told }>({ query: EVENTS, variables })) {
        if (!data) return;
        yield data.events;
      }
    } catch {
      // Whoever follows comes back.
    }
  };
}

describe.for<Upstream>(['websocket', 'server-sent events'])('a router that follows herald by %s', (upstream) => {
  const lossy = test.extend('upstream', () => upstream);

  lossy('drops events because its buffer is full', async ({ buffer, clients, sendEach }) => {
    buffer.stall();
    await sendEach(range(1, 20));
    await buffer.filled(2 * 20);
    buffer.flow();
    await sendEach(['the end']);
    await Promise.all([clients.careful.until(says('the end')), clients.careless.until(says('the end'))]);
    expect(clients.careful.bodies).toEqual([...range(1, 20), 'the end']);
    expect(clients.careless.bodies).toEqual([...range(1, CAPACITY), 'the end']);
  });

  lossy('loses its connection to herald', async ({
    behind, clients, sendEach,
  }) => {
    await sendEach(range(1, 5));
    await Promise.all([clients.careful.until(says('message 5')), clients.careless.until(says('message 5'))]);
    behind.cut();
    await sendEach(range(6, 10));
    behind.heal();
    // Over WebSocket the router subscribes again by itself, and its clients notice nothing.
    await clients.careless.until(({ checkpoints }) => checkpoints === 2);
    await sendEach(['the end']);
    await Promise.all([clients.careful.until(says('the end')), clients.careless.until(says('the end'))]);
    expect(clients.careful.bodies).toEqual([...range(1, 10), 'the end']);
    expect(clients.careless.bodies).toEqual([...range(1, 5), 'the end']);
  });

  lossy('ends and starts again', async ({ router, clients, sendEach }) => {
    await sendEach(range(1, 5));
    await Promise.all([clients.careful.until(says('message 5')), clients.careless.until(says('message 5'))]);
    await router.restart(() => sendEach(range(6, 10)));
    await clients.careless.until(({ checkpoints }) => checkpoints === 2);
    await sendEach(['the end']);
    await Promise.all([clients.careful.until(says('the end')), clients.careless.until(says('the end'))]);
    expect(clients.careful.bodies).toEqual([...range(1, 10), 'the end']);
    expect(clients.careless.bodies).toEqual([...range(1, 5), 'the end']);
  });
});
