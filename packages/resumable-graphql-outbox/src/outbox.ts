/** A queue of mutations, each with an idempotency key: asked until they are answered. */

import { codesOf, judge as judgeByDefault, Lost } from 'resumable-graphql';

import type { Channel, Locks, OutboxOptions } from './options.ts';
import { type Entry, type Failure, memory, type OutboxStore } from './stores.ts';

/** The first pause, in milliseconds. */
const SHORTEST_PAUSE = 500;

/** Refusals that pass. */
const PASSING = ['UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL'];

export class Outbox<V, R = unknown> {
  readonly #options: OutboxOptions<V, R>;
  readonly #store: OutboxStore<V>;
  readonly #over: AbortSignal;
  readonly #channel: Channel | undefined;
  readonly #listeners = new Set<() => void>();
  /** What the store does not have yet, or never will, and what it still has. */
  readonly #unkept = new Map<string, Entry<V>>();
  readonly #gone = new Set<string>();
  /** The store's operations, one after another: what is read includes what was put before. */
  #operations: Promise<unknown> = Promise.resolve();
  /** By lane that is being sent, what ends its pause. */
  readonly #lanes = new Map<string, AbortController>();
  #entries: readonly Entry<V>[] = [];
  #isReady = false;
  /** Resolves when the entries of an earlier run are there. */
  readonly ready: Promise<void>;

  constructor(options: OutboxOptions<V, R>) {
    this.#options = options;
    const { name, signal, open = (name) => new BroadcastChannel(name) as Channel } = options;
    this.#store = options.store ?? memory();
    this.#over = signal ?? new AbortController().signal;
    this.#channel = name === undefined ? undefined : open(name);
    if (this.#channel) this.#channel.onmessage = () => void this.#read().then(() => this.#begin());
    const online = () => this.flush();
    globalThis.addEventListener?.('online', online);
    this.#over.addEventListener('abort', () => {
      this.#channel?.close();
      globalThis.removeEventListener?.('online', online);
      for (const lane of this.#lanes.values()) lane.abort();
    });
    this.ready = this.#takeUp();
  }

  /** What waits, is being sent, or has failed, in the order in which it was added. Another list after each change. */
  get entries(): readonly Entry<V>[] {
    return this.#entries;
  }

