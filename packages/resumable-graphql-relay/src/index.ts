/** Subscriptions that lose nothing and repeat nothing, in Relay, and a store in which nothing goes back. */

export { type Growing, type StoreOptions } from './store.ts';
export { resumable, type ResumableOptions, type ResumableRelay, type SnapshotQuery } from './network.ts';
