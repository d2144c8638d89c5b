/** What can be set of an outbox. */

import type { Verdict } from 'resumable-graphql';

import type { Entry, Failure, OutboxStore } from './stores.ts';

/** What is used of `navigator.locks`. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal }, hold: () => Promise<unknown>): Promise<unknown>;
}

/** What is used of a BroadcastChannel. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: { data: any }) => unknown) | null;
  close(): void;
}

export interface OutboxOptions<V, R> {
  /**
   * Sends the variables of an entry once, under its idempotency key, and resolves once the server has stored it. Rejects
   * with what the client rejects with; `judge` knows those of the common ones. The signal aborts when it takes too long.
   */
  send(entry: Entry<V>, signal: AbortSignal): Promise<R>;
  /** Is told of what was stored, before the entry goes. After a crash in between it is told again. */
  onSent?: ((entry: Entry<V>, result: R) => unknown) | undefined;
  /** By default in memory. */
  store?: OutboxStore | undefined;
  /** Of what tabs share that have the same store: one of them sends at a time. Without it, this tab is alone. */
  name?: string | undefined;
  /** Resolves when there is somebody to send to. Is asked before each try. */
  ready?: (() => unknown) | undefined;
  /** Is asked about each entry that an earlier run left. What it returns keeps the entry from being sent. */
  onFound?: ((entry: Entry<V>) => Failure | undefined) | undefined;
  /** Gets another credential when nobody is signed in any more. Until then entries wait. */
  renew?: (() => unknown) | undefined;
  /** Says `again`, `renew` or `end` of a cause, or undefined for what is usual. */
  judge?: ((cause: unknown) => Verdict | undefined) | undefined;
  /** How long an answer may take, in milliseconds. By default 20,000. */
  patience?: number | undefined;
  /** The longest pause between two tries, in milliseconds. By default 30,000. */
  longestPause?: number | undefined;
  /** Ends this run, as closing the page does. */
  signal?: AbortSignal | undefined;
  /** By default the browser's. */
  locks?: Locks | undefined;
  /** By default a BroadcastChannel. */
  open?: ((name: string) => Channel) | undefined;
  /** From 0 to less than 1. For tests. */
  random?: (() => number) | undefined;
  /** Milliseconds since 1970. For tests. */
  now?: (() => number) | undefined;
  /** Resolves after so many milliseconds, or when the signal aborts. For tests. */
  wait?: ((milliseconds: number, signal: AbortSignal) => Promise<void>) | undefined;
}
