/**
 * What a long conversation costs the chat. `node cost.ts 200 2000 10000`, with HERALD_BIN and CHROMIUM, needs Node.js
 * 22.18 or later, which runs TypeScript. Each number is one of messages: all of them are loaded, by going to the
 * beginning. Then it measures the main thread for each message that arrives at the end, and for each frame of
 * scrolling. That is CPU time, so other programs change it little; they do change how late frames are.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { type CDPSession, chromium } from 'playwright-core';

import { Herald } from '../clients/herald.ts';
import type { Chat } from './chat.ts';
import { Device } from './device.ts';
import { Person } from './person.ts';

/** How many messages arrive, how long the page has for each, in milliseconds, and how many screens are scrolled. */
const ARRIVALS = 20;
const MOMENT = 250;
const SCREENS = 40;

/** So many messages are sent at a time. */
const BATCH = 50;

/** For so many looks nothing has come before the first message: all are loaded. */
const LOOKS = 40;

async function fill(sender: Person, conversationId: string, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += BATCH) {
    const bodies = Array.from({ length: Math.min(BATCH, count - sent) }, (_, n) => `message ${sent + n}`);
    await Promise.all(bodies.map((body) => sender.send(conversationId, body)));
  }
}

/** Goes to the beginning, and back: how many messages were in the page there. */
async function loadAll(chat: Chat): Promise<number> {
  const goToTop = () =>
    chat.log.evaluate((log) => {
      log.scrollTop = -log.scrollHeight;
      const first = log.querySelector('[data-message-id]')?.getAttribute('data-message-id');
      return log.getAttribute('aria-busy') === 'false' && first;
    });
  for (let still = 0, top: unknown; still < LOOKS; await pause(25)) {
    const now = await goToTop();
    [still, top] = now && now === top ? [still + 1, top] : [0, now];
  }
  const mounted = await chat.messages.count();
  await chat.page.evaluate(() => document.querySelector<HTMLElement>('.to-end')?.click());
  await chat.message('the last').waitFor();
  return mounted;
}

async function receive(chat: Chat, sender: Person, conversationId: string): Promise<number> {
  for (let n = 1; n <= ARRIVALS; n++) {
    await sender.send(conversationId, `arrival ${n}`);
    while (!chat.events.some(({ message }) => message?.body === `arrival ${n}`)) await pause(5);
    await pause(MOMENT);
  }
  return ARRIVALS;
}

/** The times between frames, in milliseconds. */
const scroll = (chat: Chat) =>
  chat.log.evaluate(async (log, screens) => {
    const times: number[] = [];
    for (let y = 0; y < log.clientHeight * screens; y += 60) {
      log.scrollTop -= 60;
      times.push(await new Promise<number>(requestAnimationFrame));
    }
    return times.slice(1).map((time, n) => time - times[n]!);
  }, SCREENS);

/** Milliseconds of the main thread for each of what is done. */
async function cost(session: CDPSession, act: () => Promise<number>): Promise<string> {
  const used = async () =>
    (await session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration')!.value * 1_000;
  const before = await used();
  const times = await act();
  return (((await used()) - before) / times).toFixed(1);
}

async function measure(herald: Herald, device: Device, alice: Person, count: number): Promise<void> {
  const bob = await Person.register(herald, 'Bob');
  const conversationId = await alice.converse([bob]);
  await fill(bob, conversationId, count - 1);
  await alice.markRead(await bob.send(conversationId, 'the last'));
  const chat = await device.chat(conversationId);
  await chat.message('the last').waitFor();
  const session = await chat.page.context().newCDPSession(chat.page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const mounted = await loadAll(chat);
  await pause(1_000); // until what was read is marked
  const arrival = await cost(session, () => receive(chat, bob, conversationId));
  let late = 0;
  const frame = await cost(session, async () => {
    const frames = await scroll(chat);
    late = frames.filter((time) => time > 20).length / frames.length;
    return frames.length;
  });
  console.log(
    `${count} loaded, ${mounted} in the page: ${arrival} ms for each that arrives,`,
    `${frame} ms for each frame of scrolling, of which ${(100 * late).toFixed(0)} % are late`,
  );
  await chat.page.close();
}

const herald = await Herald.create();
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  for (const count of process.argv.slice(2)) {
    const alice = await Person.register(herald, 'Alice');
    const device = await Device.create(browser, new URL(herald.http).origin, alice);
    await measure(herald, device, alice, Number(count));
    await device.close();
  }
} finally {
  await browser.close();
  await herald.remove();
}
