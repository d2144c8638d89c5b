/** An app that writes, while its messages and their answers are lost, and its tabs are closed. */

import { type Entry, Outbox } from 'resumable-graphql-outbox';
import { expect } from 'vitest';

import { Browser, type Tab } from './browser.ts';
import { seeds } from './chaos.ts';
import { disk, type Letter, Mailbox, REFUSED } from './mailbox.ts';
import { World } from './world.ts';

const LANES = ['a', 'b', 'c'];
const ACTIONS = 60;

type Id = { id: string };
type OutboxOf = typeof Outbox;

interface Written {
  body: string;
  lane: string;
  writer: number;
  id: string;
  hasFailed: boolean;
}

/** An app that writes, is closed, and begins again; in as many tabs as there may be. */
class App {
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly #browser: Browser;
  readonly #disk;
  readonly #mostTabs: number;
  readonly #Outbox: OutboxOf;
  readonly tabs: { tab: Tab; number: number; outbox: Outbox<Letter, Id> }[] = [];
  /** What was written, by who wrote it, in this order. */
  readonly written: Written[] = [];
  /** What the app was told of, by entry. */
  readonly sent = new Map<string, Set<string>>();
  readonly discarded = new Set<string>();
  #numbers = 0;

  constructor(seed: number, mostTabs: number, OutboxOf: OutboxOf) {
    this.world = new World(seed);
    this.mailbox = new Mailbox(this.world);
    this.#browser = new Browser(this.world);
    this.#disk = disk<Entry<Letter>>(this.world);
    this.#mostTabs = mostTabs;
    this.#Outbox = OutboxOf;
    this.open();
  }

  open(): void {
    if (this.tabs.length >= this.#mostTabs) return;
    const { world, mailbox } = this;
    const tab = this.#browser.open();
    const outbox: Outbox<Letter, Id> = new this.#Outbox<Letter, Id>({
      send: ({ variables, key }, signal) => mailbox.send(variables, key, signal),
      onSent: ({ id }, message) => void this.sent.set(id, (this.sent.get(id) ?? new Set()).add(message.id)),
      renew: () => world.wait(100).then(() => (mailbox.isSignedIn = true)),
      store: this.#disk.of(tab.signal),
      name: this.isAlone ? undefined : 'app',
      signal: tab.signal,
      locks: tab.locks,
      open: tab.channel,
      random: world.random,
      now: () => 1_800_000_000_000 + Math.floor(world.now()),
      wait: world.wait,
    });
    this.tabs.push({ tab, number: ++this.#numbers, outbox });
  }

  close(): void {
    const [closed] = this.tabs.splice(Math.floor(this.world.random() * this.tabs.length), 1);
    closed?.tab.close();
  }

  some() {
    if (!this.tabs.length) this.open();
    return this.tabs[Math.floor(this.world.random() * this.tabs.length)]!;
  }

  write(): void {
    const { outbox, number } = this.some();
    const lane = LANES[Math.floor(this.world.random() * LANES.length)]!;
    const isRefused = this.world.oneIn(8);
    const body = `${isRefused ? `${REFUSED} ` : ''}message ${this.written.length}`;
    const { id } = outbox.add(lane, { lane, body });
    this.written.push({ body, lane, writer: number, id, hasFailed: isRefused });
  }

  /** What somebody does about what has failed. */
  mend(isInTheEnd = false): void {
    const { outbox } = this.some();
    for (const { id, variables, failure } of outbox.entries) {
      if (!failure) continue;
      if (!isInTheEnd && this.world.oneIn(3)) outbox.retry(id);
      else if (!isInTheEnd && this.world.oneIn(3)) {
        this.discarded.add(id);
        outbox.discard(id);
      } else outbox.edit(id, { ...variables, body: variables.body.replace(REFUSED, 'accepted') });
    }
  }

  get disk() {
    return this.#disk;
  }

  get isAlone(): boolean {
    return this.#mostTabs === 1;
  }
}

async function run(seed: number, mostTabs: number, OutboxOf: OutboxOf = Outbox) {
  const app = new App(seed, mostTabs, OutboxOf);
  const { world, mailbox } = app;
  let closed = 0;
  for (let n = 0; n < ACTIONS; n++) {
    if (world.oneIn(2)) app.write();
    if (world.oneIn(8)) {
      // Nobody mends the same in two tabs at the same instant.
      await world.pass(1_000);
      app.mend();
      await world.pass(1_000);
    }
    if (world.oneIn(15)) mailbox.isSignedIn = false;
    if (world.oneIn(10)) {
      app.close();
      closed++;
    }
    if (world.oneIn(6)) app.open();
    await world.pass(world.oneIn(4) ? world.between(0, 20_000) : world.between(2, 50));
  }
  // What is late arrives, and what has failed is mended.
  mailbox.isCalm = true;
  for (let n = 0; n < 4; n++) {
    await world.pass(200_000);
    app.mend(true);
  }
  await world.pass(200_000);
  const { outbox } = app.some();
  await world.pass(200_000);
  expect(outbox.entries, 'waits in the end').toEqual([]);
  expect([...app.disk.kept.keys()], 'stays on the disk').toEqual([]);
  check(app);
  return { closed, lost: mailbox.lost, late: mailbox.late };
}

function check(app: App): void {
  const { stored } = app.mailbox;
  const bodyOf = (body: string) => body.replace(REFUSED, 'accepted');
  for (const { body, id } of app.written) {
    const times = stored.filter((message) => message.body === bodyOf(body)).length;
    if (times > 1) throw new Error(`${body} is stored ${times} times`);
    // What never came to the disk goes with its tab.
    if (!times && app.disk.ever.has(id) && !app.discarded.has(id)) throw new Error(`${body} is lost`);
    if ((app.sent.get(id)?.size ?? 0) > 1) throw new Error(`${body} is said to be two messages`);
    if (times && !app.sent.has(id)) throw new Error(`the app is not told that ${body} is stored`);
  }
  for (const lane of LANES) {
    // What two tabs write at the same time has no order.
    for (const writer of new Set(app.written.map((message) => (app.isAlone ? undefined : message.writer)))) {
      const isWanted = (message: Written) => message.lane === lane && !message.hasFailed && (writer ?? message.writer) === message.writer;
      const wanted = app.written.filter(isWanted);
      const bodies = wanted.map(({ body }) => body).filter((body) => stored.some((message) => message.body === body));
      const order = stored.map(({ body }) => body).filter((body) => bodies.includes(body));
      if (order.join() !== bodies.join()) throw new Error(`out of order in ${lane}: ${order.join()}`);
    }
  }
}

/** Makes all runs. The first that goes wrong is thrown, with its seed. */
export async function runs(mostTabs: number, count?: number, OutboxOf?: OutboxOf) {
  const sum = { closed: 0, lost: 0, late: 0 };
  for (const seed of seeds(count)) {
    try {
      const { closed, lost, late } = await run(seed, mostTabs, OutboxOf);
      sum.closed += closed;
      sum.lost += lost;
      sum.late += late;
    } catch (cause) {
      throw new Error(`HERALD_TEST_SEED=${seed}: ${(cause as Error).message}`, { cause });
    }
  }
  return sum;
}
