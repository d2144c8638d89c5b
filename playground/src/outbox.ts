/**
 * What was written and is not yet known to be stored. Messages leave in the order in which they were written, one at
 * a time, as soon as there is a connection. Each has an idempotency key: when an answer is lost, the message is sent
 * again, and herald stores it once. They outlive the page, with their keys.
 *
 * (An optimistic result of Graphcache lasts as long as its mutation is under way. This lasts until the message is
 * stored, over as many attempts as that takes.)
 */

import type { Client } from '@urql/vue';
import { promiseTimeout, until } from '@vueuse/core';
import { computed, ref, type Ref, type ShallowRef } from 'vue';

import { codeOf, explain, passes, PAUSE, randomId } from './client';
import { SEND } from './operations';
import { keptOf } from './written';

export interface Outgoing {
  key: string;
  conversationId: string;
  body: string;
  at: string;
  /** The `sentAt` of the newest message when this was written. */
  after: string;
  /** Why it is not sent. */
  failure?: string | undefined;
}

export type Outbox = ReturnType<typeof useOutbox>;

/** If the user has just signed in, messages from before wait until they say so. */
export function useOutbox(
  client: ShallowRef<Client | undefined>, isConnected: Ref<boolean>, userId: string, hasSignedIn: boolean,
) {
  const kept = keptOf<Outgoing>('outbox', userId);
  const queue = ref<Outgoing[]>([]);
  const isReady = ref(false);
  const isOpen = computed(() => isConnected.value && isReady.value);
  const next = computed(() => (isOpen.value ? queue.value.find(({ failure }) => !failure) : undefined));
  /** The keys of messages that have been sent, by id: a page can show the two as one. */
  const keys = new Map<string, string>();

  async function takeUp(): Promise<void> {
    const before = (await kept.all()).sort((a, b) => a.at.localeCompare(b.at));
    if (hasSignedIn) for (const message of before) message.failure ??= 'You wrote this before you signed in again.';
    queue.value.unshift(...before);
    isReady.value = true;
  }

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
      } else if (error && (passes(error) || codeOf(error) === 'UNAUTHENTICATED')) await promiseTimeout(PAUSE);
      else change(message, explain(error) ?? 'It was not accepted.');
    }
  }

  function change(message: Outgoing, failure: string | undefined): void {
    message.failure = failure;
    void kept.put(message.key, { ...message });
  }

  function discard(key: string): void {
    queue.value = queue.value.filter((message) => message.key !== key);
    void kept.remove(key);
  }

  void takeUp();
  void send();

  return {
    queue,
    keys,
    discard,
    add(conversationId: string, body: string, after: string): void {
      // Later than the one before, so that it can be told which was first.
      const at = new Date(Math.max(Date.now(), Date.parse(queue.value.at(-1)?.at ?? '') + 1 || 0)).toISOString();
      const message = { key: randomId(), conversationId, body, at, after };
      queue.value.push(message);
      void kept.put(message.key, message);
    },
    retry(key: string): void {
      const message = queue.value.find((message) => message.key === key);
      if (message) change(message, undefined);
    },
  };
}
