import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { type Entry, indexedDb, memory, Outbox, type OutboxOptions, type OutboxStore, webStorage } from 'resumable-graphql-outbox';
import { describe, expect, test, vi } from 'vitest';

import { Browser } from './browser.ts';
import { runs } from './outbox-runs.ts';
import { PLANTED_IN_OUTBOX } from './planted-outbox.ts';
import { World } from './world.ts';

test('each message is stored once and in order, in a tab that is closed and opened again', async () => {
  const { closed, lost, late } = await runs(1);
  expect(Math.min(closed, lost, late)).toBeGreaterThan(0);
});

test('and in several tabs', async () => {
  const { closed, lost, late } = await runs(3);
  expect(Math.min(closed, lost, late)).toBeGreaterThan(0);
});

test.for(Object.entries(PLANTED_IN_OUTBOX))('the runs see: %s', async ([name, { sees, tabs = 1 }]) => {
  const path = `${import.meta.dirname}/../resumable-graphql-outbox/src/index.ts?plant=${name}`;
  const planted = (await import(/* @vite-ignore */ path)) as typeof import('resumable-graphql-outbox');
  await expect(runs(tabs, undefined, planted.Outbox)).rejects.toThrow(sees);
});

describe('an outbox', () => {
  type Send = OutboxOptions<string, unknown>['send'];
  const refuse = (code: string, more: object = {}) => Promise.reject([{ message: 'No.', extensions: { code, ...more } }]);
  /** One in a world of its own, in which `send` is called. */
  function outbox(send: Send, options: Partial<OutboxOptions<string, unknown>> = {}) {
    const world = new World(1);
    const box = new Outbox<string>({ send, random: () => 0.5, wait: world.wait, locks: new Browser(world).open().locks, ...options });
    return { world, box };
  }

  test('keeps what is refused, with the reason, and goes on with the others', async () => {
    const send = vi.fn<Send>(({ variables }) => (variables === 'bad' ? refuse('FORBIDDEN') : Promise.resolve()));
    const { world, box } = outbox(send);
    const { id } = box.add('a', 'bad');
    box.add('a', 'good');
    await world.pass(0);
    expect(send.mock.calls.map(([{ variables }]) => variables)).toEqual(['bad', 'good']);
    expect(box.entries).toMatchObject([{ id, variables: 'bad', tries: 1, failure: { code: 'FORBIDDEN', message: 'No.' } }]);

    box.retry(id);
    await world.pass(0);
    expect(send.mock.calls[2]![0].key).toBe(send.mock.calls[0]![0].key);
    expect(box.entries).toMatchObject([{ tries: 2, failure: { code: 'FORBIDDEN' } }]);

    box.edit(id, 'better');
    await world.pass(0);
    expect(send.mock.calls[3]![0]).toMatchObject({ id, variables: 'better' });
    expect(send.mock.calls[3]![0].key).not.toBe(send.mock.calls[0]![0].key);
    expect(box.entries).toEqual([]);

    box.discard(box.add('a', 'bad').id);
    await world.pass(0);
    expect(box.entries).toEqual([]);
  });

  test('sends lanes beside each other, and each in order', async () => {
    const begun: string[] = [];
    const { world, box } = outbox(({ variables }) => {
      begun.push(variables);
      return new Promise(() => {});
    });
    for (const body of ['a1', 'a2', 'b1']) box.add(body[0]!, body);
    await world.pass(0);
    expect(begun).toEqual(['a1', 'b1']);
  });

  test('waits as long as the server asks, and longer each time otherwise', async () => {
    const at: number[] = [];
    const answers = [() => refuse('UNAVAILABLE'), () => refuse('UNAVAILABLE'), () => refuse('RATE_LIMITED', { retryAfter: 7 }), async () => {}];
    const { world, box } = outbox(() => {
      at.push(world.now());
      return answers.shift()!();
    });
    box.add('a', 'one');
    await world.pass(20_000);
    expect(at).toEqual([0, 375, 1_125, 8_125]);
    expect(box.entries).toEqual([]);
  });

  test('gives up an answer that does not come, and takes the next', async () => {
    const signals: AbortSignal[] = [];
    const { world, box } = outbox((_entry, signal) => {
      signals.push(signal);
      return signals.length === 1 ? new Promise(() => {}) : Promise.resolve();
    });
    box.add('a', 'one');
    await world.pass(20_400);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    expect(box.entries).toEqual([]);
  });

  test('waits for another credential, and loses nothing where there is none', async () => {
    let isSignedIn = false;
    const renew = vi.fn(async () => false);
    const { world, box } = outbox(() => (isSignedIn ? Promise.resolve() : refuse('UNAUTHENTICATED')), { renew });
    box.add('a', 'one');
    await world.pass(5_000);
    expect(renew).toHaveBeenCalled();
    expect(box.entries.map(({ failure }) => failure)).toEqual([undefined]);
    isSignedIn = true;
    box.flush();
    await world.pass(0);
    expect(box.entries).toEqual([]);
  });

  test('waits until it is ready', async () => {
    let begin = () => {};
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const send = vi.fn<Send>(async () => {});
    const { world, box } = outbox(send, { ready: () => begun });
    box.add('a', 'one');
    await world.pass(60_000);
    expect(send).not.toHaveBeenCalled();
    begin();
    await world.pass(0);
    expect(send).toHaveBeenCalledOnce();
  });

  test('asks about what an earlier run left', async () => {
    const store = memory<string>();
    const { world: before, box: first } = outbox(() => new Promise(() => {}), { store });
    first.add('a', 'one');
    await before.pass(0);
    const send = vi.fn<Send>(async () => {});
    const { world, box } = outbox(send, { store, onFound: () => ({ message: 'You wrote this before you signed in.' }) });
    await world.pass(0);
    expect(box.entries).toMatchObject([{ variables: 'one', failure: { message: 'You wrote this before you signed in.' } }]);
    expect(send).not.toHaveBeenCalled();
  });

  test('sends also where nothing can be kept', async () => {
    const fail = () => Promise.reject(new Error('there is no room'));
    const send = vi.fn<Send>(async () => {});
    const { world, box } = outbox(send, { store: { all: fail, put: fail, remove: fail }, name: 'app', open: new Browser(new World(1)).open().channel });
    box.add('a', 'one');
    box.add('a', 'two');
    await world.pass(100);
    expect(send.mock.calls.map(([{ variables }]) => variables)).toEqual(['one', 'two']);
    expect(box.entries).toEqual([]);
  });

  test('of several tabs sends in one, and in the next when that is closed', async () => {
    const world = new World(1);
    const browser = new Browser(world);
    const store = memory<string>();
    const tabs = [0, 1].map(() => {
      const tab = browser.open();
      const send = vi.fn<Send>(() => new Promise(() => {}));
      const box = new Outbox<string>({ send, store, name: 'app', locks: tab.locks, open: tab.channel, signal: tab.signal, wait: world.wait });
      return { tab, send, box };
    });
    const [first, second] = tabs as [(typeof tabs)[0], (typeof tabs)[0]];
    const { key } = first.box.add('a', 'one');
    await world.pass(1_000);
    expect(second.box.entries).toEqual(first.box.entries);
    expect(first.send).toHaveBeenCalledOnce();
    expect(second.send).not.toHaveBeenCalled();
    first.tab.close();
    await world.pass(1_000);
    expect(second.send.mock.calls).toMatchObject([[{ variables: 'one', key }, {}]]);
  });
});

