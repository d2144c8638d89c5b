/** packages/resumable-graphql-tabs with the locks and the channels of a real browser. `packages/test` builds what it loads. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

import { test } from './fixtures.ts';

const PACKAGES = join(import.meta.dirname, '../../packages');

/** A page that follows everything, and keeps what it was told. */
const PAGE = `<!doctype html>
<script type="importmap">
  { "imports": {
    "graphql-ws": "/packages/node_modules/graphql-ws/dist/client.js",
    "resumable-graphql": "/packages/resumable-graphql/dist/index.js",
    "resumable-graphql-tabs": "/packages/resumable-graphql-tabs/dist/index.js",
    "resumable-graphql-ws": "/packages/resumable-graphql-ws/dist/index.js"
  } }
</script>
<script type="module">
  import { createClient } from 'graphql-ws';
  import { follow } from 'resumable-graphql';
  import { overTabs } from 'resumable-graphql-tabs';
  import { overSocket } from 'resumable-graphql-ws';

  const client = createClient({ url: '/graphql', retryAttempts: 0 });
  const execute = overTabs(overSocket(client), { name: 'app' });
  const events = 'subscription ($after: Cursor) { events(after: $after) { __typename cursor previous ... on MessageSent { message { body } } } }';
  window.told = [];
  const onSnapshot = () => (window.isFollowing = true);
  for await (const { message } of follow(execute, { events, snapshot: '{ cursor }', onSnapshot })) told.push(message?.body);
</script>`;

class Tab {
  readonly page: Page;
  readonly #sockets = new Set<unknown>();

  private constructor(page: Page) {
    this.page = page;
    page.on('websocket', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async open(context: BrowserContext, origin: string): Promise<Tab> {
    const tab = new Tab(await context.newPage());
    // Chromium lets only a document that herald itself has sent speak to this machine.
    await tab.page.goto(`${origin}/healthz`);
    await tab.page.setContent(PAGE);
    await tab.page.waitForFunction('window.isFollowing');
    return tab;
  }

  /** How many sockets it has open. */
  get sockets(): number {
    return this.#sockets.size;
  }

  async hears(...bodies: string[]): Promise<void> {
    await expect.poll(() => this.page.evaluate('window.told')).toEqual(bodies);
  }
}

test('tabs share one connection, and when the tab that has it is closed or crashes, the others miss nothing', async ({
  chromium, herald, alice, bob, conversationId,
}) => {
  expect(existsSync(join(PACKAGES, 'resumable-graphql-tabs/dist')), 'packages/test has built the packages').toBe(true);
  const { origin } = new URL(herald.http);
  const context = await chromium.newContext();
  onTestFinished(() => context.close());
  await context.addCookies([{ name: 'herald_session', value: alice.token, url: origin, httpOnly: true, sameSite: 'Strict' }]);
  await context.route(`${origin}/packages/**`, (route) => {
    const { pathname } = new URL(route.request().url());
    return route.fulfill({ path: join(PACKAGES, pathname.replace('/packages/', '')) });
  });
  const tabs: Tab[] = [];
  for (let n = 0; n < 3; n++) tabs.push(await Tab.open(context, origin));
  const [first, second, third] = tabs as [Tab, Tab, Tab];
  const sockets = () => tabs.map((tab) => tab.sockets);

  await bob.send(conversationId, 'one');
  for (const tab of tabs) await tab.hears('one');
  expect(sockets()).toEqual([1, 0, 0]);

  await first.page.close();
  await bob.send(conversationId, 'two');
  for (const tab of [second, third]) await tab.hears('one', 'two');
  expect(sockets().slice(1)).toEqual([1, 0]);

  const crash = await context.newCDPSession(second.page);
  void crash.send('Page.crash').catch(() => {});
  await bob.send(conversationId, 'three');
  await third.hears('one', 'two', 'three');
  expect(third.sockets).toBe(1);
});
