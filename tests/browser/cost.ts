/**
 * What a long conversation costs the chat: `node cost.ts 2000 10000`, with HERALD_BIN and CHROMIUM. It loads so many
 * messages by going to the beginning, then measures the page's main thread: for each message that arrives while the
 * newest are shown, and for each frame while one scrolls. CPU time, so that another program beside it changes little.
 */

import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium, type CDPSession } from 'playwright-core';

import { Herald } from '../clients/herald.ts';
import { Device } from './device.ts';
import { Person } from './person.ts';

/** How many messages arrive one by one, and how many screens are scrolled. */
const ARRIVALS = 20;
const SCREENS = 40;

const herald = await Herald.create();
const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });

/** Milliseconds of the main thread so far. */
async function used(session: CDPSession): Promise<Record<string, number>> {
  const { metrics } = await session.send('Performance.getMetrics');
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value * 1_000]));
}

async function fill(sender: Person, conversationId: string, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += 50) {
    const some = Array.from({ length: Math.min(50, count - sent) }, (_, n) => sender.send(conversationId, `message ${sent + n}`));
    await Promise.all(some);
  }
}

async function measure(count: number): Promise<void> {
  const [alice, bob] = [await Person.register(herald, 'Alice'), await Person.register(herald, 'Bob')];
  const conversationId = await alice.converse([bob]);
  await fill(bob, conversationId, count - 1);
  await alice.markRead(await bob.send(conversationId, 'the last'));
  const device = await Device.create(browser, new URL(herald.http).origin, alice);
  const chat = await device.chat(conversationId);
  await chat.message('the last').waitFor();
  const session = await chat.page.context().newCDPSession(chat.page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });

  const asked = Date.now();
  const beginning = () => chat.log.evaluate((log) => {
    log.scrollTop = -log.scrollHeight;
    return log.getAttribute('aria-busy') === 'false' && Math.abs(log.scrollTop) + log.clientHeight;
  });
  for (let still = 0, height = 0; still < 40; ) {
    const now = await beginning();
    [still, height] = now && now === height ? [still + 1, height] : [0, now || 0];
    await chat.page.waitForTimeout(25);
  }
  const loading = Date.now() - asked;
  const mounted = await chat.messages.count();
  await chat.page.evaluate(() => (document.querySelector<HTMLElement>('.to-end')?.click()));
  await chat.message('the last').waitFor();
  await chat.page.waitForTimeout(1_500);

  if (process.env['PROFILE']) {
    await session.send('Profiler.enable');
    await session.send('Profiler.start');
  }
  let before = await used(session);
  for (let n = 1; n <= ARRIVALS; n++) {
    await bob.send(conversationId, `arrival ${n} of ${count}`);
    while (!chat.events.some(({ message }) => message?.body === `arrival ${n} of ${count}`)) await pause(5);
    await chat.page.evaluate(() => new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 250)));
  }
  if (process.env['PROFILE']) {
    const { profile } = await session.send('Profiler.stop');
    await writeFile(`${process.env['PROFILE']}-${count}.cpuprofile`, JSON.stringify(profile));
  }
  let after = await used(session);
  const per = (name: string, times: number) => ((after[name]! - before[name]!) / times).toFixed(1);
  const arrival = `${per('TaskDuration', ARRIVALS)} (script ${per('ScriptDuration', ARRIVALS)}, layout ${per('LayoutDuration', ARRIVALS)}, style ${per('RecalcStyleDuration', ARRIVALS)})`;

  await chat.log.hover();
  before = await used(session);
  const frames = await chat.log.evaluate(async (log, screens) => {
    const times: number[] = [];
    const end = log.clientHeight * screens;
    for (let y = 0; y < end; y += 60) {
      log.scrollTop -= 60;
      times.push(await new Promise<number>(requestAnimationFrame));
    }
    return times.slice(1).map((time, n) => time - times[n]!).sort((a, b) => a - b);
  }, SCREENS);
  after = await used(session);
  const late = frames.filter((time) => time > 20).length;
  console.log(
    `${count} messages: loaded in ${loading} ms, ${mounted} mounted; ms per arrival ${arrival};`,
    `ms per frame ${per('TaskDuration', frames.length)}; frames ${frames.length}, late ${late}, worst ${frames.at(-1)!.toFixed(0)} ms`,
  );
  await device.close();
}

try {
  for (const count of process.argv.slice(2)) await measure(Number(count));
} finally {
  await browser.close();
  await herald.remove();
}
