/**
 * Tells of messages while nobody looks: notifications and a sound, as somebody wishes on this device, and the number of
 * unread messages on the icon of the page. Conversations that are muted stay silent.
 */

import { tryOnScopeDispose, useDocumentVisibility, useEventListener, useFavicon, useLocalStorage } from '@vueuse/core';
import { type Ref, ref, watch } from 'vue';

import type { PersonFragment } from '../generated/graphql';
import { said, title } from './format';
import icon from './icon.svg';
import type { Event } from './live';
import { isolated } from './names';

/** Of plain HTTP from another machine, browsers keep notifications away. */
export const canNotify = 'Notification' in window && isSecureContext;

/** What somebody wishes on this device. */
export const useWishes = () => useLocalStorage('herald:alerts', { notify: false, showText: true, sound: false });

/** Whether the browser lets the page show notifications. */
export const permission = ref(canNotify ? Notification.permission : 'denied');

/** Asks for it. A browser shows its question only where somebody has just clicked. */
export async function askPermission(): Promise<boolean> {
  permission.value = await Notification.requestPermission();
  return permission.value === 'granted';
}

let audio: AudioContext | undefined;

/** Two short notes. Before the first click on a page, browsers keep it silent. */
export function chime(): void {
  audio ??= new AudioContext();
  void audio.resume();
  for (const [delay, frequency] of [[0, 660], [0.12, 880]] as const) {
    const [tone, volume, begin] = [audio.createOscillator(), audio.createGain(), audio.currentTime + delay];
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0.12, begin);
    volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.25);
    tone.connect(volume).connect(audio.destination);
    tone.start(begin);
    tone.stop(begin + 0.25);
  }
}

/** Held by each page that is seen, so that those behind it stay silent. */
const SEEN = 'herald:seen';

/** Holds the lock while the page is seen. */
function useSeen(): void {
  const visibility = useDocumentVisibility();
  let release: (() => void) | undefined;
  watch(visibility, (now) => {
    release?.();
    release = undefined;
    if (now !== 'visible') return;
    void navigator.locks?.request(SEEN, { mode: 'shared' }, () => new Promise<void>((resolve) => {
      if (visibility.value === 'visible') release = resolve;
      else resolve();
    }));
  }, { immediate: true });
  tryOnScopeDispose(() => release?.());
}

const isSeen = async () => {
  if (document.visibilityState === 'visible') return true;
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  return held.some(({ name }) => name === SEEN);
};

export function useAlerts(viewer: PersonFragment, open: (conversationId: string) => void) {
  const wishes = useWishes();
  const shown = new Map<string, Notification>();
  useSeen();

  function close(conversationId: string): void {
    shown.get(conversationId)?.close();
    shown.delete(conversationId);
  }

  /** One for each conversation: a later one takes the place of the one before, also of another tab's. */
  function show({ conversation, message }: Event & { __typename: 'MessageSent' }): void {
    const body = wishes.value.showText ? `${isolated(message.sender.displayName)}: ${said(message)}` : 'New message';
    const notification = new Notification(title(conversation, viewer), { body, icon, tag: conversation.id, dir: 'auto' });
    shown.set(conversation.id, notification);
    notification.onclick = () => {
      window.focus();
      open(conversation.id);
      close(conversation.id);
    };
  }

  async function onEvent(event: Event): Promise<void> {
    // What was read, here or elsewhere, is no news.
    if (event.__typename === 'StatusChanged' && !event.conversation.unreadCount) close(event.conversation.id);
    if (event.__typename !== 'MessageSent' || event.message.sender.id === viewer.id) return;
    const { mutedUntil } = event.conversation.own;
    if ((mutedUntil && Date.parse(mutedUntil) > Date.now()) || (await isSeen())) return;
    if (wishes.value.sound) chime();
    if (wishes.value.notify && canNotify && Notification.permission === 'granted') show(event);
  }

  const closeAll = () => [...shown.keys()].forEach(close);
  useEventListener(document, 'visibilitychange', () => document.visibilityState === 'visible' && closeAll());
  tryOnScopeDispose(closeAll);
  return { onEvent };
}

/** The icon with a number on it. They are files, because the page may load no picture that it draws itself. */
const BADGES = import.meta.glob<string>('./badges/*.svg', { eager: true, query: '?url', import: 'default' });

/** Puts the number on the icon of the page. */
export function useBadge(count: Ref<number>): void {
  const favicon = useFavicon(icon);
  const badge = (count: number) => (count ? BADGES[`./badges/${count > 9 ? 'more' : count}.svg`]! : icon);
  watch(count, (count) => (favicon.value = badge(count)), { immediate: true });
  tryOnScopeDispose(() => document.querySelector('link[rel="icon"]')?.setAttribute('href', icon));
}
