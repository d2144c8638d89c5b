/** Hooks for herald. All that is hard is in herald-client. */

import type { ConversationList, Herald, Line, OpenConversation, State, Unread, View } from 'herald-client';
import { createContext, createElement, type FunctionComponent, type ReactNode, useContext, useMemo, useSyncExternalStore } from 'react';

const Context = createContext<Herald | undefined>(undefined);

/** Gives all hooks below it a client, which lives longer than what is mounted. */
export const HeraldProvider: FunctionComponent<{ client: Herald; children?: ReactNode }> = ({ client, children }) =>
  createElement(Context.Provider, { value: client }, children);

/** The client itself. */
export function useHerald(): Herald {
  const client = useContext(Context);
  if (!client) throw new Error('There is no HeraldProvider above this');
  return client;
}

const useView = <T>({ subscribe, get }: View<T>): T => useSyncExternalStore(subscribe, get, get);

/** Whether what is shown is so now, and who is signed in. */
export const useHeraldState = (): State => useView(useHerald().state);

/** The viewer's conversations, the one with the latest activity first. */
export function useConversations(): ConversationList & { loadMore: () => Promise<void> } {
  const herald = useHerald();
  const list = useView(herald.conversations);
  return useMemo(() => ({ ...list, loadMore: () => herald.more() }), [herald, list]);
}

/** A conversation, with its messages and what is not sent yet. */
export function useConversation(id: string): OpenConversation & { loadEarlier: () => Promise<void> } {
  const herald = useHerald();
  const open = useView(herald.conversation(id));
  return useMemo(() => ({ ...open, loadEarlier: () => herald.earlier(id) }), [herald, open, id]);
}

/** How much the viewer has not read, over all conversations. */
export const useUnread = (): Unread => useView(useHerald().unread);

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
  unsent: Line[];
}

export function useSend(id: string): Sending {
  const herald = useHerald();
  const { lines } = useView(herald.conversation(id));
  return useMemo(() => ({
    send: (body, metadata) => herald.send(id, body, metadata),
    retry: (key) => herald.retry(key),
    edit: (key, body) => herald.edit(key, body),
    discard: (key) => herald.discard(key),
    unsent: lines.filter((line) => !line.id),
  }), [herald, id, lines]);
}

/** What the viewer reads. That it was received is told by itself. */
export function useMarks(id: string): { seen: (messageId: string) => void; unreadCount: number } {
  const herald = useHerald();
  const { unreadCount } = useView(herald.conversation(id));
  return useMemo(() => ({ unreadCount, seen: (messageId) => herald.seen(id, messageId) }), [herald, id, unreadCount]);
}
