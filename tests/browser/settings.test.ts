/** What somebody changes of their own account. */

import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import type { Chat, Event } from './chat.ts';
import { test } from './fixtures.ts';

async function settings(chat: Chat) {
  await chat.page.getByRole('button', { name: 'Settings' }).click();
  return chat.dialog('Settings');
}

test('another name is shown at once, here and to others', async ({ device, alice, bob, conversationId }) => {
  const alices = await (await device(alice)).chat(conversationId);
  await alices.is('connected');
  const dialog = await settings(alices);
  await dialog.getByLabel('Name').fill('Alice Moreau');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await alices.page.locator('.me').getByText('Alice Moreau').waitFor();
  const bobs = await (await device(bob)).chat();
  await bobs.conversation('Alice Moreau').waitFor();
});

test('a password is changed: this window stays signed in, and another does not', async ({ device, alice, bob, conversationId }) => {
  const laptop = await device();
  const alices = await laptop.chat(conversationId);
  await alices.signIn(alice.handle, alice.password);
  await alices.is('connected');
  const others = await (await device(alice)).chat();
  await others.is('connected');
  const dialog = await settings(alices);
  const sessions = dialog.getByRole('list', { name: 'Sessions' }).getByRole('listitem');
  await expect.poll(() => sessions.count()).toBe(2);
  expect(await faults(alices.page)).toEqual([]);

  await dialog.getByLabel('Current password').fill('not the password');
  await dialog.getByLabel('New password').fill('correct horse battery');
  await dialog.getByRole('button', { name: 'Change password' }).click();
  await expect.poll(() => dialog.getByRole('alert').filter({ hasText: /./ }).innerText()).toMatch(/password/i);
  await dialog.getByLabel('Current password').fill(alice.password);
  await dialog.getByRole('button', { name: 'Change password' }).click();
  await dialog.getByText('The password is changed').waitFor();

  await others.signInForm.waitFor();
  await expect.poll(() => sessions.count()).toBe(1);
  await alices.page.keyboard.press('Escape');
  await alices.is('connected');
  await bob.send(conversationId, 'Still there?');
  await alices.says('Still there?');
  await others.signIn(alice.handle, 'correct horse battery');
  await others.is('connected');
});

test('a session that is ended here shows the way in there', async ({ device, alice }) => {
  const there = await (await device(alice)).chat();
  await there.is('connected');
  const here = await (await device()).chat();
  await here.signIn(alice.handle, alice.password);
  const dialog = await settings(here);
  await dialog.getByRole('button', { name: 'End' }).click();
  await there.signInForm.waitFor();
  await expect.poll(() => dialog.getByRole('button', { name: 'End' }).count()).toBe(0);
  await here.is('connected');
});

test('whoever is blocked starts no conversation, until they are not', async ({ device, alice, bob }) => {
  const alices = await (await device(alice)).chat();
  const dialog = await settings(alices);
  const block = async (handle: string) => {
    await dialog.getByLabel('Block somebody').fill(handle);
    await dialog.getByRole('button', { name: 'Block', exact: true }).click();
  };
  await block('nobody-at-all');
  await dialog.getByText('Nobody has this handle').waitFor();
  await block(`@${bob.handle}`);
  await dialog.getByRole('list', { name: 'Blocked people' }).getByText('Bob').waitFor();
  expect(await faults(alices.page)).toEqual([]);
  await expect(bob.converse([alice])).rejects.toThrow();

  await dialog.getByRole('button', { name: 'Unblock' }).click();
  await expect.poll(() => dialog.getByRole('list', { name: 'Blocked people' }).count()).toBe(0);
  await bob.converse([alice]);
});

test('others are not told what is read, or received, once somebody says so', async ({ device, alice, bob, conversationId }) => {
  const alices = await (await device(alice)).chat(conversationId);
  const phone = await (await device(alice)).chat();
  for (const chat of [alices, phone]) await chat.is('connected');
  /** Bob says something, and Alice reads it, of which her phone is told. */
  const reads = async (...bodies: string[]) => {
    const id = await bob.send(conversationId, bodies.at(-1)!);
    await alices.says(...bodies);
    const isRead = ({ status, message }: Event) => status === 'READ' && message?.id === id;
    await expect.poll(() => phone.events.some(isRead)).toBe(true);
  };
  const statuses = async () => (await bob.messages(conversationId)).map(({ status }) => status);

  let dialog = await settings(alices);
  await expect.poll(() => alices.sharing(dialog)).toEqual([true, true]);
  expect(await faults(alices.page)).toEqual([]);
  await alices.switches(dialog)[1].click();
  await expect.poll(() => alices.sharing(dialog)).toEqual([true, false]);
  await alices.page.keyboard.press('Escape');
  await reads('one');
  expect(await statuses()).toEqual(['DELIVERED']);

  // Reading tells of receiving.
  dialog = await settings(alices);
  await alices.switches(dialog)[1].click();
  await expect.poll(() => alices.sharing(dialog)).toEqual([true, true]);
  await alices.switches(dialog)[0].press('Space');
  await expect.poll(() => alices.sharing(dialog)).toEqual([false, false]);
  expect(await alices.switches(dialog)[1].isDisabled()).toBe(true);
  expect(await faults(alices.page)).toEqual([]);
  await alices.page.keyboard.press('Escape');
  await reads('one', 'two');
  expect(await statuses()).toEqual(['DELIVERED', 'SENT']);

  dialog = await settings(alices);
  await alices.switches(dialog)[0].click();
  await expect.poll(() => alices.sharing(dialog)).toEqual([true, true]);
  await alices.page.keyboard.press('Escape');
  await reads('one', 'two', 'three');
  expect(await statuses()).toEqual(['DELIVERED', 'SENT', 'READ']);
});
