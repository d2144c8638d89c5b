/**
 * Subscriptions that lose nothing and repeat nothing, over any transport. `resumable` is the whole of it; `follow` is the
 * same for GraphQL documents. What a server has to do is in herald's docs/spec/resumable-subscriptions.md.
 */

export { Epoch, type Member, type Rank } from './epoch.ts';
export { eventOf, type Execute, follow, type FollowOptions, type Request, type Result, variablesAfter } from './follow.ts';
export { codesOf, judge, Lost, Refused, Silent, type Verdict } from './judge.ts';
export { pushed, type Sink } from './pushed.ts';
export { type Options, type Place, resumable, type Snapshot, type Tuning } from './resumable.ts';
export { type CursorStore, indexedDb, memory, webStorage } from './stores.ts';
