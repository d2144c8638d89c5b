/** The kit against herald. */

import { readMapping, type Result } from 'resumable-graphql-conformance';
import { conform, tap } from 'resumable-graphql-conformance';
import { expect, onTestFinished, test } from 'vitest';

import { Herald } from '../../tests/clients/herald.ts';

const map = (name: string) => new URL(`../conformance/maps/${name}.json`, import.meta.url).pathname;

const failed = (results: Result[]) => tap(results.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'skipped'));

test('herald conforms', async () => {
  const herald = await Herald.create('--checkpoint-interval', '1', '--ping-interval', '1', '--max-sockets-per-user', '500');
  onTestFinished(() => herald.remove());
  const mapping = await readMapping(map('herald'));
  mapping.options!.checkpoints!.seconds = 1;
  mapping.heartbeat = 1;
  const results = await conform(herald.http, mapping, {
    restart: async () => {
      await herald.stop();
      await herald.start();
    },
    kill: async () => {
      await herald.kill();
      await herald.start();
    },
    backUp: () => herald.backUp(),
  });
  expect(failed(results)).toBe('TAP version 14\n1..0');
});
