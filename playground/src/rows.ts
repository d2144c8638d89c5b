/**
 * The messages are one stop for Tab: the log, and what there is to do with the current message. The arrow keys go from
 * message to message. Rows come and go with the window, so the focus may lose its row: the log has it then.
 */

import { useEventListener } from '@vueuse/core';
import { computed, nextTick, type Ref, ref, watch } from 'vue';

/** Follows the rows of a log, by their keys, which are in `data-key`. */
export function useRows(log: Readonly<Ref<HTMLElement | null>>, keys: Ref<string[]>) {
  const chosen = ref<string>();
  /** The row whose controls Tab leads to: the last one that had the focus, or the newest. */
  const current = computed(() => (chosen.value && keys.value.includes(chosen.value) ? chosen.value : keys.value.at(-1)));

  const hasFocus = () => !!log.value?.contains(document.activeElement);

  function step(event: KeyboardEvent): void {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !log.value || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const rows = [...log.value.querySelectorAll<HTMLElement>('[data-key]')];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const { bottom } = log.value.getBoundingClientRect();
    const next = at < 0 ? rows.findLast((row) => row.getBoundingClientRect().top < bottom) : rows[at + by];
    if (!next) return; // the log scrolls
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: 'nearest' });
  }

  useEventListener(log, 'keydown', step);
  useEventListener(log, 'focusin', ({ target }) => {
    const row = (target as HTMLElement).closest<HTMLElement>('[data-key]');
    if (row) chosen.value = row.dataset['key'];
  });
  watch(keys, async () => {
    if (!hasFocus()) return;
    await nextTick();
    if (document.activeElement === document.body) log.value?.focus({ preventScroll: true });
  });

  return { current };
}
