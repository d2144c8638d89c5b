import type { ApolloCache } from '@apollo/client';
import { Epoch } from 'resumable-graphql';

const epochs = new WeakMap<ApolloCache, Epoch>();

/** What a cache is of. Link and type policies share it. */
export function epochOf(cache: ApolloCache): Epoch {
  let epoch = epochs.get(cache);
  if (!epoch) {
    epochs.set(cache, (epoch = new Epoch()));
    // Without subscriptions, nobody has to wait for a snapshot.
    epoch.begin();
  }
  return epoch;
}
