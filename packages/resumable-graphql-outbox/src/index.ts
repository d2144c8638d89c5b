/** Mutations that are stored once and in order, through lost answers, reloads, and other tabs. */

export type { Channel, Locks, OutboxOptions } from './options.ts';
export { Outbox } from './outbox.ts';
export { type Entry, type Failure, indexedDb, memory, type OutboxStore, webStorage } from './stores.ts';