describe('a store', () => {
  vi.stubGlobal('IDBKeyRange', IDBKeyRange);
  const entry = (id: string): Entry<string> => ({ id, key: id, lane: 'a', variables: 'one', at: 1, tries: 0 });
  const factory = new IDBFactory();
  const stores: Record<string, (user: string) => OutboxStore<string>> = {
    'in a storage': (user) => webStorage(user, storage),
    'in IndexedDB': (user) => indexedDb(user, undefined, factory),
  };
  // As much of a Storage as is used.
  const storage = Object.create({
    getItem: (name: string) => (storage as any)[name],
    setItem: (name: string, value: string) => void ((storage as any)[name] = value),
    removeItem: (name: string) => void delete (storage as any)[name],
  }) as Storage;

  test.for(Object.entries(stores))('%s keeps the entries of one user', async ([, open]) => {
    const [alice, bob] = [open('alice'), open('bob')];
    for (const id of ['1', '2']) await alice.put(entry(id));
    await bob.put(entry('3'));
    await alice.put({ ...entry('2'), tries: 1 });
    await alice.remove('1');
    expect(await open('alice').all()).toEqual([{ ...entry('2'), tries: 1 }]);
    expect(await open('bob').all()).toEqual([entry('3')]);
    expect(await open('al').all()).toEqual([]);
  });
});
