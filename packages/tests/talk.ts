/** Somebody at a page, over a network that fails, and what may never be shown. */

import { createClient } from 'graphql-ws';
import { Herald as Client } from 'herald-client';
import { type Execute, Refused } from 'resumable-graphql';
import type { OutboxStore } from 'resumable-graphql-outbox';
import { overSocket } from 'resumable-graphql-ws';
import { expect, onTestFinished, vi } from 'vitest';
import WebSocket from 'ws';

import { type Hold, Proxy } from '../../tests/clients/proxy.ts';
import type { Mount, Page, Shown } from './hooks.ts';
import type { Person } from './people.ts';

/** A message that is not stored may fail, and be sent again. */
const rank = (status = 'FAILED') => ['SENT', 'DELIVERED', 'READ'].indexOf(status);

/** Over HTTP, by a network that can hold answers back. */
export const overHttp = (url: string, { token }: Person): Execute => async function* (request, signal) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(request), signal });
  if (response.status >= 400) throw new Refused(response.status);
  yield (await response.json()) as any;
};

export function gate(): { open: () => void; isOpen: Promise<void> } {
  let open = () => {};
  const isOpen = new Promise<void>((resolve) => (open = resolve));
  return { open, isOpen };
}

export interface Talk {
  network: Proxy;
  client: Client;
  page: Page;
  /** The names of the mutations that were asked for, in this order. */
  mutations: string[];
  /** Waits until these lines are shown, and no others. */
  shows(...lines: string[]): Promise<void>;
  until(isSo: (shown: Shown) => boolean): Promise<void>;
  close(): void;
}

/** A person who looks at a conversation. */
export async function look(mount: Mount, port: number, person: Person, id: string, { store, hold }: { store?: OutboxStore; hold?: Hold } = {}): Promise<Talk> {
  const network = await Proxy.to(port);
  if (hold) network.hold(hold);
  const socket = createClient({
    url: network.socket, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: { authorization: `Bearer ${person.token}` },
  });
  const mutations: string[] = [];
  const http = overHttp(network.http, person);
  const ask: Execute = (request, signal) => {
    const [, name] = /^mutation .*?\{ (\w+)/.exec(request.query) ?? [];
    if (name) mutations.push(name);
    return http(request, signal);
  };
  const client = new Client({ execute: overSocket(socket), ask, store });
  const furthest = new Map<string, string>();
  const faults: string[] = [];
  const watch = ({ conversation }: Shown) => {
    const { lines, isLoaded } = conversation;
    // An epoch has ended: statuses may be lower.
    if (!isLoaded) furthest.clear();
    if (new Set(lines.map(({ key }) => key)).size < lines.length) faults.push('two lines have one key');
    for (const { key, body, status } of lines) {
      if (rank(status) < rank(furthest.get(key))) faults.push(`${body} went back from ${furthest.get(key)} to ${status}`);
      furthest.set(key, status);
      // Every message has a text of its own here.
      if (body && lines.filter((line) => line.body === body).length > 1) faults.push(`${body} is shown twice`);
    }
  };
  const page = mount(client, id, watch);
  const close = () => {
    page.leave();
    client.close();
    network.close();
    void Promise.resolve(socket.dispose()).catch(() => {});
  };
  onTestFinished(() => {
    close();
    expect(faults).toEqual([]);
  });
  await vi.waitUntil(() => page.now().conversation);
  const until = async (isSo: (shown: Shown) => boolean) => void (await vi.waitUntil(() => isSo(page.now()), { timeout: 20_000, interval: 5 }));
  return {
    ...{ network, client, page, mutations, until, close },
    async shows(...lines) {
      // Where it does not, it is the difference that is of interest.
      await vi.waitUntil(() => page.text().join() === lines.join(), { timeout: 20_000, interval: 5 }).catch(() => {});
      expect(page.text()).toEqual(lines);
    },
  };
}
