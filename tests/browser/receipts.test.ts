/** Who has a message, who has read it, who does not tell, and whom it could not be brought to: as it happens. */

import { expect } from 'vitest';

import { faults } from './accessibility.ts';
import type { Chat } from './chat.ts';
import { test as base } from './fixtures.ts';
import { Person } from './person.ts';

// One after the other, since people who join at once are listed in the order in which they registered.
const test = base.extend('others', async ({ herald }) => {
  const others: Person[] = [];
  for (const name of ['Bob', 'Carol', 'Dave', 'Erin']) others.push(await Person.register(herald, name));
  return others;
});

/** The recipients by the heading over them. */
const groups = (chat: Chat) =>
  chat.dialog('Message details').evaluate((dialog) =>
    [...dialog.querySelectorAll('.receipts')].map((group) => [
      group.querySelector('h3')!.textContent!.replace(/\s+/g, ' ').trim(),
      ...[...group.querySelectorAll('[data-testid=receipt]')].map((one) => /Bob|Carol|Dave|Erin/.exec(one.textContent!)?.[0]),
    ]),
  );

test('the recipients of a group stand under how far it has come with them, and move while one looks', async ({
  herald, device, alice, others,
}) => {
  const [bob, carol, dave, erin] = others as [Person, Person, Person, Person];
  const groupId = await alice.converse(others, 'Tea club');
  const carols = await (await device(carol)).chat(groupId);
  const details = await carols.details('Tea club');
  await carols.switches(details)[0].click();
  await expect.poll(() => carols.sharing(details)).toEqual([false, false]);
  await carols.page.close();
  const alices = await (await device(alice)).chat(groupId);
  await alices.is('connected');
  await alices.write('Who brings milk?');
  await alices.showsTicks('Sent');
  const { id } = (await bob.messages(groupId))[0]!;

  await alices.receipts('Who brings milk?');
  const silent = ['Do not tell 1', 'Carol'];
  await expect.poll(() => groups(alices)).toEqual([['Not delivered yet to 3', 'Bob', 'Dave', 'Erin'], silent]);

  await bob.markDelivered(id);
  const delivered = ['Delivered to 1', 'Bob'];
  await expect.poll(() => groups(alices)).toEqual([delivered, ['Not delivered yet to 2', 'Dave', 'Erin'], silent]);

  const key = await herald.key('bridge', 'send');
  const report = `mutation ($input: UndeliverableInput!) { reportUndeliverable(input: $input) { message { id } } }`;
  const input = { messageId: id, userId: await dave.id(), reason: 'the mailbox is full' };
  const answer = await fetch(herald.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: report, variables: { input } }),
  });
  expect(await answer.json()).not.toHaveProperty('errors');
  await expect
    .poll(() => groups(alices))
    .toEqual([delivered, ['Could not be delivered to 1', 'Dave'], ['Not delivered yet to 1', 'Erin'], silent]);
  const ofDave = alices.dialog('Message details').getByTestId('receipt').filter({ hasText: 'Dave' });
  expect(await ofDave.innerText()).toMatch(/Not delivered: the mailbox is full, .*\d:\d\d/);
  expect(await faults(alices.page)).toEqual([]);

  // After all.
  await dave.markRead(id);
  await bob.markRead(id);
  const read = ['Read by 2', 'Bob', 'Dave'];
  await expect.poll(() => groups(alices)).toEqual([read, ['Not delivered yet to 1', 'Erin'], silent]);
  expect(await ofDave.innerText()).toMatch(/Delivered .*\d:\d\d[^]*Read .*\d:\d\d/);
  await erin.markRead(id);
  await expect.poll(() => groups(alices)).toEqual([['Read by 3', 'Bob', 'Dave', 'Erin'], silent]);
});

test('who looks at a message sees it read by a mark that covers more than its event names', async ({
  device, alice, bob, carol,
}) => {
  const groupId = await alice.converse([bob, carol], 'Tea club');
  const alices = await (await device(alice)).chat(groupId);
  await alices.is('connected');
  await alices.write('the first');
  await alices.showsTicks('Sent');
  await alices.receipts('the first');
  await expect.poll(() => groups(alices)).toEqual([['Not delivered yet to 2', 'Bob', 'Carol']]);
  const last = await alice.sendAll(groupId, Array.from({ length: 210 }, (_, n) => `message ${n + 1}`));
  await bob.markRead(last);
  await expect.poll(() => groups(alices)).toEqual([['Read by 1', 'Bob'], ['Not delivered yet to 1', 'Carol']]);
});
