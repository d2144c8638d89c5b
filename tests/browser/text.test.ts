/** What people write and how they call themselves: in every script, with links, and made to mislead. */

import type { Locator } from 'playwright-core';
import { expect } from 'vitest';

import type { Chat } from './chat.ts';
import { test } from './fixtures.ts';
import { Person, unique } from './person.ts';

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

/** The links of a message: what is shown, and where they lead. */
const links = (chat: Chat, body: string) =>
  chat.message(body).getByRole('link').evaluateAll((links) =>
    links.map((link) => [link.textContent, (link as HTMLAnchorElement).href, link.getAttribute('rel'), link.getAttribute('target')]),
  );

/** A link as it has to be. */
const link = (text: string, href = text) => [text, href, 'noopener noreferrer nofollow', '_blank'];

test('links are links, end where they end, and say nothing of where they were', async ({ device, alice, bob, conversationId }) => {
  const chat = await (await device(alice)).chat(conversationId);
  const cases: [string, ...string[][]][] = [
    ['See https://example.com/a?b=c#d.', link('https://example.com/a?b=c#d')],
    ['(https://example.com/a_(b)), or (see http://example.org/)!', link('https://example.com/a_(b)'), link('http://example.org/')],
    ['“https://example.com/quoted”, <https://example.com/angled>', link('https://example.com/quoted'), link('https://example.com/angled')],
    ['见https://example.com/路径。', link('https://example.com/路径', 'https://example.com/%E8%B7%AF%E5%BE%84')],
    ['HTTPS://Example.com mailto:ada@example.com?', link('HTTPS://Example.com', 'https://example.com/'), link('mailto:ada@example.com')],
    ['https://example.com/\u202egpj.exe', link('https://example.com/')],
    ['javascript:alert(1) data:text/html,x vbscript:x file:///etc/passwd ftp://example.com example.com'],
    ['https:// http://? mailto: mailto:nobody https://bank.example@example.com/ http://[bad'],
  ];
  await bob.sendAll(conversationId, cases.map(([body]) => body));
  await chat.says(...cases.map(([body]) => body));
  for (const [body, ...expected] of cases) expect(await links(chat, body), body).toEqual(expected);
});

test('white space is kept, as in code', async ({ device, alice, bob, conversationId }) => {
  const chat = await (await device(alice)).chat(conversationId);
  const code = '    if (tea) {\n\tpour();  // two  spaces\n    }';
  await chat.write(code);
  await chat.showsTicks('Sent');
  expect((await bob.messages(conversationId)).map(({ body }) => body)).toEqual([code]);
  await chat.says(code);
});

/** Where the ink of a text begins, and where its bubble does, from the left. */
const insets = (chat: Chat, body: string) =>
  chat.message(body).evaluate((bubble) => {
    const range = document.createRange();
    range.selectNodeContents(bubble.querySelector('.body')!);
    const [first] = [...range.getClientRects()].toSorted((a, b) => a.top - b.top);
    const { left, right } = bubble.getBoundingClientRect();
    return { left: first!.left - left, right: right - first!.right };
  });

test('what is written from right to left begins at the right, each paragraph for itself', async ({
  device, alice, bob, conversationId,
}) => {
  const chat = await (await device(alice, PHONE)).chat(conversationId);
  const long = 'a long line so that the bubble is as wide as it can get, and then some';
  const [hebrew, mixed] = [`שלום\n${long}`, `Hello\nשלום\n${long}`];
  await bob.sendAll(conversationId, [hebrew, mixed]);
  await chat.says(hebrew, mixed);
  const { left, right } = await insets(chat, hebrew);
  expect(right).toBeLessThan(left);
  const english = await insets(chat, mixed);
  expect(english.left).toBeLessThan(english.right);

  await chat.field.fill('שלום');
  expect(await chat.field.evaluate((field) => getComputedStyle(field).direction)).toBe('rtl');
});

/** Where a part of what an element says is drawn, from the left. */
const drawnAt = (element: Locator, part: string) =>
  element.evaluate((element, part) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode() as Text | null; text; text = walker.nextNode() as Text | null) {
      const range = document.createRange();
      const start = text.data.indexOf(part);
      if (start < 0) continue;
      range.setStart(text, start);
      range.setEnd(text, start + part.length);
      return range.getBoundingClientRect().left;
    }
    throw new Error(`${part} is not there`);
  }, part);

