/**
 * Tells the senders how far their messages have come. A mark covers everything before it, so of many messages that
 * arrive together only the newest is marked, and a mark that could not be sent is replaced by the next.
 */

import type { Client } from '@urql/vue';
import { useThrottleFn } from '@vueuse/core';
import { type Ref, type ShallowRef, watch } from 'vue';

import { passes } from './client';
import { MARK_DELIVERED, MARK_READ, UNREAD } from './operations';

/** Messages that arrive within this time of each other are marked together, in milliseconds. */
const TOGETHER = 200;

/** How many marks of a kind are under way at a time: a page that begins owes one for every conversation. */
const AT_ONCE = 3;

export type Marks = ReturnType<typeof useMarks>;

export function useMarks(client: ShallowRef<Client | undefined>, isConnected: Ref<boolean>) {
  /** The newest message of others that has come, by conversation. */
  const newest = new Map<string, string>();

  /** A mark's answer knows nothing of what has come since, and says how many were unread before that. */
  async function recount(conversation: string, asOf: string): Promise<void> {
    const now = newest.get(conversation);
    if (!now || now === asOf) return;
    await client.value!.query(UNREAD, { id: conversation }, { requestPolicy: 'network-only' }).toPromise();
    return recount(conversation, now);
  }

  function queue(mark: typeof MARK_DELIVERED | typeof MARK_READ) {
    /** The newest message to be marked, by conversation. */
    const owed = new Map<string, string>();
    let underWay = 0;

    function send(): void {
      for (const [conversation, messageId] of owed) {
        if (!isConnected.value || underWay === AT_ONCE) return;
        owed.delete(conversation);
        underWay++;
        void client.value!.mutation(mark as typeof MARK_READ, { input: { messageId } }).then(({ error }) => {
          underWay--;
          if (!error && mark === MARK_READ) void recount(conversation, messageId);
          if (!error || !passes(error)) return send();
          if (!owed.has(conversation)) owed.set(conversation, messageId);
          setTimeout(flush, 5_000);
        });
      }
    }
    const flush = useThrottleFn(send, TOGETHER, true);
    watch(isConnected, flush);
    return (conversation: string, messageId: string) => {
      owed.set(conversation, messageId);
      void flush();
    };
  }
  const delivered = queue(MARK_DELIVERED);
  return {
    read: queue(MARK_READ),
    delivered(conversation: string, messageId: string): void {
      newest.set(conversation, messageId);
      delivered(conversation, messageId);
    },
  };
}
