/** When something was said, as people call it. */

import { expect } from 'vitest';

import { test } from './fixtures.ts';

test('today becomes yesterday at midnight, and the full date is there for a pointer', async ({
  device, alice, bob, conversationId,
}) => {
  await bob.send(conversationId, 'Good night');
  const chat = await (await device(alice)).chat();
  await chat.page.clock.install();
  await chat.page.goto(`${chat.page.url()}${conversationId}`);
  await chat.page.reload();
  await chat.says('Good night');
  const day = chat.page.getByRole('heading', { level: 3 });
  expect(await day.innerText()).toBe('Today');
  const row = chat.conversation('Bob').locator('time');
  expect(await row.innerText()).toMatch(/^\d\d:\d\d$/);
  const year = new Date().getFullYear();
  expect(await day.getAttribute('title')).toMatch(new RegExp(`^\\w+, \\d+ \\w+ ${year}$|^\\w+ \\d+ \\w+ ${year}$`));
  for (const time of [row, chat.message('Good night').locator('time')]) {
    expect(await time.getAttribute('title')).toMatch(new RegExp(`^\\d+ \\w+ ${year}, \\d\\d:\\d\\d:\\d\\d$`));
  }

  await chat.page.clock.fastForward('24:00:00');
  await expect.poll(() => day.innerText()).toBe('Yesterday');
  await expect.poll(() => row.innerText()).toBe('Yesterday');
});
