import { follow } from 'resumable-graphql';
import { expect, test } from 'vitest';

import { app } from './app.ts';
import { runs } from './chaos.ts';

const join = app(({ network, origin }) => {
  const ask = network.execute(origin);
  return { ask, follow: (options) => follow(ask, options) };
});

test('nothing is lost, repeated or taken back, whatever happens', async () => {
  const sum = await runs(join);
  console.log(sum);
  expect(sum.lied).toBeGreaterThan(0);
});

test('nor with credentials that expire', async () => {
  expect((await runs(join, 300, true)).renewed).toBeGreaterThan(0);
});
