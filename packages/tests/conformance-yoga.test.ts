/** The kit against examples/yoga: nothing is wrong with it, and each planted mistake is found. */

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { CHECKS, conform, type Mapping, type Operator, readMapping, type Result, tap } from 'resumable-graphql-conformance';
import { describe, expect, onTestFinished, test } from 'vitest';

import { MISTAKES } from './mistakes.ts';
import { Yoga } from './yoga.ts';

const KIT = new URL('../conformance/', import.meta.url).pathname;
const MAP = `${KIT}maps/yoga.json`;

/** The mapping is of the example with nothing set. */
async function mapping(keeps: number): Promise<Mapping> {
  const mapping = await readMapping(MAP);
  mapping.options!.checkpoints!.seconds = 1;
  return { ...mapping, keeps, heartbeat: 1 };
}

const operator = (yoga: Yoga): Operator => ({
  restart: () => yoga.restart('SIGTERM'), kill: () => yoga.restart('SIGKILL'), backUp: () => yoga.backUp(),
});

const bad = (results: Result[]) => results.filter(({ outcome }) => outcome === 'failed' || outcome === 'advice');

test('the example conforms', async () => {
  const keeps = 500;
  const yoga = await Yoga.create(keeps);
  onTestFinished(() => yoga.remove());
  const results = await conform(yoga.http, await mapping(keeps), operator(yoga));
  expect(tap(bad(results))).toBe('TAP version 14\n1..0');
  expect(results.filter(({ outcome }) => outcome === 'ok').length).toBeGreaterThan(100);
});

test('the program prints TAP and JSON, and exits with whether the server conforms', async () => {
  const yoga = await Yoga.create(400);
  onTestFinished(() => yoga.remove());
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [`${KIT}dist/cli.js`, yoga.http, '--config', MAP, '--only', 'is no cursor', ...args]);
  const { stdout } = await run('--transport', 'sse');
  expect(stdout).toMatch(/^TAP version 14\nok 1 - R4 an? .* is no cursor \(sse\)\n/);
  // One for an EventSource is among them.
  expect(stdout).toMatch(/\n1\.\.9\n/);
  const { conforms, ok, results } = JSON.parse((await run('--json')).stdout);
  expect([conforms, ok, results.length]).toEqual([true, 17, 17]);
  const broken = await Yoga.create(400, MISTAKES.find(({ check }) => check === 'an empty text is no cursor')!.changes);
  onTestFinished(() => broken.remove());
  const failure = promisify(execFile)(process.execPath, [`${KIT}dist/cli.js`, broken.http, '--config', MAP, '--only', 'is no cursor']);
  await expect(failure).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('not ok') });
});

describe('planted mistakes', { concurrent: true }, () => {
  for (const { what, check, changes } of MISTAKES) {
    // Of the context: where several run at a time, the global one knows of none.
    test(what, async ({ onTestFinished }) => {
      const keeps = 200;
      const yoga = await Yoga.create(keeps, changes);
      onTestFinished(() => yoga.remove());
      const results = await conform(yoga.http, await mapping(keeps), operator(yoga), { only: [check] });
      expect(bad(results).map(({ name }) => name)).toContain(check);
    });
  }
});

test('the README has all checks and mistakes', async () => {
  const rules = new Map(CHECKS.map(({ name, rule }) => [name, rule]));
  const rows = MISTAKES.map(({ what, check }) => `| ${what} | ${rules.get(check)} | ${check} |`);
  const table = ['| Mistake | Rule | The check that finds it |', '|---|---|---|', ...rows].join('\n');
  const file = `${KIT}README.md`;
  const text = await readFile(file, 'utf8');
  const blessed = text.replace(/\| Mistake \|[\s\S]*?\n(?=\n|$)/, () => `${table}\n`)
    .replace(/\d+ checks of \d+ rules/, `${rules.size} checks of ${new Set(rules.values()).size} rules`);
  if (process.env['HERALD_BLESS']) await writeFile(file, blessed);
  else expect(text).toBe(blessed);
});