  /** Is told of each change of `entries`. Returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Sends after what was added to the same lane before. */
  add(lane: string, variables: V): Entry<V> {
    const { now = Date.now } = this.#options;
    const id = randomId();
    const at = Math.max(now(), ...this.#entries.map((entry) => entry.at + 1));
    const entry: Entry<V> = { id, key: id, lane, variables, at, tries: 0 };
    void this.#put(entry);
    this.#begin();
    return entry;
  }

  /** Sends what has failed once more, under the same key. */
  retry(id: string): void {
    this.#again(id, { failure: undefined });
  }

  /**
   * Sends something else in the place of what has failed, under another key. Where it had more than one try, the server
   * may have stored it before it refused: it then has both.
   */
  edit(id: string, variables: V): void {
    this.#again(id, { failure: undefined, variables, key: randomId(), tries: 0 });
  }

  /** Forgets an entry. What is being sent may still be stored. */
  discard(id: string): void {
    void this.#remove(id);
  }

  /** Tries at once what waits for its next try. */
  flush(): void {
    for (const lane of this.#lanes.values()) lane.abort();
    this.#begin();
  }

  #again(id: string, news: Partial<Entry<V>>): void {
    const entry = this.#entries.find((entry) => entry.id === id);
    if (!entry?.failure) return;
    void this.#put({ ...entry, ...news });
    this.#lanes.get(entry.lane)?.abort();
    this.#begin();
  }

  async #takeUp(): Promise<void> {
    await this.#read((entry) => {
      const failure = !entry.failure && this.#options.onFound?.(entry);
      if (failure) void this.#put({ ...entry, failure });
    });
    this.#isReady = true;
    this.#begin();
  }

  /** Sends each lane in which something waits. Before what is added comes what an earlier run left. */
  #begin(): void {
    if (!this.#isReady) return;
    for (const { lane, failure } of this.#entries) {
      if (!failure && !this.#lanes.has(lane) && !this.#over.aborted) void this.#run(lane);
    }
  }

  async #run(lane: string): Promise<void> {
    const { random = Math.random, longestPause = 30_000, wait = sleep } = this.#options;
    for (let failures = 0; this.#next(lane) && !this.#over.aborted; ) {
      const interrupted = new AbortController();
      this.#lanes.set(lane, interrupted);
      const cause = await this.#try(lane);
      if (!cause) {
        failures = 0;
        continue;
      }
      // Longer each time, and not all clients at once.
      const backOff = Math.min(SHORTEST_PAUSE * 2 ** failures++, longestPause) * (0.5 + random() / 2);
      if (!this.#over.aborted) await wait(Math.max(backOff, retryAfter(cause)), interrupted.signal);
    }
    this.#lanes.delete(lane);
  }

  #next(lane: string): Entry<V> | undefined {
    return this.#entries.find((entry) => entry.lane === lane && !entry.failure);
  }

  /** Sends the first of a lane. Returns why it has to be tried again. */
  async #try(lane: string): Promise<unknown> {
    const { name, ready, locks = globalThis.navigator?.locks as Locks | undefined } = this.#options;
    let cause: unknown;
    const hold = async () => {
      // Another tab may have sent it meanwhile.
      if (name) await this.#read();
      const entry = this.#next(lane);
      if (entry && !this.#over.aborted) cause = await this.#send(entry);
    };
    try {
      await ready?.();
      if (name && locks) await locks.request(`${name} ${lane}`, { signal: this.#over }, hold);
      else await hold();
    } catch (failed) {
      cause = failed ?? new Lost();
    }
    return cause;
  }

  async #send(entry: Entry<V>): Promise<unknown> {
    const { send, onSent, renew, judge, patience = 20_000, wait = sleep } = this.#options;
    const tried = { ...entry, tries: entry.tries + 1 };
    // So that the next run knows.
    await this.#put(tried);
    if (this.#over.aborted) return;
    const attempt = new AbortController();
    const tooLong = wait(patience, attempt.signal).then(() => {
      throw new Lost('the answer takes too long');
    });
    const ended = new Promise<never>((_, reject) => this.#over.addEventListener('abort', reject, { signal: attempt.signal }));
    try {
      const result = await Promise.race([send(tried, attempt.signal), tooLong, ended]);
      if (this.#over.aborted) return;
      try {
        await onSent?.(tried, result);
      } catch (thrown) {
        // The app's own. The message is stored all the same.
        queueMicrotask(() => {
          throw thrown;
        });
      }
      await this.#remove(entry.id);
    } catch (cause) {
      if (this.#over.aborted) return;
      const isPassing = codesOf(cause).some((code) => PASSING.includes(code as string));
      const verdict = judge?.(cause) ?? (isPassing ? 'again' : judgeByDefault(cause));
      if (verdict === 'renew') await renew?.();
      else if (verdict !== 'again') return void (await this.#fail(tried, cause));
      return cause ?? new Lost();
    } finally {
      tooLong.catch(() => {});
      attempt.abort();
    }
  }

  /** Unless it was discarded meanwhile. */
  async #fail(entry: Entry<V>, cause: any): Promise<void> {
    const [error] = Array.isArray(cause) ? cause : (cause?.errors ?? cause?.graphQLErrors ?? []);
    const { message = String(cause) } = error ?? cause ?? {};
    const failure: Failure = { message, code: codesOf(cause)[0] as string | undefined };
    if (this.#entries.some(({ id }) => id === entry.id)) await this.#put({ ...entry, failure });
  }

  #show(entries: Iterable<Entry<V>>): void {
    this.#entries = [...entries].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
    for (const listener of [...this.#listeners]) listener();
  }

  /** What cannot be kept goes with the page. */
  #operate<T>(operation: () => T | Promise<T>): Promise<T | undefined> {
    const run = this.#operations.then(operation);
    this.#operations = run.catch(() => {});
    return run.catch(() => undefined);
  }

  #put(entry: Entry<V>): Promise<unknown> {
    this.#unkept.set(entry.id, entry);
    this.#show([...this.#entries.filter(({ id }) => id !== entry.id), entry]);
    return this.#operate(async () => {
      await this.#store.put(entry);
      if (this.#unkept.get(entry.id) === entry) this.#unkept.delete(entry.id);
      this.#tell();
    });
  }

  #remove(id: string): Promise<unknown> {
    this.#unkept.delete(id);
    this.#gone.add(id);
    this.#show(this.#entries.filter((entry) => entry.id !== id));
    return this.#operate(async () => {
      await this.#store.remove(id);
      this.#gone.delete(id);
      this.#tell();
    });
  }

  #read(found?: (entry: Entry<V>) => void): Promise<unknown> {
    return this.#operate(async () => {
      const kept = (await this.#store.all()).filter(({ id }) => !this.#gone.has(id) && !this.#unkept.has(id));
      this.#show([...kept, ...this.#unkept.values()]);
      if (found) kept.forEach(found);
    });
  }

  #tell(): void {
    if (!this.#over.aborted) this.#channel?.postMessage('changed');
  }
}

/** What the server asks to wait, in milliseconds. */
function retryAfter(cause: any): number {
  const errors = Array.isArray(cause) ? cause : (cause?.errors ?? cause?.graphQLErrors);
  return cause?.retryAfter ?? (errors?.[0]?.extensions?.retryAfter ?? 0) * 1_000;
}

/** Nobody can guess it. (`crypto.randomUUID` is missing on pages that come over plain HTTP from another machine.) */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
