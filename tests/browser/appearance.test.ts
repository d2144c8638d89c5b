/**
 * Every main state, in light and dark, wide and narrow: what axe finds wrong with it, and a picture of it in
 * `screenshots/`.
 */

import { join } from 'node:path';
import { expect } from 'vitest';

import { faults, type Known } from './accessibility.ts';
import type { Chat } from './chat.ts';
import { test as base } from './fixtures.ts';
import { Person, unique } from './person.ts';

const picture = (name: string) => join(import.meta.dirname, 'screenshots', `${name}.png`);

/** Looks at a state of the page. */
type Look = (chat: Chat, state: string) => Promise<void>;

const test = base.extend('dave', ({ herald }) => Person.register(herald, 'Dave'));

const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 740 };

const SCREENS = [
  { name: 'light', colorScheme: 'light', viewport: WIDE },
  { name: 'dark', colorScheme: 'dark', viewport: WIDE },
  { name: 'phone', colorScheme: 'light', viewport: NARROW, hasTouch: true, isMobile: true },
  { name: 'phone-dark', colorScheme: 'dark', viewport: NARROW, hasTouch: true, isMobile: true },
] as const;

test.for(SCREENS)('the chat, $name', async ({ name, ...screen }, { device, alice, bob, carol, dave }) => {
  const look: Look = async ({ page }, state) => {
    await page.screenshot({ path: picture(`${state}-${name}`) });
    expect(await faults(page), state).toEqual([]);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, `${state}: nothing is wider than the screen`).toBeLessThanOrEqual(screen.viewport.width);
  };
  const group = await alice.converse([bob, carol], 'Tea club');
  await dave.send(await dave.converse([alice]), 'Are you there?');
  await bob.send(group, 'Who brings milk?');
  const isNarrow = screen.viewport.width < 700;
  const chat = await (await device(undefined, screen)).chat();

  await chat.signInForm.waitFor();
  await look(chat, 'first-visit');
  await chat.register(alice.handle, 'correct horse battery');
  await chat.alert.waitFor();
  await look(chat, 'register');
  await chat.way('Sign in').click();
  await look(chat, 'sign-in');
  await chat.signIn(alice.handle, alice.password);
  await expect.poll(() => chat.unread('Dave')).toBe('1');
  await chat.is('connected');
  await look(chat, 'list');

  await chat.page.getByRole('button', { name: 'Settings' }).click();
  await chat.dialog('Settings').getByRole('list', { name: 'Sessions' }).waitFor();
  await look(chat, 'settings');
  await chat.page.keyboard.press('Escape');

  await chat.open('Tea club');
  await chat.write('I do, and biscuits as well.', 'Shall we say four o’clock?');
  await chat.showsTicks('Sent', 'Sent');
  const [, first] = await bob.messages(group);
  await bob.markRead(first!.id);
  await carol.markDelivered(first!.id);
  await carol.send(group, 'Four is good for me. I may be a little late, though, because the train takes its time.');
  await chat.showsTicks('Delivered', 'Sent');
  await chat.message('I do, and biscuits as well.').getByText('1 of 2 read it').waitFor();
  await look(chat, 'conversation');

  const receipts = await chat.receipts('I do, and biscuits as well.');
  await receipts.nth(1).waitFor();
  await look(chat, 'receipts');
  await chat.page.keyboard.press('Escape');
  await chat.details('Tea club');
  await look(chat, 'details');
  await chat.page.keyboard.press('Escape');

  if (isNarrow) await chat.page.getByRole('link', { name: 'Back to the list' }).click();
  await chat.inspect();
  await chat.inspector.getByTestId('inspector-event').first().locator('summary').click();
  await look(chat, 'inspector');
  await chat.page.getByRole('button', { name: 'Close the inspector' }).click();
  await chat.start('nobody-at-all bob');
  await chat.alert.waitFor();
  await look(chat, 'new-conversation');
  await chat.page.keyboard.press('Escape');

  await chat.goOffline();
  await chat.open('Tea club');
  await chat.write('Written offline');
  await chat.showsTicks('Delivered', 'Sent', 'Waiting to be sent');
  await look(chat, 'offline');
});

/** Scripts from both sides, names and words without a place to break, and what is made to disturb. */
const STRANGE = [
  'سلام، آیا چای ساعت چهار خوب است؟ من کمی دیر می‌رسم، چون قطار وقت می‌خواهد.',
  'The address is https://example.com/a/path/of/one/word/that/does/not/end/anywhere?and=a&query=as%20well (I think).',
  'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft',
  `Z${'\u0301'.repeat(80)}algo`,
  '    if (tea) {\n        pour();\n    }',
  'שלום\nHello\nשלום 12:30',
];

