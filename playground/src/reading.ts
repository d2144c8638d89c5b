/**
 * What of a conversation has been read: what was on the screen of a page in use for a moment. A page that follows the
 * newest message stops where the first unread one would leave the screen, whether it is opened there or comes back.
 */

import { tryOnScopeDispose, useDocumentVisibility, useEventListener, useThrottleFn, useWindowFocus } from '@vueuse/core';
import { computed, nextTick, type Ref, ref, watch } from 'vue';

import type { LineFragment } from '../generated/graphql';

/** How long a message has to be on the screen to count as read, in milliseconds. */
const MOMENT = 500;

/** So often it is looked at most, while somebody scrolls, in milliseconds. */
const GLANCE = 100;

/** So close to its end, in pixels, a log is at its end. */
const CLOSE = 60;

/** Follows the messages of others, as far as they are shown, in a log that is laid out from its end. */
export function useReading(
  log: Readonly<Ref<HTMLElement | null>>, theirs: Ref<LineFragment[]>, hasNewer: Ref<boolean>,
  onRead: (message: LineFragment) => void,
) {
  const visibility = useDocumentVisibility();
  const isFocused = useWindowFocus();
  const isInUse = computed(() => visibility.value === 'visible' && isFocused.value);
  /** Above which message the line is drawn: its id. */
  const firstNew = ref<string>();
  let hasBegun = false;
  /** Up to when messages have been on the screen, and up to when they are read: a `sentAt`, which sorts as text. */
  let [seenUntil, readUntil] = ['', ''];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const elementOf = (id: string) => log.value?.querySelector(`[data-message-id="${id}"]`);

  /** The newest message whose end is on the screen, or above it. */
  function newestOnScreen(): LineFragment | undefined {
    if (!log.value || !hasBegun || !isInUse.value) return undefined;
    const { bottom } = log.value.getBoundingClientRect();
    const elements = log.value.querySelectorAll<HTMLElement>('[data-message-id]:not(.mine)');
    // They stand one below the other. To ask each where it is would take long at every step of scrolling.
    let [seen, unseen] = [0, elements.length];
    while (seen < unseen) {
      const middle = (seen + unseen) >> 1;
      if (elements[middle]!.getBoundingClientRect().bottom <= bottom) seen = middle + 1;
      else unseen = middle;
    }
    const newest = elements[seen - 1];
    return theirs.value.find(({ id }) => id === newest?.dataset['messageId']);
  }

  function look(): void {
    if (timer) return;
    const seen = newestOnScreen();
    if (!seen || seen.sentAt <= readUntil) return;
    if (seen.sentAt > seenUntil) seenUntil = seen.sentAt;
    timer = setTimeout(() => {
      timer = undefined;
      const now = newestOnScreen();
      if (now && now.sentAt >= seen.sentAt) {
        readUntil = seen.sentAt;
        onRead(seen);
      }
      look();
    }, MOMENT);
  }

  /** Keeps the first unread message on the screen, where the log follows its end. */
  async function follow(isBeginning = false): Promise<void> {
    const unseen = theirs.value.filter(({ sentAt }) => sentAt > seenUntil);
    const [first] = unseen;
    const isFollowing = isBeginning || (!hasNewer.value && !!log.value && log.value.scrollTop > -CLOSE);
    if (first && log.value && hasBegun && isFollowing) {
      const isOff = elementOf(first.id)!.getBoundingClientRect().top < log.value.getBoundingClientRect().top;
      if ((isOff || !isInUse.value) && !unseen.some(({ id }) => id === firstNew.value)) firstNew.value = first.id;
      await nextTick();
      if (isOff) log.value?.querySelector('.new')?.scrollIntoView({ block: 'start' });
    }
    look();
  }

  function stop(): void {
    clearTimeout(timer);
    timer = undefined;
  }

  watch(theirs, () => follow(), { flush: 'post' });
  watch(isInUse, () => {
    stop();
    look();
  });
  useEventListener(log, 'scroll', useThrottleFn(look, GLANCE, true));
  tryOnScopeDispose(stop);

  return {
    firstNew,
    isInUse,
    /** Begins at the first unread message, if there is one. From here on, what is on the screen counts as read. */
    async begin(id?: string): Promise<void> {
      const first = theirs.value.findIndex((line) => line.id === id);
      seenUntil = (id ? theirs.value[first - 1] : theirs.value.at(-1))?.sentAt ?? '';
      firstNew.value = id;
      hasBegun = true;
      await nextTick();
      return follow(true);
    },
    /** Passes over what is unread. */
    toEnd(): void {
      seenUntil = theirs.value.at(-1)?.sentAt ?? '';
      log.value?.scrollTo({ top: 0 });
    },
  };
}
