/** What an app knows, for as long as the server's log goes on. */

import { Lost } from './judge.ts';

/** How far a value has come. */
export type Rank<T = any> = (value: T) => number;

/**
 * Answers and events overtake each other: an answer may be older than an event that is here already. Of a value that only
 * grows, the furthest counts. That holds until the log goes back in time (`CURSOR_EXPIRED`): then everything of before is
 * void, answers under way included. Such a time is an epoch.
 */
export class Epoch {
  #number = 0;
  #members = 0;
  #hasBegun = false;
  #ending = new AbortController();
  #begin = () => {};
  #begun!: Promise<void>;
  #furthest = new Map<string, unknown>();
  /** Shown until there is a snapshot. */
  #before = new Map<string, unknown>();

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

  /** Whether there is a snapshot. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** What a value has come to by now, to show it: it, or what was noted before, if that was further. */
  furthest<T>(key: string, value: T, rank: Rank<T>): T {
    return further(this.#furthest.get(key) ?? this.#before.get(key), value, rank);
  }

  /** Notes how far a value has come in this epoch, and returns that. */
  reach<T>(key: string, value: T, rank: Rank<T>): T {
    const furthest = further(this.#furthest.get(key), value, rank);
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
    this.#ending = new AbortController();
    this.#renew();
    ending.abort(new Lost('The epoch that this was asked of has ended'));
  }

  /**
   * One more subscription shares this epoch, as those to one cache do. Where it begins with a snapshot and no other is
   * there, nobody has noticed an end meanwhile: so nothing of before is compared with what comes.
   */
  join(isContinued: boolean): Member {
    if (!isContinued && !this.#members) this.#renew();
    if (isContinued) this.begin();
    this.#members++;
    let number = this.#number;
    return {
      taken: () => {
        number = this.#number;
        this.begin();
      },
      // Otherwise another one was told first.
      expired: () => number === this.#number && this.end(),
      left: () => {
        this.#members--;
        if (!this.#members) this.begin();
      },
    };
  }

  #renew(): void {
    this.#number++;
    this.#before = this.#furthest;
    this.#furthest = new Map();
    this.#await();
  }

  #await(): void {
    const before = this.#begin;
    this.#hasBegun = false;
    this.#begun = new Promise((resolve) => {
      this.#begin = () => {
        this.#hasBegun = true;
        this.#before.clear();
        before();
        resolve();
      };
    });
  }
}

function further<T>(known: unknown, value: T, rank: Rank<T>): T {
  return known !== undefined && rank(known as T) > rank(value) ? (known as T) : value;
}

/** A subscription that shares an epoch. */
export interface Member {
  /** To be called when it has a snapshot. */
  taken(): void;
  /** To be called when the server says that its cursor is of no use any more. */
  expired(): void;
  /** To be called when it ends. */
  left(): void;
}
