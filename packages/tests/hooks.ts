/** A page that shows a conversation: by the client alone, by React's hooks, and by Vue's composables. */

import './dom.ts';

import { createElement, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import type { ConversationList, Herald, Line, OpenConversation, State, Unread } from 'herald-client';
import * as react from 'herald-react';
import * as vue from 'herald-vue';
import { createApp, h } from 'vue';

export interface Shown {
  conversation: OpenConversation;
  list: Pick<ConversationList, 'conversations' | 'hasMore'>;
  unread: Unread;
  state: State;
  unsent: Line[];
}

export interface Page {
  /** What was shown last. */
  now(): Shown;
  /** The lines as they are in the document, where there is one. */
  text(): string[];
  send(body: string): string;
  retry(key: string): void;
  edit(key: string, body: string): void;
  discard(key: string): void;
  seen(messageId: string): void;
  loadEarlier(): Promise<void>;
  leave(): void;
}

export type Mount = (herald: Herald, id: string, look: (shown: Shown) => void) => Page;

const textOf = ({ body, status }: Line) => `${body} ${status}`;

const bareMount: Mount = (herald, id, look) => {
  const views = [herald.conversation(id), herald.conversations, herald.unread, herald.state];
  const now = (): Shown => {
    const conversation = herald.conversation(id).get();
    const unsent = conversation.lines.filter((line) => !line.id);
    return { conversation, unsent, list: herald.conversations.get(), unread: herald.unread.get(), state: herald.state.get() };
  };
  const leaving = views.map((view) => view.subscribe(() => look(now())));
  return {
    now,
    text: () => now().conversation.lines.map(textOf),
    send: (body) => herald.send(id, body),
    retry: (key) => herald.retry(key),
    edit: (key, body) => herald.edit(key, body),
    discard: (key) => herald.discard(key),
    seen: (messageId) => herald.seen(id, messageId),
    loadEarlier: () => herald.earlier(id),
    leave: () => leaving.forEach((leave) => leave()),
  };
};

type Hooks = react.Sending & { seen(messageId: string): void; loadEarlier(): Promise<void> };

/** `hooks` are those of the newest render. */
function pageOf(element: HTMLElement, now: () => Shown, hooks: () => Omit<Hooks, 'unsent'>, leave: () => void): Page {
  return {
    now,
    text: () => [...element.querySelectorAll('li')].map(({ textContent }) => textContent!),
    send: (body) => hooks().send(body),
    retry: (key) => hooks().retry(key),
    edit: (key, body) => hooks().edit(key, body),
    discard: (key) => hooks().discard(key),
    seen: (messageId) => hooks().seen(messageId),
    loadEarlier: () => hooks().loadEarlier(),
    leave,
  };
}

const reactMount: Mount = (herald, id, look) => {
  let [shown, hooks] = [{} as Shown, {} as Hooks];
  function Chat() {
    const conversation = react.useConversation(id);
    const sending = react.useSend(id);
    const { seen } = react.useMarks(id);
    shown = {
      ...{ conversation, unsent: sending.unsent, list: react.useConversations(), unread: react.useUnread(), state: react.useHeraldState() },
    };
    hooks = { ...sending, seen, loadEarlier: conversation.loadEarlier };
    look(shown);
    return createElement('ul', null, conversation.lines.map((line) => createElement('li', { key: line.key }, textOf(line))));
  }
  const element = document.createElement('div');
  const root = createRoot(element);
  root.render(createElement(StrictMode, null, createElement(react.HeraldProvider, { client: herald }, createElement(Chat))));
  return pageOf(element, () => shown, () => hooks, () => root.unmount());
};

const vueMount: Mount = (herald, id, look) => {
  let [shown, hooks] = [{} as Shown, {} as Omit<Hooks, 'unsent'>];
  const element = document.createElement('div');
  const app = createApp({
    setup() {
      const { conversation, lines, loadEarlier } = vue.useConversation(() => id);
      const { unsent, ...sending } = vue.useSend(id);
      const { seen } = vue.useMarks(id);
      const { conversations, hasMore } = vue.useConversations();
      const [unread, state] = [vue.useUnread(), vue.useHeraldState()];
      hooks = { ...sending, seen, loadEarlier };
      return () => {
        const list = { conversations: conversations.value, hasMore: hasMore.value };
        shown = { conversation: conversation.value, unsent: unsent.value, list, unread: unread.value, state: state.value };
        look(shown);
        return h('ul', lines.value.map((line) => h('li', { key: line.key }, textOf(line))));
      };
    },
  });
  app.use(vue.heraldPlugin(herald)).mount(element);
  return pageOf(element, () => shown, () => hooks, () => app.unmount());
};

export const MOUNTS: Record<string, Mount> = { 'herald-client': bareMount, 'herald-react': reactMount, 'herald-vue': vueMount };
