/** Answers and events overtake each other in a cache. With these it comes to the same. */

import type { Cache, Resolver, UpdateResolver } from '@urql/exchange-graphcache';
import type { Epoch, Rank } from 'resumable-graphql';

type ByField<T> = Record<string, Record<string, T>>;

export interface CacheOptions {
  /**
   * By type and field, what only grows: `Number`, another rank, or the list of its values, the lowest first. What comes late
   * and is lower takes nothing back.
   */
  growing?: ByField<readonly unknown[] | Rank> | undefined;
  /**
   * By type and field, connections whose `nodes` have an order, and the field that has it as text. What was placed in them
   * shows there in its place, once, unless the newest page (`last`, without `before`) makes it older than what is shown.
   */
  inOrder?: ByField<string> | undefined;
}

/** For Graphcache. Where an app has resolvers or updates of the same type, it has to merge them. */
export interface CacheParts {
  resolvers: ByField<Resolver>;
  updates: ByField<UpdateResolver>;
}

/** Puts an entity into the connections of another one. Pages are left alone: an older answer would undo that. */
export type Placing = (cache: Cache, parent: string, field: string, entity: string) => void;

const mapped = <A, B>(fields: ByField<A> | undefined, make: (of: A) => B): ByField<B> =>
  Object.fromEntries(Object.entries(fields ?? {}).map(([type, of]) =>
    [type, Object.fromEntries(Object.entries(of).map(([field, value]) => [field, make(value)]))]));

const rankOf = (by: readonly unknown[] | Rank): Rank => (typeof by === 'function' ? by : (value) => by.indexOf(value));

const placedIn = (field: string) => `${field}:placed`;

export function cacheParts(epoch: Epoch, { growing, inOrder }: CacheOptions): CacheParts {
  const resolvers = mapped(growing, (by): Resolver => (entity, _args, _cache, { parentKey, fieldName }) =>
    epoch.furthest(`${parentKey}.${fieldName}`, entity[fieldName], rankOf(by)));
  for (const [type, fields] of Object.entries(mapped(inOrder, (by) => listed(epoch, by)))) {
    resolvers[type] = { ...resolvers[type], ...fields };
  }
  const updates = mapped(growing, (by): UpdateResolver => (entity: any, _args, _cache, { parentKey, fieldName, optimistic }) => {
    if (!optimistic) epoch.reach(`${parentKey}.${fieldName}`, entity[fieldName], rankOf(by));
  });
  return { resolvers, updates };
}

export const placing = (epoch: Epoch): Placing => (cache, parent, field, entity) =>
  cache.link(parent, placedIn(field), { epoch: epoch.number, entity }, entity);

/** A page, and what was placed after it began. */
const listed = (epoch: Epoch, by: string): Resolver => (_parent, args, cache, { parentKey, fieldName }) => {
  const page = cache.resolve(parentKey, fieldName, args) as string | undefined;
  const nodes = cache.resolve(page ?? null, 'nodes') as string[] | undefined;
  if (!page || !nodes || !args['last'] || args['before']) return page;
  const place = (node: string) => cache.resolve(node, by) as string;
  const placed = cache.inspectFields(parentKey)
    .filter((field) => field.fieldName === placedIn(fieldName) && field.arguments?.['epoch'] === epoch.number)
    .map(({ fieldKey }) => cache.resolve(parentKey, fieldKey) as string)
    .filter((node) => !nodes.includes(node) && (!nodes.length || place(node) >= place(nodes.at(-1)!)));
  const all = [...nodes, ...placed].sort((a, b) => (place(a) < place(b) ? -1 : 1));
  return { __typename: cache.resolve(page, '__typename') as string, nodes: all };
};
