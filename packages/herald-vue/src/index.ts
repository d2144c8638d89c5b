/** Composables for herald. All that is hard is in herald-client. */

import type { Conversation, Herald, Line, OpenConversation, State, Unread, View } from 'herald-client';
import {
  computed, type ComputedRef, defineComponent, inject, type InjectionKey, type MaybeRefOrGetter, type Plugin, type PropType, provide,
  type ShallowRef, shallowRef, toRaw, toValue, watchEffect,
} from 'vue';

const KEY: InjectionKey<Herald> = Symbol('herald');

/** Gives all composables a client: `app.use(heraldPlugin(client))`. */
export const heraldPlugin = (client: Herald): Plugin => ({ install: (app) => void app.provide(KEY, toRaw(client)) });

/** Gives the composables in what it contains a client: where somebody signs in within the app. */
export const HeraldProvider = defineComponent({
  props: { client: { type: Object as PropType<Herald>, required: true } },
  setup(props, { slots }) {
    provide(KEY, toRaw(props.client));
    return () => slots['default']?.();
  },
});

/** The client itself. */
export function useHerald(): Herald {
  const client = inject(KEY, undefined);
  if (!client) throw new Error('There is no HeraldProvider above this, and the app does not use heraldPlugin');
  return client;
}

/** A view as a ref, until the component is unmounted. */
function useView<T>(of: () => View<T>): Readonly<ShallowRef<T>> {
  const value = shallowRef(of().get()) as ShallowRef<T>;
  watchEffect((onCleanup) => {
    const view = of();
    const show = () => (value.value = view.get());
    onCleanup(view.subscribe(show));
    show();
  }, { flush: 'sync' });
  return value;
}

/** Whether what is shown is so now, and who is signed in. */
export function useHeraldState(): Readonly<ShallowRef<State>> {
  const herald = useHerald();
  return useView(() => herald.state);
}

export interface UsedConversations {
  /** The one with the latest activity first. */
  conversations: ComputedRef<Conversation[]>;
  hasMore: ComputedRef<boolean>;
  isLoaded: ComputedRef<boolean>;
  loadMore: () => Promise<void>;
}

/** The viewer's conversations. */
export function useConversations(): UsedConversations {
  const herald = useHerald();
  const list = useView(() => herald.conversations);
  return {
    conversations: computed(() => list.value.conversations),
    hasMore: computed(() => list.value.hasMore),
    isLoaded: computed(() => list.value.isLoaded),
    loadMore: () => herald.more(),
  };
}

export interface UsedConversation {
  conversation: Readonly<ShallowRef<OpenConversation>>;
  /** The oldest first. What is not stored yet is at the end. */
  lines: ComputedRef<Line[]>;
  loadEarlier: () => Promise<void>;
}

/** A conversation, with its messages and what is not sent yet. */
export function useConversation(id: MaybeRefOrGetter<string>): UsedConversation {
  const herald = useHerald();
  const conversation = useView(() => herald.conversation(toValue(id)));
  return { conversation, lines: computed(() => conversation.value.lines), loadEarlier: () => herald.earlier(toValue(id)) };
}

/** How much the viewer has not read, over all conversations. */
export function useUnread(): Readonly<ShallowRef<Unread>> {
  const herald = useHerald();
  return useView(() => herald.unread);
}

export interface Sending {
  /** Shows a message at once, and sends it as soon as it can be. Returns the `key` of its line. */
  send: (body: string, metadata?: object) => string;
  /** Sends a message that failed again. */
  retry: (key: string) => void;
  /** Sends another text in its place. */
  edit: (key: string, body: string) => void;
  /** Forgets it. */
  discard: (key: string) => void;
  /** What is not stored yet, and what failed. */
  unsent: ComputedRef<Line[]>;
}

export function useSend(id: MaybeRefOrGetter<string>): Sending {
  const herald = useHerald();
  const conversation = useView(() => herald.conversation(toValue(id)));
  return {
    send: (body, metadata) => herald.send(toValue(id), body, metadata),
    retry: (key) => herald.retry(key),
    edit: (key, body) => herald.edit(key, body),
    discard: (key) => herald.discard(key),
    unsent: computed(() => conversation.value.lines.filter((line) => !line.id)),
  };
}

/** What the viewer reads. That it was received is told by itself. */
export function useMarks(id: MaybeRefOrGetter<string>): { seen: (messageId: string) => void; unreadCount: ComputedRef<number> } {
  const herald = useHerald();
  const conversation = useView(() => herald.conversation(toValue(id)));
  return {
    seen: (messageId) => herald.seen(toValue(id), messageId),
    unreadCount: computed(() => conversation.value.unreadCount),
  };
}
