import { createClient } from 'graphql-ws';
import { follow, overSocket } from 'resumable-graphql-ws';
import { expect, test } from 'vitest';

import { app } from './app.ts';
import { runs, type Start } from './chaos.ts';
import { webSocket } from './wire.ts';

const join = (retryAttempts: number) => app(({ network, origin, world }: Start) => {
  const client = createClient({
    url: 'ws://model', webSocketImpl: webSocket(network, origin), retryAttempts, retryWait: () => world.wait(50), shouldRetry: () => true,
  });
  // One that is just connecting in vain says so.
  const stop = () => void Promise.resolve(client.dispose()).catch(() => {});
  return { ask: overSocket(client), follow: (options) => follow(client, options), stop };
});

test('nothing is lost, repeated or taken back, whatever happens', async () => {
  expect((await runs(join(0))).lied).toBeGreaterThan(0);
});

test("nor with the client's own retry", async () => {
  expect((await runs(join(5), 300)).lied).toBeGreaterThan(0);
});

test('nor with credentials that expire', async () => {
  expect((await runs(join(0), 300, true)).renewed).toBeGreaterThan(0);
});
