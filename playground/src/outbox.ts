/**
 * What was written and is not yet known to be stored. Messages leave in the order in which they were written, one at
 * a time, as soon as there is a connection. Each has an idempotency key: when an answer is lost, the message is sent
 * again, and herald stores it once.
 *
 * (An optimistic result of Graphcache lasts as long as its mutation is under way. This lasts until the message is
 * stored, over as many attempts as that takes.)
 */

import type { Client } from '@urql/vue';
import { promiseTimeout, until, useEventListener } from '@vueuse/core';
import { computed, ref, type Ref, type ShallowRef } from 'vue';

import { explain, passes, PAUSE, randomId } from './client';
import { SEND } from './operations';

export interface Outgoing {
  key: string;
  conversationId: string;
  body: string;
  at: string;
  /** Why herald does not take it. */
  failure?: string | undefined;
}

export type Outbox = ReturnType<typeof useOutbox>;

export function useOutbox(client: ShallowRef<Client | undefined>, isConnected: Ref<boolean>) {
  const queue = ref<Outgoing[]>([]);
  const next = computed(() => (isConnected.value ? queue.value.find(({ failure }) => !failure) : undefined));
  /** The keys of messages that have been sent, by id: a page can show the two as one. */
  const keys = new Map<string, string>();

  async function send(): Promise<never> {
    for (;;) {
      const message = (await until(next).toBeTruthy())!;
      const { conversationId, body, key: idempotencyKey } = message;
      const input = { conversationId, body, idempotencyKey };
      const used = client.value!;
      const { data, error } = await used.mutation(SEND, { input }).toPromise();
      if (data && used !== client.value) continue; // it is in the cache of before the new snapshot: ask once more
      if (data) {
        keys.set(data.sendMessage.message.id, idempotencyKey);
        discard(idempotencyKey);
      } else if (error && passes(error)) await promiseTimeout(PAUSE);
      else message.failure = explain(error) ?? 'It was not accepted.';
    }
  }

  function discard(key: string): void {
    queue.value = queue.value.filter((message) => message.key !== key);
  }

  useEventListener(window, 'beforeunload', (event) => queue.value.length && event.preventDefault());
  void send();

  return {
    queue,
    keys,
    discard,
    add(conversationId: string, body: string): void {
      queue.value.push({ key: randomId(), conversationId, body, at: new Date().toISOString() });
    },
  };
}