test('names and messages leave the text around them in order, whatever direction they have', async ({
  device, alice, herald,
}) => {
  const [noa, gil] = [await Person.register(herald, 'נועה', unique('noa')), await Person.register(herald, 'גיל', unique('gil'))];
  const mallory = await Person.register(herald, '\u202eyrollaM\u202c', unique('mallory'));
  const groupId = await alice.converse([noa, gil, mallory]);
  const chat = await (await device(alice)).chat(groupId);
  const body = '\u202e12:00 This is never closed';
  await noa.send(groupId, body);
  await mallory.send(groupId, '3 things');
  await chat.says(body, '3 things');

  const heading = chat.page.locator('.title p');
  // It begins at the right, because the first name does.
  const drawn: number[] = [];
  for (const part of [noa.name, gil.name, mallory.handle, 'you']) drawn.push(await drawnAt(heading, part));
  expect(drawn.toSorted((a, b) => b - a)).toEqual(drawn);
  const time = chat.message(body).locator('time');
  const [hour, minute] = (await time.innerText()).split(':') as [string, string];
  expect(await drawnAt(time, hour)).toBeLessThan(await drawnAt(time, `:${minute}`));
  // What begins with a number stays behind the name.
  const preview = chat.conversations.first().locator('.preview');
  await noa.send(groupId, '3 things');
  await expect.poll(() => preview.innerText()).toContain(noa.name);
  expect(await drawnAt(preview, noa.name)).toBeLessThan(await drawnAt(preview, '3 things'));
  // Of what begins at the right, the beginning is seen, however long it is.
  const hebrew = `שלום ${'וברכה '.repeat(30)}`;
  await gil.send(groupId, hebrew);
  await expect.poll(() => preview.innerText()).toContain('שלום');
  const { x, width } = (await preview.boundingBox())!;
  expect(await drawnAt(preview, 'שלום')).toBeGreaterThan(x + width / 2);
  // The name of somebody who turns letters around has a handle beside it.
  expect(await chat.messages.locator('.sender').last().innerText()).toBe(gil.name);
  await chat.messages.locator('.sender').getByText(`@${mallory.handle}`).waitFor();
});

test('marks that are stacked stay in their message', async ({ device, alice, bob, conversationId }) => {
  const chat = await (await device(alice)).chat(conversationId);
  const zalgo = `Z${'\u0301'.repeat(60)}`;
  await bob.sendAll(conversationId, ['above', zalgo, 'below']);
  await chat.says('above', zalgo, 'below');
  const pictures = async () => {
    const taken: string[] = [];
    for (const body of ['above', 'below']) taken.push((await chat.message(body).screenshot()).toString('base64'));
    return taken;
  };
  const before = await pictures();
  await chat.message(zalgo).locator('.body').evaluate((body) => void ((body as HTMLElement).style.visibility = 'hidden'));
  expect(await pictures()).toEqual(before);
});

test('names that look alike come with their handle, others without', async ({ device, alice, bob, herald }) => {
  const people: Person[] = [];
  // Another case; full width; Cyrillic letters; something that nobody sees; a one for an l.
  for (const name of ['BOB', 'Ｂｏｂ', 'Воb', 'B\u200bob', 'Carol', 'Caro1', 'Dave']) {
    people.push(await Person.register(herald, name, unique('twin')));
  }
  const groupId = await alice.converse([bob, ...people], 'Tea club');
  const chat = await (await device(alice)).chat(groupId);
  const all = [bob, ...people];
  for (const person of all) await person.send(groupId, `from ${person.handle}`);
  await chat.says(...all.map(({ handle }) => `from ${handle}`));
  const shown = await chat.messages.locator('.sender').allInnerTexts();
  expect(shown).toEqual(all.map(({ name, handle }) => (name === 'Dave' ? name : `${name} @${handle}`)));
  await chat.page.getByText(`BOB @${people[0]!.handle}`).first().waitFor();
});

test('Enter on a phone begins a line, and the button sends', async ({ device, alice, bob, conversationId }) => {
  const chat = await (await device(alice, PHONE)).chat(conversationId);
  await chat.field.tap();
  await chat.page.keyboard.type('one');
  await chat.page.keyboard.press('Enter');
  await chat.page.keyboard.type('two');
  expect(await chat.field.inputValue()).toBe('one\ntwo');
  expect(await chat.field.getAttribute('enterkeyhint')).toBe('enter');
  await chat.page.getByRole('button', { name: 'Send' }).tap();
  await chat.says('one\ntwo');
  // With a keyboard on the desk.
  await chat.field.fill('three');
  await chat.field.press('Control+Enter');
  await chat.says('one\ntwo', 'three');
  await chat.showsTicks('Sent', 'Sent');
  expect((await bob.messages(conversationId)).map(({ body }) => body)).toEqual(['one\ntwo', 'three']);
});
