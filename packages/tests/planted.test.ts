/** The runs find what they are made to find. */

import { expect, test } from 'vitest';

import { app } from './app.ts';
import { runs } from './chaos.ts';
import { PLANTED } from './planted.ts';

test.for(Object.entries(PLANTED))('the runs see: %s', async ([name, { sees, isExpiring }]) => {
  const path = `${import.meta.dirname}/../resumable-graphql/src/index.ts?plant=${name}`;
  const core = (await import(/* @vite-ignore */ path)) as typeof import('resumable-graphql');
  const join = app(({ network, origin }) => {
    const ask = network.execute(origin);
    return { ask, follow: (options) => core.follow(ask, options) };
  }, core.Epoch);
  await expect(runs(join, undefined, isExpiring)).rejects.toThrow(sees);
});
