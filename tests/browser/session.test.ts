/** Signing in and out. The session is a cookie, and nothing of it is anywhere else. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

import { Herald } from '../clients/herald.ts';
import type { Chat } from './chat.ts';
import { Device } from './device.ts';
import { test } from './fixtures.ts';
import { unique } from './person.ts';

/** What the page keeps, and what its scripts can see of the cookie. */
const kept = (chat: Chat) =>
  chat.page.evaluate(() => JSON.stringify({ local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie }));

test('two people register, one finds the other, and they talk', async ({ device }) => {
  const [alice, bob] = [unique('alice'), unique('bob')];
  const [alices, bobs] = [await (await device()).chat(), await (await device()).chat()];
  for (const [chat, handle, name] of [[alices, alice, 'Alice'], [bobs, bob, 'Bob']] as const) {
    await chat.register(handle, 'correct horse battery', name);
    await chat.is('connected');
  }

  await alices.start(bob);
  await alices.write('Tea at four?');
  await bobs.open('Alice');
  await bobs.says('Tea at four?');
  await alices.showsTicks('Read');
});

test('what is wrong with a sign-in or a registration is said', async ({ device, alice }) => {
  const chat = await (await device()).chat();
  await chat.signIn(alice.handle, 'not the password');
  await expect.poll(() => chat.alert.innerText()).toMatch(/password/i);

  await chat.register(alice.handle, 'correct horse battery');
  await expect.poll(() => chat.alert.innerText()).toMatch(/^This handle is taken/);
  await chat.register(unique('alice'), 'short');
  await expect.poll(() => chat.alert.innerText()).toMatch(/^The password/);
  expect(await chat.page.getByLabel('Password').getAttribute('aria-invalid')).toBe('true');
  expect(chat.sockets).toEqual([]);
});

test('a page that is loaded again is still signed in, and nothing secret is kept in it', async ({
  device, alice, bob, conversationId,
}) => {
  const laptop = await device();
  const alices = await laptop.chat(conversationId);
  await alices.signIn(alice.handle, alice.password);
  await alices.is('connected');
  await bob.send(conversationId, 'one');
  await alices.says('one');

  await alices.page.reload();
  await alices.is('connected');
  await alices.says('one');
  await bob.send(conversationId, 'two');
  await alices.says('one', 'two');
  await alices.inspect(); // which it remembers

  const [cookie, ...others] = await laptop.cookies();
  expect(others).toEqual([]);
  expect(cookie).toMatchObject({ name: 'herald_session', httpOnly: true, sameSite: 'Strict' });
  await alices.page.reload();
  await alices.inspector.waitFor();
  const storage = await kept(alices);
  expect(storage).toContain('"cookie":""');
  expect(storage).toContain('inspector');
  for (const secret of [cookie!.value, alice.token, alice.password]) expect(storage).not.toContain(secret);
});

test('to sign out closes the sockets of all windows of the browser, and shows the way in', async ({
  device, alice, bob, conversationId,
}) => {
  const laptop = await device(alice);
  const [here, there] = [await laptop.chat(conversationId), await laptop.chat()];
  for (const chat of [here, there]) {
    await chat.is('connected');
    expect(chat.sockets.map(({ isClosed }) => isClosed)).toEqual([false]);
  }

  await here.signOut();

  for (const chat of [here, there]) {
    await chat.signInForm.waitFor();
    await expect.poll(() => chat.sockets.every(({ isClosed }) => isClosed)).toBe(true);
    expect(await chat.conversations.count()).toBe(0);
  }
  expect(await laptop.cookies()).toEqual([]);
  await here.page.reload();
  await here.signInForm.waitFor();

  // Whoever signs in next sees what is theirs, in both.
  await bob.send(conversationId, 'for Alice');
  await here.signIn(bob.handle, bob.password);
  for (const chat of [here, there]) {
    await chat.is('connected');
    await expect.poll(() => chat.conversation('Alice').count()).toBe(1);
  }
});

test('a herald that trusts other documents only is not called unreachable', async ({ chromium }) => {
  const folder = await mkdtemp(join(tmpdir(), 'documents-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'trusted.json'), '{}');
  const herald = await Herald.create('--trusted-documents', join(folder, 'trusted.json'));
  onTestFinished(() => herald.remove());
  const laptop = await Device.create(chromium, new URL(herald.http).origin);
  onTestFinished(() => laptop.close());
  laptop.provokes(/400/);
  const chat = await laptop.chat();
  await chat.page.getByText('executes only documents that its operator trusts').waitFor();
  expect(await chat.page.getByText('cannot be reached').count()).toBe(0);
});

test('a session that is ended elsewhere shows the way in', async ({ herald, device, alice }) => {
  const alices = await (await device(alice)).chat();
  await alices.is('connected');
  const answer = await fetch(herald.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${alice.token}` },
    body: JSON.stringify({ query: 'mutation { logout { ended } }' }),
  });
  expect(await answer.json()).toEqual({ data: { logout: { ended: true } } });

  await alices.signInForm.waitFor();
  await expect.poll(() => alices.sockets.every(({ isClosed }) => isClosed)).toBe(true);
});
