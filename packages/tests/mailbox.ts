/** A server that stores messages under idempotency keys, and a network in front of it that loses and delays. */

import { Lost } from 'resumable-graphql';

import type { World } from './world.ts';

export interface Letter {
  lane: string;
  body: string;
}

/** What no server stores. */
export const REFUSED = 'refused';

const refusal = (code: string, more: object = {}) => [{ message: `It is ${code}`, extensions: { code, ...more } }];

export class Mailbox {
  readonly stored: (Letter & { id: string; key: string })[] = [];
  /** Whether everything comes and goes at once. */
  isCalm = false;
  isSignedIn = true;
  readonly #world: World;
  readonly #byKey = new Map<string, Letter & { id: string }>();
  lost = 0;
  late = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Until the signal aborts; what was sent arrives all the same. */
  async send(letter: Letter, key: string, signal: AbortSignal): Promise<{ id: string }> {
    await this.#travel(signal);
    const answer = this.#take(letter, key);
    await this.#travel(signal);
    if ('errors' in answer) throw answer.errors;
    return answer;
  }

  #take({ lane, body }: Letter, key: string): { id: string } | { errors: unknown[] } {
    if (!this.isCalm && this.#world.oneIn(8)) return { errors: refusal('UNAVAILABLE') };
    if (!this.isCalm && this.#world.oneIn(12)) return { errors: refusal('RATE_LIMITED', { retryAfter: 3 }) };
    if (!this.isSignedIn) return { errors: refusal('UNAUTHENTICATED') };
    const before = this.#byKey.get(key);
    if (before && before.body !== body) return { errors: refusal('IDEMPOTENCY_KEY_REUSED') };
    if (body.includes(REFUSED)) {
      // Some servers answer a key as they did first.
      this.#byKey.set(key, { id: '', lane, body });
      return { errors: refusal('BAD_INPUT') };
    }
    if (before) return before;
    const message = { id: `message ${this.stored.length}`, lane, body, key };
    this.#byKey.set(key, message);
    this.stored.push(message);
    return message;
  }

  /** Takes longer than anybody waits, now and then. */
  async #travel(signal: AbortSignal): Promise<void> {
    const world = this.#world;
    if (this.isCalm) return world.wait(1);
    if (world.oneIn(6)) {
      this.lost++;
      await world.wait(world.between(0, 1_000));
      // A connection that breaks says so; one that falls silent does not.
      if (world.oneIn(2)) throw new Lost();
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }
    const isLate = world.oneIn(8);
    if (isLate) this.late++;
    await world.wait(isLate ? world.between(5_000, 40_000) : world.between(1, 300));
  }
}

/** A disk whose operations take time, one after another. */
export function disk<E extends { id: string }>(world: World) {
  const kept = new Map<string, E>();
  /** What was ever kept. */
  const ever = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();
  return {
    kept,
    ever,
    /** As a tab has it, until it is closed: what it began is done or not. */
    of: (signal: AbortSignal) => {
      const operate = <T>(operation: () => T): Promise<T> => {
        if (signal.aborted) return Promise.reject(new Error('the tab is closed'));
        const done = last.then(async () => {
          await world.wait(world.between(0, 5));
          if (signal.aborted && world.oneIn(2)) throw new Error('the tab is closed');
          const result = operation();
          await world.wait(world.between(0, 5));
          return result;
        });
        last = done.catch(() => {});
        return done;
      };
      return {
        all: () => operate(() => structuredClone([...kept.values()])),
        put: (entry: E) => operate(() => {
          kept.set(entry.id, structuredClone(entry));
          ever.add(entry.id);
        }),
        remove: (id: string) => operate(() => void kept.delete(id)),
      };
    },
  };
}
