/** What a client of herald is made of. */

import type { Execute } from 'resumable-graphql';
import type { Entry, Failure, OutboxStore } from 'resumable-graphql-outbox';

import type { Draft } from './known.ts';

export interface HeraldOptions {
  /** What executes documents: `overSocket(client)` of resumable-graphql-ws, say. */
  execute: Execute;
  /** The same for queries and mutations, where these go another way. */
  ask?: Execute | undefined;
  /** Where messages are kept until they are sent, by user: `indexedDb(userId)` of resumable-graphql-outbox, say. */
  store?: OutboxStore | undefined;
  /** Of what tabs with the same store share; the user's id belongs in it. */
  name?: string | undefined;
  /** Is asked about each message that an earlier run left unsent. What it returns keeps it from being sent. */
  onFound?: ((entry: Entry<Draft>) => Failure | undefined) | undefined;
  /** Gets another credential when the one that there is has expired. Resolves to false where there is none. */
  renew?: (() => unknown) | undefined;
  /**
   * After so many milliseconds without a sign of herald, the connection is given up. By default 90,000; it has to be more
   * than herald's `--checkpoint-interval`.
   */
  silence?: number | undefined;
}
