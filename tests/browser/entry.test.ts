/** The way in: what a first visit shows, what is told before one errs, and where one is afterwards. */

import type { Locator } from 'playwright-core';
import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import { test } from './fixtures.ts';
import { unique } from './person.ts';

/** What a screen reader says of an input besides its name. */
const description = (input: Locator) =>
  input.evaluate((input) =>
    (input.getAttribute('aria-describedby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent.trim()).join(' '),
  );

const hasFocus = (locator: Locator) => locator.evaluate((element) => element === document.activeElement);

test('a first visit offers an account, and later ones the way in', async ({ device }) => {
  const laptop = await device();
  const chat = await laptop.chat();
  await expect.poll(() => chat.way('Create account').getAttribute('aria-pressed')).toBe('true');
  await chat.register(unique('alice'), 'correct horse battery');
  await chat.is('connected');
  await chat.signOut();
  await expect.poll(() => chat.way('Sign in').getAttribute('aria-pressed')).toBe('true');
  await chat.page.reload();
  await expect.poll(() => chat.way('Sign in').getAttribute('aria-pressed')).toBe('true');
});

test('the rules are there before the mistake, and a mistake is with its input, which has the focus', async ({ device, alice }) => {
  const chat = await (await device()).chat();
  const [handle, password] = [chat.page.getByLabel('Handle'), chat.page.getByLabel('Password')];
  await expect.poll(() => description(handle)).toMatch(/^3 to 32 of a–z/);
  expect(await description(password)).toBe('At least 8 characters.');

  await chat.register(alice.handle, 'correct horse battery');
  await chat.alert.waitFor();
  expect(await description(handle)).toMatch(/^3 to 32 .* This handle is taken/);
  await expect.poll(() => hasFocus(handle)).toBe(true);
  await chat.register(unique('alice'), 'short');
  await expect.poll(() => description(password)).toMatch(/^At least 8 characters. The password/);
  await expect.poll(() => hasFocus(password)).toBe(true);

  await chat.signIn(alice.handle, 'not the password');
  await expect.poll(() => description(password)).toMatch(/password/i);
  await expect.poll(() => hasFocus(password)).toBe(true);
  expect(await faults(chat.page)).toEqual([]);
});

test('whom nobody answers is back at the button', async ({ device, alice }) => {
  const laptop = await device();
  laptop.provokes(/ERR_FAILED/);
  const chat = await laptop.chat();
  await chat.way('Sign in').click();
  await chat.page.route(({ pathname }) => pathname === '/graphql', (route) => route.abort());
  await chat.signIn(alice.handle, alice.password);
  await chat.alert.getByText('cannot be reached').waitFor();
  await expect.poll(() => hasFocus(chat.signInForm.locator('button.primary'))).toBe(true);
});

test('a dialog that is refused something goes to what is wrong with it', async ({ device, alice }) => {
  const chat = await (await device(alice)).chat();
  await chat.is('connected');
  await chat.start('nobody-at-all');
  const people = chat.dialog('New conversation').getByLabel('With');
  await expect.poll(() => description(people)).toContain('nobody-at-all');
  await expect.poll(() => hasFocus(people)).toBe(true);
});
