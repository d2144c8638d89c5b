/** What the core does in each case, one at a time. */

import { indexedDB } from 'fake-indexeddb';
import {
  follow, indexedDb, judge, Lost, memory, type Options, type Place, pushed, Refused, resumable, Silent, webStorage,
} from 'resumable-graphql';
import { describe, expect, test } from 'vitest';

import { World } from './world.ts';

type Step = Place | Error | readonly unknown[] | 'silence' | 'end';

/** A subscription that is told what to do: one list of steps for each time that it is begun. */
function told(attempts: Step[][], options: Partial<Options<Place>> = {}) {
  const world = new World(1);
  const begun: string[] = [];
  const delays: number[] = [];
  const iteration = resumable<Place>({
    async *subscribe(after, signal) {
      begun.push(after);
      for (const step of attempts[begun.length - 1] ?? ['silence']) {
        if (step === 'end') return;
        if (step === 'silence') await new Promise((_, reject) => signal.addEventListener('abort', reject));
        else if (step instanceof Error || Array.isArray(step)) throw step;
        else yield step as Place;
      }
      throw new Lost('the last step');
    },
    snapshot: () => 'snapshot',
    random: () => 0.5,
    now: world.now,
    wait: world.wait,
    onLost: (_cause, _failures, delay) => delays.push(delay),
    ...options,
  });
  return { world, begun, delays, iteration };
}

/** Everything until the iteration ends, or for so long. */
async function all({ world, iteration }: ReturnType<typeof told>, milliseconds = 1_000_000): Promise<unknown[]> {
  const events: unknown[] = [];
  const done = (async () => {
    for await (const event of iteration) events.push((event as Place).cursor);
    events.push('end');
  })().catch((cause) => events.push(cause));
  await Promise.race([world.pass(milliseconds), done]);
  return events;
}

const at = (cursor: string, more: Partial<Place> = {}): Place => ({ cursor, ...more });
const refusal = (code: string) => [{ message: code, extensions: { code } }];

