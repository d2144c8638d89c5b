/** Time that passes as fast as the machine can, and chance that comes again by its seed. */

/** Small numbers in a row are seeds as good as any: they are mixed first. */
export function chance(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class World {
  readonly random: () => number;
  #now = 0;
  #sequence = 0;
  readonly #timers: { at: number; sequence: number; run(): void }[] = [];

  constructor(seed: number) {
    this.random = chance(seed);
  }

  readonly now = (): number => this.#now;

  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  /** Of so many times, in one. */
  oneIn(times: number): boolean {
    return this.random() * times < 1;
  }

  /** Runs something later. Returns what takes that back. */
  later(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + milliseconds, sequence: this.#sequence++, run };
    const place = this.#timers.findIndex(({ at }) => at > timer.at);
    this.#timers.splice(place < 0 ? this.#timers.length : place, 0, timer);
    return () => void (timer.run = () => {});
  }

  readonly wait = (milliseconds: number, signal?: AbortSignal): Promise<void> => new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const forget = this.later(milliseconds, resolve);
    signal?.addEventListener('abort', () => {
      forget();
      resolve();
    }, { once: true });
  });

  /** Lets so much time pass, and everything happen that is due meanwhile. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await settled();
      const next = this.#timers[0];
      if (!next || next.at > end) break;
      this.#now = next.at;
      // What is due at the same instant runs in the order in which it was asked for.
      this.#timers.shift();
      next.run();
    }
    this.#now = end;
  }
}

/** Lets everything happen that waits for no time to pass. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
