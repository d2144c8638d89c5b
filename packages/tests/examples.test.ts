/** The chats of examples/react and examples/vue, used by two people: `HERALD_BIN` names the server. */

import './dom.ts';

import { randomBytes } from 'node:crypto';

import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createApp } from 'vue';
import WebSocket from 'ws';

import { App } from '../../examples/react/src/app.tsx';
// @ts-expect-error It is Vue's, and checked by nothing but this test.
import VueApp from '../../examples/vue/src/App.vue';
import { Herald } from '../../tests/clients/herald.ts';
import { Proxy } from '../../tests/clients/proxy.ts';

vi.stubGlobal('WebSocket', WebSocket);
vi.stubGlobal('IDBKeyRange', IDBKeyRange);
vi.stubGlobal('indexedDB', new IDBFactory());

let herald: Herald;
beforeAll(async () => {
  herald = await Herald.create();
});
afterAll(() => herald?.remove());

/** Shows an app in an element. Returns what ends that. */
type Show = (url: string, page: Element) => () => void;

const apps: Record<string, Show> = {
  React(url, page) {
    const root = createRoot(page);
    root.render(createElement(App, { url }));
    return () => root.unmount();
  },
  Vue(url, page) {
    const app = createApp(VueApp, { url });
    app.mount(page);
    return () => app.unmount();
  },
};

/** A tab with the app in it. */
function open(show: Show, url: string) {
  sessionStorage.clear();
  const page = document.createElement('div');
  onTestFinished(show(url, page));
  const find = <E extends Element>(selector: string) =>
    vi.waitUntil(() => page.querySelector<E & HTMLElement>(selector), { timeout: 20_000, interval: 5 });
  return {
    async submit(fields: Record<string, string>, by?: string) {
      for (const [name, value] of Object.entries(fields)) (await find<HTMLInputElement>(`input[name=${name}]`)).value = value;
      const { form } = await find<HTMLInputElement>(`input[name=${Object.keys(fields)[0]}]`);
      const submitter = by ? form!.querySelector(`[name=${by}]`) : null;
      form!.dispatchEvent(new (window as any).SubmitEvent('submit', { bubbles: true, cancelable: true, submitter }));
    },
    async shows(text: string) {
      await vi.waitUntil(() => page.textContent!.includes(text), { timeout: 20_000, interval: 5 }).catch(() => {});
      expect(page.textContent).toContain(text);
    },
    press: async (selector: string) => (await find(selector)).dispatchEvent(new (window as any).Event('click', { bubbles: true })),
  };
}

describe.for(Object.entries(apps))('the chat in %s', ([, show]) => {
  test('two people talk, through a lost connection and a restart of herald', async () => {
    const network = await Proxy.to(herald.port);
    onTestFinished(() => network.close());
    const [handles, password] = [['alice', 'bob'].map((name) => `${name}-${randomBytes(4).toString('hex')}`), 'a long password'];
    // Each in a browser of their own.
    const [alice, bob] = await Promise.all(handles.map(async (handle, n) => {
      const tab = open(show, n ? herald.http : network.http);
      await tab.submit({ handle, password }, 'register');
      await tab.shows(`${handle} · live`);
      return tab;
    }));
    await alice!.submit({ handle: handles[1]! });
    await alice!.submit({ body: 'hello' });
    await alice!.shows('hello ✓✓');
    await bob!.shows('1 unread');
    await bob!.press('li button');
    await bob!.shows(`${handles[0]}: hello`);
    await alice!.shows('hello ✓✓ read');
    await bob!.shows('0 unread');

    network.cut();
    await alice!.submit({ body: 'are you there?' });
    await alice!.shows('are you there? …');
    await bob!.submit({ body: 'yes' });
    await bob!.shows('yes ✓');
    network.heal();
    await alice!.shows(`${handles[1]}: yes`);
    await alice!.shows('are you there? ✓✓ read');

    await herald.kill();
    await alice!.submit({ body: 'and now?' });
    await herald.start();
    await alice!.shows('and now? ✓✓ read');
  });

  test('says why somebody cannot sign in', async () => {
    const tab = open(show, herald.http);
    await tab.submit({ handle: `nobody-${randomBytes(4).toString('hex')}`, password: 'a long password' });
    await tab.shows('wrong');
  });
});