describe('a subscription', () => {
  test('goes on after the last event that was dealt with', async () => {
    const run = told([[at('1'), at('2')], [at('3')], ['end']]);
    expect(await all(run)).toEqual(['1', '2', '3', 'end']);
    expect(run.begun).toEqual(['snapshot', '2', '3']);
  });

  test('keeps the cursor of an event when the next one is asked for, and not before', async () => {
    const store = memory();
    const { iteration } = told([[at('1'), at('2'), 'end']], { store });
    expect((await iteration.next()).value).toEqual(at('1'));
    expect(store.get()).toBe('snapshot');
    await iteration.next();
    expect(store.get()).toBe('1');
    // Left while an event is being dealt with: it comes again.
    await iteration.return();
    expect(store.get()).toBe('1');
  });

  test('begins at the cursor that is kept, without a snapshot', async () => {
    const run = told([['end']], { store: memory('kept'), snapshot: () => expect.unreachable() });
    expect(await all(run)).toEqual(['end']);
    expect(run.begun).toEqual(['kept']);
  });

  test('pauses longer each time, up to the longest pause, and anew after an event', async () => {
    const lost = Array<Step[]>(6).fill([new Lost('')]);
    const run = told([...lost, [at('1')], [new Lost('')], ['end']], { longestPause: 1_000 });
    await all(run);
    expect(run.delays).toEqual([75, 150, 300, 600, 750, 750, 75, 75]);
  });

  test('pauses as long as the server asks', async () => {
    const run = told([[new Refused(429, [], 30_000)], ['end']]);
    await all(run);
    expect(run.delays).toEqual([30_000]);
  });

  test('that lasted long without an event is no failure when it is lost', async () => {
    const quiet = Array<Step[]>(5).fill(['silence']);
    const run = told([...quiet, ['end']], { silence: 60_000 });
    await all(run);
    expect(new Set(run.delays)).toEqual(new Set([75]));
  });

  test.for([...['CURSOR_EXPIRED', 'CURSOR_INVALID']])('is told of %s, and begins with a new snapshot', async (code) => {
    const seen: string[] = [];
    const run = told([[at('1'), refusal(code)], [at('2'), 'end']], {
      onReset: () => seen.push('reset'),
      snapshot: () => `snapshot ${seen.push('snapshot')}`,
    });
    expect(await all(run)).toEqual(['1', '2', 'end']);
    expect(seen).toEqual(['snapshot', 'reset', 'snapshot']);
    expect(run.begun).toEqual(['snapshot 1', 'snapshot 3']);
  });

  test.for([
    refusal('NOT_FOUND'), refusal('UNAUTHENTICATED'), [{ message: 'without a code' }], new Refused(400), { code: 4403 },
  ])('throws a refusal that does not pass: %o', async (cause) => {
    const run = told([[at('1'), Object.assign(Array.isArray(cause) ? cause : Object.assign(new Error('x'), cause))]]);
    expect(await all(run)).toEqual(['1', expect.objectContaining(Array.isArray(cause) ? [...cause] : cause)]);
  });

  test('takes the verdict of whoever knows better', async () => {
    const run = told([[refusal('RATE_LIMITED')], ['end']], { judge: () => 'again' });
    expect(await all(run)).toEqual(['end']);
  });

  test('ends without an error when it is aborted, while it waits, pauses or takes a snapshot', async () => {
    for (const attempts of [[['silence']], [[new Lost('')]]] as Step[][][]) {
      const controller = new AbortController();
      const run = told(attempts, { signal: controller.signal });
      run.world.later(50, () => controller.abort());
      expect(await all(run)).toEqual(['end']);
    }
    const controller = new AbortController();
    const run = told([], { signal: controller.signal, snapshot: () => new Promise<string>(() => {}) });
    run.world.later(50, () => controller.abort());
    expect(await all(run)).toEqual(['end']);
  });

  test('aborts its transport when it is left', async () => {
    let signal: AbortSignal;
    const iteration = resumable<Place>({
      snapshot: () => '0',
      async *subscribe(_after, of) {
        signal = of;
        yield at('1');
      },
    });
    for await (const event of iteration) if (event.cursor === '1') break;
    expect(signal!.aborted).toBe(true);
  });

  test('leaves a transport that is silent, and says so by the reason of the signal', async () => {
    const reasons: unknown[] = [];
    const run = told([], {
      silence: 1_000,
      async *subscribe(_after, signal) {
        signal.addEventListener('abort', () => reasons.push(signal.reason));
        yield await new Promise<Place>(() => {}); // It does not even listen to the signal.
      },
    });
    await all(run, 3_000);
    expect(reasons[0]).toBeInstanceOf(Silent);
    expect(reasons.length).toBeGreaterThan(1);
  });

  test('throws what goes wrong in its store and in the app, at once', async () => {
    const full = new Error('the storage is full');
    const store = { get: () => undefined, set: () => Promise.reject(full) };
    expect(await all(told([], { store }))).toEqual([full]);
    const broken = new Error('a fault of the app');
    const show = () => {
      throw broken;
    };
    expect(await all(told([], { snapshot: () => ({ cursor: '0', show }) }))).toEqual([broken]);
  });

  test('wants a cursor in each event and in the snapshot', async () => {
    expect(await all(told([[{} as Place]]))).toEqual([expect.objectContaining({ message: expect.stringContaining('select it') })]);
    expect(await all(told([], { snapshot: () => undefined as never }))).toEqual([expect.any(TypeError)]);
  });
});

