/** Conversations of more than two. */

import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import type { Chat } from './chat.ts';
import { test as base } from './fixtures.ts';
import { Person } from './person.ts';

const test = base
  .extend('dave', ({ herald }) => Person.register(herald, 'Dave'))
  /** Of Alice, Bob and Carol. */
  .extend('groupId', ({ alice, bob, carol }) => alice.converse([bob, carol], 'Tea club'));

const participants = async (chat: Chat) =>
  chat.dialog('Tea club').getByRole('list', { name: 'Participants' }).getByRole('listitem').evaluateAll(
    (people) => people.map((person) => /@([\w-]+)/.exec(person.textContent)?.[1]),
  );

test('the sender sees how many of a group have a message, and who, and since when', async ({
  device, alice, bob, carol,
}) => {
  const began = Date.now();
  const alices = await (await device(alice)).chat();
  await alices.start(`${bob.handle} ${carol.handle}`, 'Tea club');
  await alices.write('Who brings milk?');
  await alices.showsTicks('Sent');
  const progress = async () => (await alices.messages.getByTestId('progress').allInnerTexts()).join();
  expect(await progress()).toBe('');

  const bobs = await (await device(bob)).chat();
  await expect.poll(progress).toContain('1 of 2 have it');
  await alices.showsTicks('Sent');
  const carols = await (await device(carol)).chat();
  await alices.showsTicks('Delivered');
  await expect.poll(progress).toBe('');

  await bobs.open('Tea club');
  await expect.poll(progress).toContain('1 of 2 read it');
  await alices.showsTicks('Delivered');

  const receipts = await alices.receipts('Who brings milk?');
  const [ofBob, ofCarol] = [receipts.filter({ hasText: 'Bob' }), receipts.filter({ hasText: 'Carol' })];
  await expect.poll(() => ofBob.getByRole('img').getAttribute('aria-label')).toBe('Read');
  await expect.poll(() => ofCarol.getByRole('img').getAttribute('aria-label')).toBe('Delivered');
  expect(await ofCarol.innerText()).toMatch(/Delivered/);
  expect(await ofCarol.innerText()).not.toMatch(/Read/);

  // What is open changes as it happens.
  await carols.open('Tea club');
  await expect.poll(() => ofCarol.getByRole('img').getAttribute('aria-label')).toBe('Read');
  for (const receipt of [ofBob, ofCarol]) {
    expect(await receipt.innerText()).toMatch(/Delivered .*\d:\d\d[^]*Read .*\d:\d\d/);
    const times = await receipt.locator('time').evaluateAll((times) => times.map((time) => time.getAttribute('datetime')));
    const [delivered, read] = times.map((time) => Date.parse(time!)) as [number, number];
    expect(delivered).toBeGreaterThanOrEqual(began);
    expect(read).toBeGreaterThanOrEqual(delivered);
    expect(read).toBeLessThanOrEqual(Date.now());
  }
  await alices.page.keyboard.press('Escape');
  await alices.showsTicks('Read');
  await expect.poll(progress).toBe('');

  await carols.write('I do.');
  await bobs.write('And I bring cake.');
  for (const chat of [alices, bobs, carols]) await chat.says('Who brings milk?', 'I do.', 'And I bring cake.');
});

