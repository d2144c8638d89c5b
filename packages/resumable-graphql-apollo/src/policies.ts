/** Answers and events overtake each other in a cache. With these it comes to the same. */

import type { FieldPolicy, Reference } from '@apollo/client';
import type { Rank } from 'resumable-graphql';

import { epochOf } from './epochs.ts';

type Merge<T> = Extract<NonNullable<FieldPolicy<T>['merge']>, (...args: any) => unknown>;
type MergeOptions = Parameters<Merge<unknown>>[2];

/** Whether what is known in a field is of the same epoch as what comes. */
function isComparable({ cache, storage }: MergeOptions): boolean {
  const { number } = epochOf(cache);
  const isSame = storage['epoch'] === number;
  storage['epoch'] = number;
  return isSame;
}

/**
 * For a field that only grows: a number, or one of a list of values, the lowest first. What comes late and is lower takes
 * nothing back.
 */
export function growing<T>(by: readonly T[] | Rank<T> = Number): FieldPolicy<T> {
  const rank = typeof by === 'function' ? by : (value: T) => by.indexOf(value);
  return {
    merge: (known, came, options) =>
      isComparable(options) && known !== undefined && rank(known as T) > rank(came as T) ? known : came,
  } as FieldPolicy<T>;
}

type Item = Reference | { node: Reference };
interface List {
  edges?: Item[];
  nodes?: Item[];
  pageInfo?: { startCursor?: string | null };
}

/**
 * For a connection whose items have an order: one list of pages, of events, and of answers. An item is put in its place,
 * once. The newest page takes the place of all up to its end, for there may be a gap before it; what is newer stays. `by` is
 * the field that has the order as text.
 */
export function inOrder(by: string): FieldPolicy<List> {
  return {
    keyArgs: false,
    merge(before, came, options) {
      const { args, readField } = options;
      const known: List = (isComparable(options) && before) || {};
      const isEarlier = !!args?.['before'];
      // It has another neighbour by now.
      if (isEarlier && args['before'] !== known.pageInfo?.startCursor) return known;
      const field = came.edges ? 'edges' : 'nodes';
      const refOf = (item: Item) => ('node' in item ? item.node : item) as Reference;
      const placeOf = (item: Item) => readField<string>(by, refOf(item)) ?? '';
      const items = came[field] ?? [];
      const refs = new Set(items.map((item) => refOf(item).__ref));
      const begin = came.pageInfo && !isEarlier && items.length ? placeOf(items.at(-1)!) : '';
      const others = (known[field] ?? []).filter((item) => !refs.has(refOf(item).__ref) && placeOf(item) >= begin);
      const all = [...others, ...items].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
      return { ...known, ...came, [field]: all };
    },
  };
}