describe('a credential that is refused', () => {
  const refusals = [refusal('UNAUTHENTICATED'), new Refused(401), Object.assign(new Error('closed'), { code: 4403 })];

  test.for(refusals)('is renewed, and the subscription goes on after the last event: %o', async (cause) => {
    let renewals = 0;
    const run = told([[at('1'), cause], [at('2'), cause], [at('3'), 'end']], { renew: async () => void renewals++ });
    expect(await all(run)).toEqual(['1', '2', '3', 'end']);
    expect(run.begun).toEqual(['snapshot', '1', '2']);
    expect(renewals).toBe(2);
  });

  test('is renewed for the snapshot as well', async () => {
    let isRenewed = false;
    const run = told([['end']], {
      snapshot: () => (isRenewed ? 'snapshot' : Promise.reject(new Refused(401))),
      renew: () => void (isRenewed = true),
    });
    expect(await all(run)).toEqual(['end']);
  });

  test.for(refusals)('is final when the new one is refused as well: %o', async (cause) => {
    let renewals = 0;
    const run = told([[at('1'), cause], [cause]], { renew: () => void renewals++ });
    expect(await all(run)).toEqual(['1', cause]);
    expect(renewals).toBe(1);
  });

  test('is renewed each time, though nothing happens in between', async () => {
    let renewals = 0;
    const run: ReturnType<typeof told> = told([], {
      renew: () => void renewals++,
      async *subscribe(_after, signal) {
        await run.world.wait(renewals < 5 ? 300_000 : 0, signal);
        throw refusals[0];
      },
    });
    expect(await all(run, 10_000_000)).toEqual([refusals[0]]);
    expect(renewals).toBe(5);
  });

  test('is final when there is no other one', async () => {
    const run = told([[at('1'), refusals[0]!]], { renew: () => false });
    expect(await all(run)).toEqual(['1', refusals[0]]);
  });

  test('is asked for until it comes, and nothing is tried without it', async () => {
    let renewals = 0;
    const run = told([[refusals[0]!], [at('1'), 'end']], {
      renew: () => (++renewals < 4 ? Promise.reject(new TypeError('fetch failed')) : undefined),
    });
    expect(await all(run)).toEqual(['1', 'end']);
    expect(run.begun).toHaveLength(2);
    expect(renewals).toBe(4);
  });

  test('is not asked for again when whoever gives it refuses', async () => {
    const gone = new Refused(400);
    let renewals = 0;
    const run = told([[refusals[0]!]], { renew: () => Promise.reject((renewals++, gone)) });
    expect(await all(run)).toEqual([gone]);
    expect(renewals).toBe(1);
  });

  test('is renewed once for all that share it', async () => {
    const world = new World(1);
    let renewals = 0;
    const renew = async () => {
      await world.wait(1_000);
      renewals++;
    };
    const runs = [1, 2, 3].map(() => told([[refusals[0]!], [at('1'), 'end']], { renew, wait: world.wait, now: world.now }));
    const done = Promise.all(runs.map((run) => all({ ...run, world })));
    expect(await done).toEqual([['1', 'end'], ['1', 'end'], ['1', 'end']]);
    expect(renewals).toBe(1);
  });

  test('is renewed again where what another subscription got is of no use any more', async () => {
    let renewals = 0;
    const renew = () => void renewals++;
    const before = told([[refusals[0]!], ['end']], { renew });
    let tries = 0;
    const patient: ReturnType<typeof told> = told([], {
      renew,
      async *subscribe(_after, signal) {
        if (!tries++) await patient.world.wait(300_000, signal);
        if (tries < 3) throw refusals[0];
        yield at('1');
      },
    });
    const next = patient.iteration.next();
    await patient.world.pass(0);
    expect(await all(before)).toEqual(['end']);
    await patient.world.pass(1_000_000);
    expect((await next).value).toEqual(at('1'));
    expect(renewals).toBe(2);
    // One that began after that renewal has seen the credential that it brought.
    const late = told([[refusals[0]!], ['end']], { renew });
    expect(await all(late)).toEqual(['end']);
    expect(renewals).toBe(3);
  });
});

describe('what something between does', () => {
  test('a repeated event is told once', async () => {
    const run = told([[at('1'), at('1'), at('2'), at('1'), at('3'), 'end']]);
    expect(await all(run)).toEqual(['1', '2', '3', 'end']);
    expect(run.begun).toHaveLength(1);
  });

  test('a dropped event shows by `previous`, and comes again', async () => {
    const run = told([[at('1', { previous: null }), at('3', { previous: '2' })], [at('2', { previous: null }), 'end']]);
    expect(await all(run)).toEqual(['1', '2', 'end']);
    expect(run.begun).toEqual(['snapshot', '1']);
  });

  test('so does a dropped first one', async () => {
    const run = told([[at('2', { previous: '1' })], [at('1', { previous: null }), 'end']]);
    expect(await all(run)).toEqual(['1', 'end']);
    expect(run.begun).toEqual(['snapshot', 'snapshot']);
  });

  test('a subscription that was begun again in between shows as well', async () => {
    const run = told([[at('1', { previous: null }), at('3', { previous: null })], ['end']]);
    expect(await all(run)).toEqual(['1', 'end']);
    expect(run.begun).toEqual(['snapshot', '1']);
  });

  test('`previous` may be the cursor that was subscribed after', async () => {
    const run = told([[at('1', { previous: 'snapshot' }), at('2', { previous: '1' }), 'end']]);
    expect(await all(run)).toEqual(['1', '2', 'end']);
  });
});

