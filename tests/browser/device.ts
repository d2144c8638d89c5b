/** A browser of somebody, with cookies and a network of its own. It notes whatever a page should not do. */

import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';

import { Chat } from './chat.ts';
import { Graphiql } from './graphiql.ts';
import type { Person } from './person.ts';

/** How long Playwright looks for what it is to use, in milliseconds. */
const PATIENCE = 20_000;

export class Device {
  readonly #context: BrowserContext;
  readonly #origin: string;
  readonly #faults: string[] = [];
  readonly #provoked: RegExp[] = [];

  private constructor(context: BrowserContext, origin: string) {
    this.#context = context;
    this.#origin = origin;
  }

  /** A browser in which somebody is signed in, or nobody. */
  static async create(browser: Browser, origin: string, owner?: Person, options: BrowserContextOptions = {}): Promise<Device> {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: 'en-GB',
      // What moves or fades has no one colour and no one place.
      reducedMotion: 'reduce',
      ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    const device = new Device(context, origin);
    await device.#watch();
    if (owner) {
      const cookie = { name: 'herald_session', value: owner.token, url: origin, httpOnly: true, sameSite: 'Strict' as const };
      await context.addCookies([cookie]);
    }
    return device;
  }

  /** Opens a window with the chat. */
  async chat(fragment = ''): Promise<Chat> {
    const chat = new Chat(await this.#context.newPage());
    await chat.page.goto(`${this.#origin}/#${fragment}`);
    return chat;
  }

  /** Opens an empty window. */
  async page(): Promise<Page> {
    return this.#context.newPage();
  }

  /** Opens a window with GraphiQL. */
  async graphiql(): Promise<Graphiql> {
    const page = await this.#context.newPage();
    await page.goto(`${this.#origin}/graphiql`);
    return Graphiql.of(page);
  }

  /** Takes all its windows off the network. */
  async loseNetwork(): Promise<void> {
    await this.#context.setOffline(true);
  }

  async findNetwork(): Promise<void> {
    await this.#context.setOffline(false);
  }

  async cookies() {
    return this.#context.cookies();
  }

  /** Takes the session away, as if it had ended. */
  async endSession(): Promise<void> {
    await this.#context.clearCookies();
  }

  /** Names faults that the test itself provokes. */
  provokes(...faults: RegExp[]): void {
    this.#provoked.push(...faults);
  }

  /** Closes it. What its pages did and should not have done is an error. */
  async close(): Promise<void> {
    const faults = this.#faults.filter((fault) => !this.#provoked.some((provoked) => provoked.test(fault)));
    await this.#context.close();
    if (faults.length) throw new Error(`A page did what it should not:\n${faults.join('\n')}`);
  }

  async #watch(): Promise<void> {
    const note = (fault: string) => this.#faults.push(fault);
    const isElsewhere = (url: string) => new URL(url).origin !== this.#origin;
    this.#context.on('console', (message) => {
      if (['warning', 'error', 'assert'].includes(message.type())) {
        note(`console ${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
    this.#context.on('weberror', (error) => note(`uncaught: ${error.error().stack}`));
    this.#context.on('request', (request) => isElsewhere(request.url()) && note(`request: ${request.url()}`));
    this.#context.on('response', (response) => response.status() >= 400 && note(`${response.status()}: ${response.url()}`));
    this.#context.on('page', (page: Page) =>
      page.on('websocket', (socket) => {
        const url = socket.url().replace(/^ws/, 'http');
        if (isElsewhere(url)) note(`websocket: ${socket.url()}`);
      }),
    );
    await this.#context.addInitScript(() =>
      addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sample }) =>
        console.error(`Content-Security-Policy: ${effectiveDirective} forbids ${blockedURI} ${sample}`),
      ),
    );
  }
}