test('who does not tell in a group is shown as such, and the ticks and counts are of those who tell', async ({
  device, alice, bob, carol, dave,
}) => {
  const groupId = await alice.converse([bob, carol, dave], 'Tea club');
  const alices = await (await device(alice)).chat(groupId);
  const carols = await (await device(carol)).chat(groupId);
  const details = await carols.details('Tea club');
  await expect.poll(() => carols.sharing(details)).toEqual([true, true]);
  await carols.switches(details)[0].click();
  await expect.poll(() => carols.sharing(details)).toEqual([false, false]);
  expect(await faults(carols.page)).toEqual([]);
  await carols.page.keyboard.press('Escape');

  await alices.write('one');
  await carols.says('one');
  const [first] = await bob.messages(groupId);
  await bob.markRead(first!.id);
  await expect.poll(() => alices.messages.getByTestId('progress').innerText()).toContain('1 of 2 read it');
  await dave.markRead(first!.id);
  await alices.showsTicks('Read');

  const receipts = await alices.receipts('one');
  const ofCarol = receipts.filter({ hasText: 'Carol' });
  await expect.poll(() => ofCarol.innerText()).toContain('Does not tell');
  expect(await ofCarol.innerText()).not.toContain('Not delivered yet');
  expect(await ofCarol.getByRole('img').count()).toBe(0);
  expect(await receipts.filter({ hasText: 'Bob' }).getByRole('img').getAttribute('aria-label')).toBe('Read');
  const counts = alices.dialog('Message details').getByTestId('counts');
  expect(await counts.innerText()).toBe('Recipients who tell: 2 of 3. Delivered to 2 of these, read by 2.');
  expect(await faults(alices.page)).toEqual([]);
  await alices.page.keyboard.press('Escape');

  // From then on she tells again, and not of before.
  await carols.details('Tea club');
  await details.getByRole('button', { name: 'Follow my settings' }).click();
  await expect.poll(() => carols.sharing(details)).toEqual([true, true]);
  await carols.page.keyboard.press('Escape');
  await alices.write('two');
  await expect.poll(() => alices.messages.getByTestId('progress').allInnerTexts()).toEqual([expect.stringContaining('1 of 3 read it')]);
  await alices.showsTicks('Read', 'Sent');
  await alices.receipts('one');
  await expect.poll(() => ofCarol.innerText()).toContain('Does not tell');
  await alices.page.keyboard.press('Escape');
  await alices.receipts('two');
  await expect.poll(() => ofCarol.getByRole('img').getAttribute('aria-label')).toBe('Read');
  expect(await counts.count()).toBe(0);
});

test('whoever leaves is gone for the others, and is told nothing more', async ({
  device, alice, bob, carol, groupId,
}) => {
  await carol.converse([bob]); // what she has left
  const alices = await (await device(alice)).chat(groupId);
  const carols = await (await device(carol)).chat(groupId);
  const bobs = await (await device(bob)).chat(groupId);
  for (const chat of [alices, bobs, carols]) await chat.is('connected');
  await alices.details('Tea club');
  await expect.poll(() => participants(alices)).toEqual([alice, bob, carol].map(({ handle }) => handle));

  const details = await carols.details('Tea club');
  await details.getByRole('button', { name: 'Leave conversation' }).click();
  await details.getByRole('button', { name: 'Stay' }).click();
  await details.getByRole('button', { name: 'Leave conversation' }).click();
  expect(await carols.conversations.count()).toBe(2);
  expect(await faults(carols.page)).toEqual([]);
  await details.getByRole('button', { name: 'Leave', exact: true }).click();
  await expect.poll(() => carols.conversations.count()).toBe(1);
  expect(await carols.conversation('Tea club').count()).toBe(0);

  await expect.poll(() => participants(alices)).toEqual([alice, bob].map(({ handle }) => handle));
  await alices.page.keyboard.press('Escape');
  await alices.write('Now we can talk.');
  await bobs.says('Now we can talk.');
  // It is for Bob alone.
  await alices.showsTicks('Read');

  // Carol's window has everything before this, or never will.
  await bob.send(await bob.converse([carol], 'For Carol'), 'Hello');
  await carols.conversation('For Carol').waitFor();
  expect(await carols.conversation('Tea club').count()).toBe(0);
  expect(carols.events.map(({ message }) => message?.body)).not.toContain('Now we can talk.');
});

test('who has left is not offered to write when they go back, and is there again when they are added', async ({
  device, alice, carol, groupId,
}) => {
  await alice.send(groupId, 'Before');
  const carols = await (await device(carol)).chat();
  await carols.open('Tea club');
  const details = await carols.details('Tea club');
  await details.getByRole('button', { name: 'Leave conversation' }).click();
  await details.getByRole('button', { name: 'Leave', exact: true }).click();
  await expect.poll(() => carols.conversations.count()).toBe(0);
  const absence = carols.page.getByText('you take no part in it');

  await carols.page.goBack();
  await absence.waitFor();
  expect(await carols.field.count()).toBe(0);

  await alice.addParticipants(groupId, [carol]);
  await carols.field.waitFor();
  await alice.send(groupId, 'Welcome back');
  await carols.says('Before', 'Welcome back');
  await carols.write('Thanks');
  await carols.showsTicks('Sent');

  await alice.removeParticipants(groupId, [carol]);
  await absence.waitFor();
  expect(await carols.field.count()).toBe(0);
});