test('a checkpoint moves the cursor, and is no event', async () => {
  const checkpoints: Place[] = [];
  const checkpoint = (cursor: string, previous: string) => at(cursor, { previous, __typename: 'Checkpoint' });
  const store = memory();
  const run = told(
    [[at('1', { previous: null }), checkpoint('1', '1'), checkpoint('5', '1'), at('6', { previous: '5' })], ['end']],
    { store, onCheckpoint: ({ cursor }) => checkpoints.push(cursor) },
  );
  expect(await all(run)).toEqual(['1', '6', 'end']);
  expect(checkpoints).toEqual(['1', '5']);
  expect(run.begun).toEqual(['snapshot', '6']);
});

test.for([
  [new TypeError('fetch failed'), 'again'],
  [{ code: 1006 }, 'again'],
  [{ code: 4408 }, 'again'],
  [{ code: 4401 }, 'end'],
  [refusal('UNAVAILABLE'), 'again'],
  [[...refusal('UNAVAILABLE'), ...refusal('FORBIDDEN')], 'end'],
  [[...refusal('FORBIDDEN'), ...refusal('CURSOR_EXPIRED')], 'reset'],
  [new Refused(400, refusal('CURSOR_INVALID')), 'reset'],
  [new Refused(401), 'renew'],
  [new Refused(403), 'end'],
  [refusal('UNAUTHENTICATED'), 'renew'],
  [{ code: 4403 }, 'renew'],
  [new Refused(502), 'again'],
  [new Refused(503, refusal('UNAVAILABLE')), 'again'],
  [new Refused(200, refusal('NOT_FOUND')), 'end'],
  [new Refused(429), 'again'],
  [{ statusCode: 401 }, 'renew'],
  [{ statusCode: 403 }, 'end'],
  [{ graphQLErrors: refusal('CURSOR_EXPIRED') }, 'reset'],
  [{ graphQLErrors: [], networkError: new Error('x') }, 'again'],
] as const)('%o is judged: %s', ([cause, verdict]) => expect(judge(cause)).toBe(verdict));

test('more events than there is room for end the connection, not the memory', async () => {
  const values = pushed<number>(new AbortController().signal, (sink) => {
    for (let n = 0; n < 5_000; n++) sink.next(n);
    return () => {};
  });
  let count = 0;
  await expect((async () => {
    for await (const _ of values) count++;
  })()).rejects.toThrow(Lost);
  expect(count).toBe(1_000);
});

describe('a document', () => {
  test('is given the variables that it declares, and an answer with errors is refused', async () => {
    const asked: unknown[] = [];
    const shown: unknown[] = [];
    const iteration = follow<Place>(async function* ({ query, variables }) {
      asked.push(variables);
      if (query.startsWith('query')) yield { data: { cursor: 'c', list: [] } };
      else yield { data: null, errors: refusal('NOT_FOUND') };
    }, {
      events: 'subscription ($id: ID!, $after: Cursor!, $own: Boolean) { … }',
      snapshot: 'query ($id: ID!) { cursor list(id: $id) }',
      variables: { id: 7, own: true },
      onSnapshot: (data) => shown.push(data),
    });
    await expect(iteration.next()).rejects.toEqual(refusal('NOT_FOUND'));
    expect(asked).toEqual([{ id: 7 }, { id: 7, own: true, after: 'c' }]);
    expect(shown).toEqual([{ cursor: 'c', list: [] }]);
  });
});

describe('a store', () => {
  test('in web storage keeps a cursor for the next one', () => {
    const items = new Map<string, string>();
    const storage = { getItem: (key: string) => items.get(key) ?? null, setItem: (key: string, value: string) => void items.set(key, value) };
    expect(webStorage('a', storage).get()).toBeUndefined();
    void webStorage('a', storage).set('1');
    expect(webStorage('a', storage).get()).toBe('1');
    expect(webStorage('b', storage).get()).toBeUndefined();
  });

  test('in IndexedDB, too', async () => {
    expect(await indexedDb('a', 'test', indexedDB).get()).toBeUndefined();
    await indexedDb('a', 'test', indexedDB).set('1');
    await indexedDb('a', 'test', indexedDB).set('2');
    expect(await indexedDb('a', 'test', indexedDB).get()).toBe('2');
    expect(await indexedDb('b', 'test', indexedDB).get()).toBeUndefined();
  });
});
