/** A browser with tabs in memory, which are closed without a goodbye: its channels and its locks. */

import type { Channel, Locks } from 'resumable-graphql-tabs';

/** Runs something later. Of a `World`, or of this one. */
export interface Time {
  later(milliseconds: number, run: () => void): unknown;
}

interface Request {
  tab: Tab;
  hold(): Promise<unknown>;
  done(): void;
}

export class Browser {
  readonly world: Time;
  readonly tabs = new Set<Tab>();
  /** Who waits for each lock; the first one has it. */
  readonly locks = new Map<string, Request[]>();

  constructor(world: Time) {
    this.world = world;
  }

  open(): Tab {
    const tab = new Tab(this);
    this.tabs.add(tab);
    return tab;
  }

  /** Gives a lock to the next one. */
  grant(name: string): void {
    const [next] = this.locks.get(name) ?? [];
    if (!next) return;
    this.world.later(1, () => {
      if (this.locks.get(name)?.[0] !== next) return;
      void next.hold().finally(() => this.leave(name, next));
    });
  }

  leave(name: string, request: Request): void {
    const waiting = this.locks.get(name) ?? [];
    const place = waiting.indexOf(request);
    if (place < 0) return;
    waiting.splice(place, 1);
    request.done();
    if (place === 0) this.grant(name);
  }
}

export class Tab {
  readonly #browser: Browser;
  readonly #channels = new Set<Channel>();
  readonly #closing = new AbortController();

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  readonly locks: Locks = {
    request: (name, { signal }, hold) => new Promise<void>((done) => {
      const { locks } = this.#browser;
      const request = { tab: this, hold, done };
      if (!locks.has(name)) locks.set(name, []);
      locks.get(name)!.push(request);
      if (locks.get(name)!.length === 1) this.#browser.grant(name);
      signal?.addEventListener('abort', () => this.#browser.leave(name, request));
    }),
  };

  /** There is one name here. */
  readonly channel = (): Channel => {
    const channel: Channel = {
      onmessage: null,
      postMessage: (message) => {
        if (this.signal.aborted) return;
        const data = structuredClone(message);
        for (const tab of this.#browser.tabs) if (tab !== this) this.#browser.world.later(1, () => tab.#hear(data));
      },
      close: () => void this.#channels.delete(channel),
    };
    this.#channels.add(channel);
    return channel;
  };

  #hear(data: unknown): void {
    if (!this.signal.aborted) this.#channels.forEach((channel) => channel.onmessage?.({ data }));
  }

  /** Its connections end with the signal, and the browser gives its locks to others. */
  close(): void {
    this.#browser.tabs.delete(this);
    this.#closing.abort(new Error('the tab is closed'));
    for (const [name, waiting] of this.#browser.locks) {
      for (const request of waiting.filter(({ tab }) => tab === this)) this.#browser.leave(name, request);
    }
  }
}