test('what happens to a group is said between the messages', async ({ device, alice, bob, carol, dave, groupId }) => {
  const alices = await (await device(alice)).chat(groupId);
  const bobs = await (await device(bob)).chat(groupId);
  for (const chat of [alices, bobs]) await chat.is('connected');
  const notices = (chat: Chat) => chat.log.locator('li').evaluateAll(
    (lines) => lines.map((line) => (line.querySelector('.body') ?? line).textContent),
  );

  await bob.send(groupId, 'Before');
  await alices.says('Before');
  const details = await alices.details('Tea club');
  await details.getByLabel('Add people').fill(dave.handle);
  await details.getByRole('button', { name: 'Add', exact: true }).click();
  await expect.poll(() => notices(bobs)).toEqual(['Before', 'Alice added Dave']);
  await details.getByLabel('Title').fill('Coffee club');
  await details.getByRole('button', { name: 'Rename' }).click();
  await alices.dialog('Coffee club').waitFor();
  await alices.page.keyboard.press('Escape');
  await alice.removeParticipants(groupId, [carol]);
  await bob.send(groupId, 'After');

  const [renamed, removed] = ['named the conversation “Coffee club”', 'removed Carol'];
  await expect.poll(() => notices(bobs)).toEqual(['Before', 'Alice added Dave', `Alice ${renamed}`, `Alice ${removed}`, 'After']);
  await expect.poll(() => notices(alices)).toEqual(['Before', `You added @${dave.handle}`, `You ${renamed}`, `You ${removed}`, 'After']);
});

test('whoever is added sees what is said from then on', async ({ device, alice, dave, groupId }) => {
  await alice.send(groupId, 'Before');
  const alices = await (await device(alice)).chat(groupId);
  const daves = await (await device(dave)).chat();
  await daves.is('connected');

  const details = await alices.details('Tea club');
  await details.getByLabel('Add people').fill('nobody-at-all');
  await details.getByRole('button', { name: 'Add', exact: true }).click();
  await expect.poll(() => details.getByRole('alert').innerText()).toContain('nobody-at-all');
  await details.getByLabel('Add people').fill(dave.handle);
  await details.getByRole('button', { name: 'Add', exact: true }).click();

  await daves.open('Tea club');
  await expect.poll(() => participants(alices)).toContain(dave.handle);
  expect(await details.getByRole('alert').count()).toBe(0);
  await alices.page.keyboard.press('Escape');
  await alices.write('Welcome');
  await daves.says('Welcome');
});

test('a conversation that is renamed is called so everywhere, and can lose its title', async ({
  device, alice, bob, carol, groupId,
}) => {
  await alice.send(groupId, 'Hello');
  const alices = await (await device(alice)).chat(groupId);
  const bobs = await (await device(bob)).chat(groupId);
  const carols = await (await device(carol)).chat();
  for (const chat of [alices, bobs, carols]) await chat.is('connected');
  const details = await alices.details('Tea club');
  await details.getByLabel('Title').fill('Coffee club');
  await details.getByRole('button', { name: 'Rename' }).click();
  for (const chat of [alices, bobs, carols]) await chat.conversation('Coffee club').waitFor();
  expect(await carols.conversation('Tea club').count()).toBe(0);
  // Its own answer tells the window that renamed it.
  await alices.dialog('Coffee club').getByLabel('Title').fill('');
  await alices.dialog('Coffee club').getByRole('button', { name: 'Rename' }).click();
  for (const chat of [alices, bobs, carols]) await expect.poll(() => chat.conversation('Coffee club').count()).toBe(0);
});