test.for(SCREENS)('whatever people write and are called, $name', async ({ name, ...screen }, { device, alice, herald }) => {
  const noa = await Person.register(herald, 'נועה בת־אל הירושלמית מן העיר העתיקה', unique('noa'));
  const long = await Person.register(herald, 'Maximiliane-Alexandrina von und zu Hohenschwangau-Neuschwanstein', unique('max'));
  const twin = await Person.register(herald, 'ALICE', unique('twin'));
  const title = 'مجموعة الشاي التي تلتقي كل يوم في الساعة الرابعة تماما عند النافذة';
  const groupId = await alice.converse([noa, long, twin], title);
  await long.send(await alice.converse([long]), STRANGE[2]!);
  await noa.send(await alice.converse([noa]), STRANGE[0]!);
  for (const [index, body] of STRANGE.entries()) await [noa, long, twin, alice][index % 4]!.send(groupId, body);
  const chat = await (await device(alice, screen)).chat();
  const look = async (state: string) => {
    await chat.page.screenshot({ path: picture(`strange-${state}-${name}`) });
    expect(await faults(chat.page), state).toEqual([]);
    const width = await chat.page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, `${state}: nothing is wider than the screen`).toBeLessThanOrEqual(screen.viewport.width);
  };
  await chat.is('connected');
  await expect.poll(() => chat.conversations.count()).toBe(3);
  await look('list');
  await chat.page.evaluate((id) => void (location.hash = id), groupId);
  await chat.says(...STRANGE);
  await chat.field.fill('این پیش‌نویس است');
  await look('conversation');
  await chat.details(title);
  await look('details');
});

test('a dialog fits a phone, whatever people and conversations are called', async ({ device, alice, bob, herald }) => {
  const long = await Person.register(herald, 'M'.repeat(100), 'm'.repeat(32));
  const title = 'A title of forty letters, with some words'.slice(0, 40);
  const names = [title, 'W'.repeat(60), undefined];
  const ids: string[] = [];
  for (const name of names) ids.push(await alice.converse([bob, long], name));
  const chat = await (await device(alice, { viewport: NARROW, hasTouch: true, isMobile: true })).chat();
  for (const id of ids) {
    await chat.page.evaluate((id) => void (location.hash = id), id);
    await chat.page.getByRole('button', { name: 'Conversation details' }).click();
    const dialog = chat.page.getByRole('dialog');
    const [inner, outer] = await dialog.evaluate(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth]);
    expect(inner).toBeLessThanOrEqual(outer!);
    const { x, width } = (await dialog.getByRole('button', { name: 'Close' }).boundingBox())!;
    expect(x + width).toBeLessThanOrEqual(NARROW.width);
    expect(await faults(chat.page)).toEqual([]);
    await chat.page.screenshot({ path: picture(`details-${ids.indexOf(id)}-phone`) });
    await chat.page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  }
});

/** Faults of GraphiQL itself, of which herald only says what is in it. */
const FAULTS_OF_GRAPHIQL: Known[] = [
  // Its tabs hold two buttons each, to choose and to close them.
  { rule: 'nested-interactive', within: '.graphiql-tab' },
  // Its dark theme has Monaco's colours for text on a ground that is lighter than Monaco's.
  { rule: 'color-contrast', within: '.monaco-editor' },
];

test.for(SCREENS.slice(0, 2))('GraphiQL, $name', async ({ name, ...screen }, { device, alice, bob, conversationId }) => {
  const graphiql = await (await device(alice, screen)).graphiql();
  await graphiql.choose('Events');
  await graphiql.run();
  await graphiql.answers([{ connection_ack: {} }]);
  await bob.send(conversationId, 'Tea at four?');
  await graphiql.answers([{ data: {} }, { connection_ack: {} }]);
  await graphiql.page.screenshot({ path: picture(`graphiql-${name}`) });
  expect(await faults(graphiql.page, FAULTS_OF_GRAPHIQL)).toEqual([]);
});

test('the picture for the README', async ({ herald, device }) => {
  const people = { alice: 'Alice Moreau', bob: 'Bob Okafor', carol: 'Carol Lind', dave: 'Dave Rossi' };
  const [alice, bob, carol, dave] = (await Promise.all(
    Object.entries(people).map(([handle, name]) => Person.register(herald, name, handle)),
  )) as [Person, Person, Person, Person];
  await dave.sendAll(await dave.converse([alice]), ['Are you in on Friday?', 'I have a parcel for you.']);
  const club = await carol.converse([alice, bob, dave], 'Tea club');
  await alice.markRead(await carol.send(club, 'Next time at my place!'));
  const conversationId = await alice.converse([bob]);
  const chat = await (await device(alice)).chat(conversationId);
  await chat.is('connected');
  await chat.inspect();
  const ticks: string[] = [];
  /** Each waits until it is seen, so that everything happens in this order. */
  const bobSays = async (body: string) => {
    await bob.send(conversationId, body);
    await chat.message(body).waitFor();
  };
  const aliceSays = async (body: string) => {
    await chat.write(body);
    await chat.showsTicks(...ticks, 'Sent');
    return (await alice.messages(conversationId)).at(-1)!.id;
  };
  const bobReceives = async (id: string) => {
    await bob.markDelivered(id);
    await chat.showsTicks(...ticks, 'Delivered');
  };
  const bobReads = async (id: string) => {
    await bobReceives(id);
    await bob.markRead(id);
    ticks.push('Read');
    await chat.showsTicks(...ticks);
  };

  await bobSays('Morning! Is the kettle at the office working again?');
  await bobReads(await aliceSays('It is. They found the fuse behind the printer, of all places.'));
  await bobReads(await aliceSays('Tea at four?'));
  await bobSays('Four is good. I’ll ask Carol as well.');
  await bobReads(await aliceSays('Do. Does she still take milk?'));
  await bobSays('Only with the strong one.');
  await bobReceives(await aliceSays('Then I’ll bring biscuits too.'));
  ticks.push('Delivered');
  await aliceSays('And the good cups.');

  await expect.poll(() => chat.unread('Dave Rossi')).toBe('2');
  await chat.field.blur();
  await chat.page.screenshot({ path: picture('playground') });
});
