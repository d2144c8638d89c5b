/** Moves the window on a conversation as somebody scrolls, and loads what it lacks. */

import type { Client } from '@urql/vue';
import { promiseTimeout, until, useElementVisibility, useEventListener } from '@vueuse/core';
import { computed, nextTick, type Ref, ref, watch } from 'vue';

import { historyOf, PAUSE } from './client';
import { CONTEXT, PAGE } from './history';
import { NEWER, OLDER } from './operations';

/** So close to an edge of the window, in pixels, it moves. */
const NEAR = 600;

interface View {
  /** The one of now: each snapshot has its own. */
  client: () => Client;
  id: string;
  log: Readonly<Ref<HTMLElement | null>>;
  end: Readonly<Ref<HTMLElement | null>>;
  isConnected: Ref<boolean>;
  /** Whether there are messages before and after those that are shown. */
  hasOlder: Ref<boolean>;
  hasNewer: Ref<boolean>;
  /** Shows what is in the window now. */
  refresh(): Promise<unknown>;
}

export function useWindow({ client, id, log, end, isConnected, hasOlder, hasNewer, refresh }: View) {
  const history = () => historyOf(client(), id);
  const isEndSeen = useElementVisibility(end, { scrollTarget: log, rootMargin: '0px 0px 60px 0px' });
  const isMoving = ref(false);
  const isLoading = ref(false);

  // Not `cache-first`: Graphcache leaves out asking while an optimistic mark is under way.
  const network = { requestPolicy: 'network-only' } as const;
  async function load(page: { last: number; before: string | null } | { first: number; after: string | null }) {
    const { data, error } = await ('last' in page
      ? client().query(OLDER, { id, ...page }, network)
      : client().query(NEWER, { id, ...page }, network)
    ).toPromise();
    if (error) await promiseTimeout(PAUSE);
    return data?.conversation?.messages.pageInfo;
  }

  async function move(side: 'older' | 'newer'): Promise<void> {
    const missing = side === 'older' ? history().missingBefore : history().missingAfter;
    if (missing && !isConnected.value) return; // `look` is called when there is a connection
    isMoving.value = true;
    isLoading.value = !!missing;
    // Where a log begins or ends, browsers do not keep in place what is shown when something is added there.
    if (side === 'newer' && log.value!.scrollTop > -1) log.value!.scrollTop = -1;
    if (!missing || (await load(missing))) {
      history()[side]();
      await refresh();
      await nextTick();
    }
    isMoving.value = isLoading.value = false;
    look();
  }

  /** Whether somebody comes near an edge of the window. A log that is laid out from its end scrolls below zero. */
  function look(): void {
    if (!log.value || isMoving.value) return;
    const { scrollTop, scrollHeight, clientHeight } = log.value;
    // A browser that keeps in place what is shown rounds, and follows the end only where there is no offset at all.
    if (Math.abs(scrollTop) <= 1 && !hasNewer.value) log.value.scrollTop = 0;
    if (hasNewer.value && -scrollTop < NEAR) void move('newer');
    else if (hasOlder.value && scrollHeight - clientHeight + scrollTop < NEAR) void move('older');
  }

  useEventListener(log, 'scroll', look);
  watch([log, hasOlder, hasNewer, isConnected], look, { flush: 'post' });

  return {
    /** Whether other messages are about to be shown, and whether they have to be loaded. */
    isMoving,
    isLoading,
    /** Whether the newest message is on the screen, or close to it. */
    isAtEnd: computed(() => isEndSeen.value && !hasNewer.value),
    /** Shows a message and what is around it, with what has to be loaded for that. */
    async show({ id: messageId, cursor }: { id: string; cursor: string }, isOver: () => boolean): Promise<void> {
      const key = `Message:${messageId}`;
      while (!history().has(key) && !isOver()) {
        await until(isConnected).toBe(true);
        const before = await load({ last: CONTEXT, before: cursor });
        // With a page that has come, it is there, unless herald has removed it since.
        if (before && (await load({ first: PAGE, after: before.endCursor ?? null }))) break;
      }
      history().show(key);
      await refresh();
    },
    /** Whether the window goes with the newest message, or stays where it is. */
    async follow(isFollowing: boolean): Promise<void> {
      if (isFollowing) history().follow();
      else history().stay();
      await refresh();
    },
  };
}
