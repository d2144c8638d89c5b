import { follow, followByEventSource, overFetch } from 'resumable-graphql-sse';
import { expect, test } from 'vitest';

import { app } from './app.ts';
import { runs } from './chaos.ts';
import { eventSource, fetching } from './wire.ts';

const URL = 'http://model/graphql';

const byFetch = app(({ network, origin }) => {
  const endpoint = { url: URL, fetch: fetching(network, origin) };
  return { ask: overFetch(endpoint), follow: (options) => follow(endpoint, options) };
});

const byEventSource = app(({ network, origin }) => {
  const endpoint = { url: URL, fetch: fetching(network, origin), open: eventSource(network, origin) };
  return { ask: overFetch(endpoint), follow: (options) => followByEventSource(endpoint, options) };
});

test('by fetch, nothing is lost, repeated or taken back, whatever happens', async () => {
  expect((await runs(byFetch)).lied).toBeGreaterThan(0);
});

test('nor by an EventSource', async () => {
  expect((await runs(byEventSource)).lied).toBeGreaterThan(0);
});

test.for([byFetch, byEventSource])('nor with credentials that expire', async (join) => {
  expect((await runs(join, 300, true)).renewed).toBeGreaterThan(0);
});
