import { type Execute, follow, judge, Lost, Refused, type Result, Silent } from 'resumable-graphql';
import { overTabs, subscriber } from 'resumable-graphql-tabs';
import { describe, expect, test } from 'vitest';

import { app } from './app.ts';
import { Browser, type Tab } from './browser.ts';
import { runs, type Start } from './chaos.ts';
import type { Network } from './network.ts';
import { World } from './world.ts';

/** Tabs that are there before, and how long each may stay, in milliseconds. */
const OTHERS = 6;
const LONGEST_VISIT = 60_000;

const browsers = new WeakMap<Network, Browser>();

/** What a tab executes by, over its own connections where it leads. */
function executing(tab: Tab, { network, origin }: Start): Execute {
  const own: Execute = (request, signal) => network.execute(origin)(request, AbortSignal.any([signal, tab.signal]));
  return overTabs(own, { name: 'app', signal: tab.signal, locks: tab.locks, open: tab.channel });
}

/** Another tab of the same app. One of them leads, as long as one is there. */
function visit(browser: Browser, start: Start): void {
  const { world } = start;
  const tab = browser.open();
  executing(tab, start);
  world.later(world.between(0, LONGEST_VISIT), () => tab.close());
}

const join = app((start) => {
  const { network, world } = start;
  if (!browsers.has(network)) browsers.set(network, new Browser(world));
  const browser = browsers.get(network)!;
  while (browser.tabs.size < OTHERS) visit(browser, start);
  const tab = browser.open();
  const execute = executing(tab, start);
  return { ask: network.execute(start.origin), follow: (options) => follow(execute, options), stop: () => tab.close() };
});

test('nothing is lost, repeated or taken back, whichever tab is closed', async () => {
  expect((await runs(join)).lied).toBeGreaterThan(0);
});

test('nor with credentials that expire', async () => {
  expect((await runs(join, 300, true)).renewed).toBeGreaterThan(0);
});

describe('tabs', () => {
  /** Some tabs, in the order in which they lead, and what each was asked for by itself. */
  function tabs(count: number, executes: Execute = async function* (_request, signal) {
    yield { data: { n: 1 } };
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }) {
    const world = new World(1);
    const browser = new Browser(world);
    return { world, tabs: Array.from({ length: count }, () => {
      const tab = browser.open();
      const asked: AbortSignal[] = [];
      const own: Execute = (request, signal) => {
        asked.push(signal);
        return executes(request, signal);
      };
      const execute = overTabs(own, { name: 'app', signal: tab.signal, locks: tab.locks, open: tab.channel });
      const heard: unknown[] = [];
      const ask = (signal = new AbortController().signal) => void (async () => {
        for await (const result of execute({ query: '', variables: {} }, signal)) heard.push(result);
        heard.push('end');
      })().catch((cause) => heard.push(cause));
      return { tab, asked, execute, heard, ask };
    }) };
  }
  const RESULT: Result = { data: { n: 1 } };

  test('ask over the connection of the one that leads', async () => {
    const { world, tabs: [first, second, third] } = tabs(3);
    for (const { ask } of [first!, second!, third!]) ask();
    await world.pass(100);
    expect([first, second, third].map((one) => one!.heard)).toEqual([[RESULT], [RESULT], [RESULT]]);
    expect([first, second, third].map((one) => one!.asked.length)).toEqual([3, 0, 0]);
  });

  test('are told at once when that one is closed, and the next one leads', async () => {
    const { world, tabs: [first, second, third] } = tabs(3);
    third!.ask();
    await world.pass(100);
    first!.tab.close();
    await world.pass(100);
    expect(third!.heard).toEqual([RESULT, expect.any(Lost)]);
    third!.ask();
    await world.pass(100);
    expect(third!.heard.slice(2)).toEqual([RESULT]);
    expect(second!.asked).toHaveLength(1);
  });

  test('end what was asked for one that is closed, and for one that has stopped', async () => {
    const { world, tabs: [first, second, third] } = tabs(3);
    const [stopped, silent] = [new AbortController(), new AbortController()];
    second!.ask();
    third!.ask();
    third!.ask(stopped.signal);
    third!.ask(silent.signal);
    await world.pass(100);
    const reasons = () => first!.asked.map(({ aborted, reason }) => aborted && (reason instanceof Silent ? 'silent' : 'stopped'));
    expect(reasons()).toEqual([false, false, false, false]);
    stopped.abort();
    silent.abort(new Silent(''));
    await world.pass(100);
    expect(reasons()).toEqual([false, false, 'stopped', 'silent']);
    second!.tab.close();
    await world.pass(100);
    expect(reasons()).toEqual(['stopped', false, 'stopped', 'silent']);
  });

  const refusal = (code: string) => [{ message: code, extensions: { code } }];
  test.for([
    refusal('NOT_FOUND'), refusal('CURSOR_EXPIRED'), { code: 4403, reason: 'x' }, { code: 4400 }, new TypeError('fetch failed'),
    new Refused(401), new Refused(400, refusal('CURSOR_INVALID')), new Refused(429, [], 30_000), new Lost('x'),
  ])('judge what went wrong as the one that leads does: %o', async (cause) => {
    const { world, tabs: [, second] } = tabs(2, async function* () {
      throw cause;
    });
    second!.ask();
    await world.pass(100);
    const [heard] = second!.heard as any[];
    expect(judge(heard)).toBe(judge(cause));
    expect(heard.retryAfter).toBe((cause as Refused).retryAfter);
  });

  test('are of use to what takes a client of graphql-ws', async () => {
    const { world, tabs: [, second] } = tabs(2, async function* (request) {
      yield { data: request as never };
    });
    const told: unknown[] = [];
    const sink = { next: (value: unknown) => told.push(value), error: (cause: unknown) => told.push(cause), complete: () => told.push('end') };
    subscriber(second!.execute).subscribe({ query: '{ a }' }, sink);
    await world.pass(100);
    expect(told).toEqual([{ data: { query: '{ a }', variables: {} } }, 'end']);
  });
});
