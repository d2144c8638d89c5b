/** A window with the chat: what is in it, what somebody does there, and what its socket brings. */

import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

/** An event as it came, as far as tests look into it. */
export interface Event {
  __typename: string;
  cursor: string;
  message?: { id?: string; body?: string; sender?: { handle: string } };
  recipient?: { handle: string };
  status?: string;
}

export class Chat {
  readonly page: Page;
  /** Everything that herald has told this window, over however many sockets. */
  readonly events: Event[] = [];
  readonly sockets: { isClosed: boolean }[] = [];

  /** A window in which nothing is loaded yet. */
  constructor(page: Page) {
    this.page = page;
    page.on('websocket', (socket) => {
      const known = { isClosed: false };
      this.sockets.push(known);
      socket.on('close', () => (known.isClosed = true));
      socket.on('framereceived', ({ payload }) => {
        const { type, payload: result } = JSON.parse(String(payload));
        if (type === 'next') this.events.push(result.data.events);
      });
    });
  }

  // ---- Signing in

  get signInForm(): Locator {
    return this.page.locator('form').filter({ has: this.page.getByRole('heading', { name: 'herald' }) });
  }

  get alert(): Locator {
    return this.page.getByRole('alert').filter({ hasText: /./ });
  }

  /** What one may do there, where one may register: to sign in, or to create an account. */
  way(name: 'Sign in' | 'Create account'): Locator {
    return this.page.getByRole('group', { name: 'What to do' }).getByRole('button', { name });
  }

  async signIn(handle: string, password: string): Promise<void> {
    await this.way('Sign in').click();
    await this.#fill(handle, password);
  }

  async register(handle: string, password: string, name = ''): Promise<void> {
    await this.way('Create account').click();
    await this.page.getByLabel('Name').fill(name);
    await this.#fill(handle, password);
  }

  async #fill(handle: string, password: string): Promise<void> {
    await this.page.getByLabel('Handle').fill(handle);
    await this.page.getByLabel('Password').fill(password);
    await this.signInForm.locator('button.primary').click();
  }

  async signOut(): Promise<void> {
    await this.page.getByRole('button', { name: 'Sign out' }).click();
  }

  // ---- The connection

  /** Waits until the connection has come to a state: connected, reconnecting, offline. */
  async is(state: string): Promise<void> {
    await this.page.locator(`[data-testid=connection-state][data-state=${state}]`).waitFor();
  }

  async goOffline(): Promise<void> {
    await this.page.getByRole('button', { name: 'Go offline' }).click();
    await this.is('offline');
  }

  async goOnline(): Promise<void> {
    await this.page.getByRole('button', { name: 'Go online' }).click();
    await this.is('connected');
  }

  // ---- The list

  get conversations(): Locator {
    return this.page.getByTestId('conversation');
  }

  /** The row of a conversation in the list. */
  conversation(name: string): Locator {
    return this.conversations.filter({ has: this.page.getByText(name, { exact: true }) });
  }

  /** How many messages a row says are unread; nothing, when there are none. */
  async unread(name: string): Promise<string | undefined> {
    const [count] = await this.conversation(name).getByTestId('unread').allInnerTexts();
    return count && /\d+/.exec(count)?.[0];
  }

  async start(handles: string, title?: string): Promise<void> {
    await this.page.getByRole('button', { name: 'New conversation' }).click();
    const dialog = this.dialog('New conversation');
    await dialog.getByLabel('With').fill(handles);
    if (title) await dialog.getByLabel('Title').fill(title);
    await dialog.getByRole('button', { name: /^Start/ }).click();
  }

  // ---- The open conversation

  async open(name: string): Promise<void> {
    await this.conversation(name).click();
    await this.field.waitFor();
  }

  get field(): Locator {
    return this.page.getByRole('textbox', { name: 'Message' });
  }

  get log(): Locator {
    return this.page.getByRole('log');
  }

  get messages(): Locator {
    return this.page.getByTestId('message');
  }

  message(body: string): Locator {
    return this.messages.filter({ has: this.page.getByText(body, { exact: true }) });
  }

  /** What is said, in the order in which it is shown. */
  async bodies(): Promise<string[]> {
    return this.messages.locator('.body').allInnerTexts();
  }

  /** What the ticks of the own messages say to somebody who cannot see them, in the order of the messages. */
  async ticks(): Promise<(string | null)[]> {
    return this.messages.getByRole('img').evaluateAll((images) => images.map((image) => image.ariaLabel));
  }

  async write(...bodies: string[]): Promise<void> {
    const hasKeyboard = await this.page.evaluate(() => matchMedia('(pointer: fine)').matches);
    for (const body of bodies) {
      await this.field.fill(body);
      if (hasKeyboard) await this.field.press('Enter');
      else await this.page.getByRole('button', { name: 'Send' }).click();
    }
  }

  /** Waits until exactly this is said here. */
  async says(...bodies: string[]): Promise<void> {
    await expect.poll(() => this.bodies()).toEqual(bodies);
  }

  /** Waits until exactly these are the ticks of the own messages. */
  async showsTicks(...ticks: string[]): Promise<void> {
    await expect.poll(() => this.ticks()).toEqual(ticks);
  }

  /** Goes to the newest message, unless it is on the screen. */
  async toEnd(): Promise<void> {
    await expect
      .poll(async () => {
        await this.log.press('End');
        return this.page.getByRole('button', { name: 'To the newest message' }).count();
      })
      .toBe(0);
  }

  // ---- Dialogs, and the inspector

  dialog(name: string): Locator {
    return this.page.getByRole('dialog', { name });
  }

  /** Opens the receipts of an own message. */
  async receipts(body: string): Promise<Locator> {
    await this.message(body).getByRole('button').click();
    return this.dialog('Message details').getByTestId('receipt');
  }

  async details(name: string): Promise<Locator> {
    await this.page.getByRole('button', { name: 'Conversation details' }).click();
    return this.dialog(name);
  }

  /** What a dialog says others are told: of what is received, and of what is read. */
  async sharing(dialog: Locator): Promise<[boolean, boolean]> {
    const [delivered, read] = this.switches(dialog);
    return [await delivered.isChecked(), await read.isChecked()];
  }

  /** The switches of what others are told: of what is received, and of what is read. */
  switches(dialog: Locator): [Locator, Locator] {
    const named = (name: string) => dialog.getByRole('switch', { name });
    return [named('Tell others what I receive'), named('Tell others what I read')];
  }

  get inspector(): Locator {
    return this.page.getByRole('region', { name: 'Live inspector' });
  }

  async inspect(): Promise<void> {
    await this.page.getByRole('button', { name: 'Live inspector' }).click();
    await this.inspector.waitFor();
  }
}
