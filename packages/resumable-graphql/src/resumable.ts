/** A subscription that outlives its connections. */

import { judge as judgeByDefault, Lost, Silent, type Verdict } from './judge.ts';
import { type CursorStore, memory } from './stores.ts';

/** What is to be known of an event. */
export interface Place {
  /** Subscribing after this goes on behind the event. */
  cursor: string;
  /** The cursor of what the subscription was given before; null at its beginning; undefined where the server doesn't say. */
  previous?: string | null | undefined;
  /** `Checkpoint` where nothing happened, but everything up to the cursor is here. */
  __typename?: string | undefined;
}

/** What can be set of a subscription, whatever it is of. */
export interface Tuning {
  /** Where the cursor is kept. By default in memory, for this one iteration. */
  store?: CursorStore | undefined;
  /** Ends the iteration, without an error. */
  signal?: AbortSignal | undefined;
  /**
   * After so many milliseconds without an event or a checkpoint, the connection counts as lost. Use it with a server that
   * sends checkpoints while nothing happens, and then with more than the time between two of them.
   */
  silence?: number | undefined;
  /**
   * Gets another credential. Is called when the server says that nobody is signed in: a token has expired, say. What connects
   * has to ask for the credential each time. Resolves to false where there is no other one: then the refusal is thrown, as
   * it is when the new one is refused at once. What it rejects with is judged as everything else, so a lost network is tried
   * again. Subscriptions that are given the same function share its calls.
   */
  renew?: (() => unknown) | undefined;
  /** Decides instead of the default, where it does not return undefined. */
  judge?: ((cause: unknown) => Verdict | undefined) | undefined;
  /** Is told why the connection was lost, how many times in a row that was in vain, and when the next try begins. */
  onLost?: ((cause: unknown, failures: number, delay: number) => void) | undefined;
  /**
   * Is told at once when the server says that a cursor is of no use any more: the log went back in time, or does not go
   * back far enough. Forget everything then. A new snapshot follows.
   */
  onReset?: (() => unknown) | undefined;
  /** Is told of checkpoints, which the iteration leaves out. */
  onCheckpoint?: ((checkpoint: any) => void) | undefined;
  /** The longest pause between two tries, in milliseconds. By default 10,000. */
  longestPause?: number | undefined;
  /** From 0 to less than 1. For tests. */
  random?: (() => number) | undefined;
  /** Milliseconds since some time. For tests. */
  now?: (() => number) | undefined;
  /** Resolves after so many milliseconds, or when the signal aborts. For tests. */
  wait?: ((milliseconds: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/** A cursor, perhaps with what shows the snapshot to the app. An error in `show` is the app's, and not tried again. */
export type Snapshot = string | { cursor: string; show(): unknown };

export interface Options<E> extends Tuning {
  /**
   * Subscribes once. Ends when the subscription does, throws when the connection is lost or the server refuses. The signal
   * aborts when the subscription is left; its reason is `Silent` where the connection has to be given up.
   */
  subscribe(after: string, signal: AbortSignal): AsyncIterable<E>;
  /**
   * Reads what there is, and a cursor with it, in one response. Is asked at the beginning where no cursor is kept, and
   * again after each `onReset`.
   */
  snapshot(signal: AbortSignal): Snapshot | Promise<Snapshot>;
  /** Finds the place in an event. By default the event has it. */
  place?: ((event: E) => Place) | undefined;
}

/** The first pause, in milliseconds. */
const SHORTEST_PAUSE = 100;

/** So many of the newest cursors are known again. */
const REMEMBERED = 1_000;

/** A connection that lasted so long, in milliseconds, was not refused, though nothing came. */
const LET_IN = 1_000;

/** The newest renewal by each function. */
const renewals = new WeakMap<() => unknown, Promise<unknown>>();

/**
 * Every event after a snapshot or after the kept cursor, in order and once, through lost connections. An event counts as
 * dealt with when the next one is asked for; only then is its cursor kept. Throws what `judge` calls the end, and what the
 * store throws.
 */
export async function* resumable<E>(options: Options<E>): AsyncGenerator<E, void, undefined> {
  const { subscribe, snapshot, signal, silence, renew, onLost, onCheckpoint } = options;
  const { store = memory(), longestPause = 10_000, random = Math.random, now = Date.now, wait = sleep } = options;
  const place = options.place ?? ((event) => event as Place);
  const stopped = signal ?? new AbortController().signal;
  const recent = new Set<string>();
  /** With what the credential was refused that has to be renewed. */
  let refusal: unknown;
  let renewal: Promise<unknown> | undefined;
  let after = (await store.get()) ?? undefined;
  for (let failures = 1; !stopped.aborted; failures++) {
    const attempt = new AbortController();
    const abort = () => attempt.abort(stopped.reason);
    stopped.addEventListener('abort', abort);
    let begun = now();
    let isRenewed = false;
    const patiently = <T>(of: T | Promise<T>) => inTime(of, attempt.signal, silence, wait);
    let results: AsyncIterator<E> | undefined;
    let cause: unknown;
    try {
      // Otherwise another subscription has renewed it since this one connected, or is about to.
      const isOwn = renewals.get(renew!) === renewal;
      if (refusal && isOwn) renewals.set(renew!, (async () => renew!())());
      renewal = renewals.get(renew!);
      if (refusal) {
        const renewed = await outcome(() => inTime(renewal!, attempt.signal, undefined, wait));
        if (!renewed.ok) ({ cause } = renewed);
        else if (renewed.value === false) throw refusal;
        else [refusal, isRenewed, begun] = [undefined, isOwn, now()];
      }
      if (after === undefined && !cause) {
        const taken = await outcome(() => patiently(snapshot(attempt.signal)));
        if (taken.ok) {
          const read = typeof taken.value === 'string' ? { cursor: taken.value } : taken.value;
          const { cursor } = placed(read);
          if ('show' in read) await read.show();
          isRenewed = false;
          await store.set((after = cursor));
        } else ({ cause } = taken);
      }
      for (let isFirst = true; after !== undefined && !cause; isFirst = false) {
        const next = await outcome<IteratorResult<E>>(() => {
          results ??= subscribe(after!, attempt.signal)[Symbol.asyncIterator]();
          return patiently(results.next());
        });
        if (!next.ok) {
          ({ cause } = next);
          break;
        }
        if (stopped.aborted || next.value.done) return;
        isRenewed = false;
        const event = next.value.value;
        const { cursor, previous, __typename } = placed(place(event));
        const isCheckpoint = __typename === 'Checkpoint';
        if (recent.has(cursor)) continue;
        if (cursor === after) {
          if (isCheckpoint) onCheckpoint?.(event);
          continue;
        }
        if (previous !== undefined && previous !== after && !(previous === null && isFirst)) {
          cause = new Lost('something between dropped or moved an event');
          break;
        }
        if (isCheckpoint) onCheckpoint?.(event);
        else yield event;
        // Only now that it is dealt with: what was under way at a crash comes again.
        recent.add(after);
        if (recent.size > REMEMBERED) recent.delete(recent.values().next().value!);
        await store.set((after = cursor));
        failures = 0;
      }
    } finally {
      stopped.removeEventListener('abort', abort);
      // With the cause: a transport may have to get rid of a connection that is silent.
      attempt.abort(cause);
      // Not awaited: a transport that hangs is one that is left behind.
      Promise.resolve(results?.return?.()).catch(() => {});
    }
    if (stopped.aborted) return;
    const verdict = options.judge?.(cause) ?? judgeByDefault(cause);
    if (verdict === 'end') throw cause;
    if (verdict === 'renew') {
      // The new one as well, or there is none.
      if (!renew || refusal || (isRenewed && now() - begun < LET_IN)) throw cause;
      refusal = cause;
    }
    if (verdict === 'reset') {
      after = undefined;
      recent.clear();
      await options.onReset?.();
    }
    // A connection that lasted is no failure, though nothing happened on it.
    if (now() - begun > longestPause) failures = Math.min(failures, 1);
    // Longer each time, and not all clients at once.
    const backOff = Math.min(SHORTEST_PAUSE * 2 ** Math.max(failures - 1, 0), longestPause) * (0.5 + random() / 2);
    const delay = Math.max(backOff, (cause as { retryAfter?: number } | undefined)?.retryAfter ?? 0);
    onLost?.(cause, failures, delay);
    await pause(delay, stopped, wait);
  }
}

function placed(place: Place): Place {
  if (typeof place?.cursor !== 'string') throw new TypeError('There is no `cursor`: select it in the snapshot and in the events');
  return place;
}

type Outcome<T> = { ok: true; value: T } | { ok: false; cause: unknown };

/** What a transport came to. What goes wrong elsewhere (in the app, or in its store) is thrown, and not tried again. */
async function outcome<T>(ask: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await ask() };
  } catch (cause) {
    return { ok: false, cause: cause ?? new Lost('the transport does not say why') };
  }
}

type Wait = NonNullable<Tuning['wait']>;

/** Waits for something, until a signal aborts or it takes too long. */
function inTime<T>(of: T | Promise<T>, signal: AbortSignal, silence: number | undefined, wait: Wait): Promise<T> {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    signal.addEventListener('abort', () => reject(signal.reason), { signal: over.signal });
    if (signal.aborted) reject(signal.reason);
    const fail = () => over.signal.aborted || reject(new Silent(`nothing came for ${silence} ms`));
    if (silence) void wait(silence, over.signal).then(fail);
    Promise.resolve(of).then(resolve, reject).finally(() => over.abort());
  });
}

/** Waits between two tries. That is over at once when a browser is online again. */
async function pause(milliseconds: number, signal: AbortSignal, wait: Wait): Promise<void> {
  const over = new AbortController();
  const end = () => over.abort();
  signal.addEventListener('abort', end, { signal: over.signal });
  globalThis.addEventListener?.('online', end, { signal: over.signal });
  await wait(milliseconds, over.signal);
  end();
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
