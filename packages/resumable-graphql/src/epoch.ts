/** What an app knows, for as long as the server's log goes on. */

/** How far a value has come. */
export type Rank<T = any> = (value: T) => number;

/**
 * Answers and events overtake each other: an answer may be older than an event that is here already. Of a value that only
 * grows, the furthest counts. That holds until the log goes back in time (`CURSOR_EXPIRED`): then everything of before is
 * void, answers under way included. Such a time is an epoch.
 */
export class Epoch {
  #number = 0;
  #ending = new AbortController();
  #begin = () => {};
  #begun!: Promise<void>;
  readonly #furthest = new Map<string, unknown>();

  constructor() {
    this.#await();
  }

  /** Grows by one with each epoch. */
  get number(): number {
    return this.#number;
  }

  /** Aborts when the epoch ends. Give it to requests: whoever waits for an answer of before has to ask again. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Resolves once there is a snapshot. Mutate after that: without a snapshot nobody knows which epoch an answer is of, and
   * the log may go back between the two.
   */
  get begun(): Promise<void> {
    return this.#begun;
  }

  /** What a value has come to by now: it, or what was noted before, if that was further. */
  furthest<T>(key: string, value: T, rank: Rank<T>): T {
    const known = (this.#furthest.get(key) ?? value) as T;
    return rank(known) > rank(value) ? known : value;
  }

  /** Notes how far a value has come, and returns what `furthest` does. */
  reach<T>(key: string, value: T, rank: Rank<T>): T {
    const furthest = this.furthest(key, value, rank);
    this.#furthest.set(key, furthest);
    return furthest;
  }

  /** To be called when there is a snapshot. */
  begin(): void {
    this.#begin();
  }

  /** To be called as soon as the server says that a cursor is of no use any more. Forget then all that was known. */
  end(): void {
    const ending = this.#ending;
    this.#number++;
    this.#furthest.clear();
    this.#ending = new AbortController();
    this.#await();
    ending.abort(new Error('The epoch that this was asked of has ended'));
  }

  #await(): void {
    const before = this.#begin;
    this.#begun = new Promise((resolve) => {
      this.#begin = () => {
        before();
        resolve();
      };
    });
  }
}
