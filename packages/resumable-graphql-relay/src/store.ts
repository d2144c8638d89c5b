/** Answers and events overtake each other in a store. In this one it comes to the same. */

import { RecordSource, Store } from 'relay-runtime';
import type { Epoch, Rank } from 'resumable-graphql';

/**
 * By type and field, what only grows: `Number`, another rank, or the list of its values, the lowest first. What comes late
 * and is lower takes nothing back.
 */
export type Growing = Record<string, Record<string, readonly unknown[] | Rank>>;

export type StoreOptions = ConstructorParameters<typeof Store>[1];

/**
 * Notes what is published, and not what is written to records: what comes again as it is already is written to none, and
 * has to be known as of this epoch.
 */
export function storeOf(epoch: Epoch, growing: Growing, options: StoreOptions): Store {
  const reached = (id: string, record: any) =>
    Object.entries(growing[record?.__typename] ?? {}).filter(([field]) => record[field] != null).map(([field, by]) => {
      const rank: Rank = typeof by === 'function' ? by : (value) => by.indexOf(value);
      return [field, epoch.reach(`${id}.${field}`, record[field], rank)];
    });
  return new (class extends Store {
    #isOptimistic = false;

    /** From here until `restore`, only optimistic updates are published: nobody knows whether they come true. */
    override snapshot(): void {
      this.#isOptimistic = true;
      super.snapshot();
    }

    override restore(): void {
      this.#isOptimistic = false;
      super.restore();
    }

    override publish(source: RecordSource, invalidated?: Set<string>): void {
      for (const id of this.#isOptimistic ? [] : source.getRecordIDs()) {
        const record = source.get(id);
        const news = reached(id, record);
        if (news.length) source.set(id, { ...record, ...Object.fromEntries(news) });
      }
      super.publish(source, invalidated);
    }
  })(new RecordSource(), options);
}
