/** What is done to a client in one seeded run, and what has to be so in the end. */

import { setMaxListeners } from 'node:events';

import { CHECKPOINTS, type Message, rank, Server, STATUSES } from './model.ts';
import { type Lies, Network } from './network.ts';
import { World } from './world.ts';

/** A client under test. */
export interface Client {
  /** What a page shows now. */
  shown(): Message[];
  /** How many epochs it has seen end. */
  epoch(): number;
  /** The cursor of the newest snapshot that all else was built on, and the events since then, in the order they came. */
  history(): { from: string; told: string[] };
  /** Sends, and asks again until there is an answer. */
  send(body: string, key: string): void;
  mark(id: string, status: Message['status']): void;
  /** Reads what is shown again. */
  refetch(): void;
  /** Ends it: an app that is closed, or killed. */
  stop(): void;
}

/** What a client is given to begin with. */
export interface Start {
  network: Network;
  world: World;
  /** Under which its mutations and its subscriptions go. */
  origin: string;
  /** What outlives it. Empty at first. */
  disk: Map<string, unknown>;
  /** Called whenever what is shown may have changed. */
  changed(): void;
  /** Called when it gives up, which it never should. */
  failed(cause: unknown): void;
  /** With each subscription. */
  silence: number;
}

// Much waits for one signal here, and nothing leaks.
setMaxListeners(1_000);

export type Join = (start: Start) => Client;

/** More than the time between two checkpoints. */
const SILENCE = 1.5 * CHECKPOINTS;

/** In milliseconds. */
const FRAME = 16;

/** How many things happen in a run. */
const ACTIONS = 40;

const weighted = <T extends string>(weights: Record<T, number>): T[] =>
  Object.entries<number>(weights).flatMap(([name, weight]) => Array<T>(weight).fill(name as T));

const ACTS = weighted({
  said: 25, marked: 25, send: 8, mark: 5, elsewhere: 5, refetch: 4,
  cut: 6, outage: 4, silence: 2, busy: 2, restore: 2, crash: 2,
});

/** The same where credentials expire, so that what a seed stands for stays the same without. */
const EXPIRING_ACTS = [...ACTS, ...weighted({ expire: 12 })];

/** One run: throws where something was lost, repeated or taken back. */
export async function run(seed: number, join: Join, isExpiring = false): Promise<{ network: Network; crashes: number; restores: number }> {
  const world = new World(seed);
  const saysPrevious = world.oneIn(2);
  // Without `previous`, a client cannot know what never came.
  const lies: Lies = !world.oneIn(2) ? {} : saysPrevious ? { drops: 12, repeats: 12, swaps: 12 } : { repeats: 8 };
  const server = new Server(world, saysPrevious);
  const network = new Network(world, server, lies);
  const disk = new Map<string, unknown>();
  const origins: string[] = [];
  const furthest = new Map<string, number>();
  let failure: unknown;
  let [crashes, restores, sent] = [0, 0, 0];
  let client: Client | undefined;

  const fail = (what: string) => (failure ??= new Error(what));
  const look = () => {
    for (const { id, status } of client?.shown() ?? []) {
      const key = `${origins.length} ${client!.epoch()} ${id}`;
      if ((furthest.get(key) ?? 0) > rank(status)) fail(`the status of ${id} goes back to ${status}`);
      furthest.set(key, rank(status));
    }
  };
  // Once a frame: nobody sees what is shown for a shorter time.
  let isDue = false;
  const changed = () => {
    if (isDue) return;
    isDue = true;
    world.later(FRAME, () => {
      isDue = false;
      look();
    });
  };
  const begin = () => {
    client = undefined;
    origins.push(`origin ${origins.length}`);
    const failed = (cause: unknown) => fail(`gave up: ${text(cause)}`);
    client = join({ network, world, origin: origins.at(-1)!, disk, changed, failed, silence: SILENCE });
  };
  const someone = () => server.messages[Math.floor(world.between(0, server.messages.length))];
  const down = (milliseconds: number) => {
    network.isDown = true;
    network.cut();
    world.later(milliseconds, () => (network.isDown = false));
  };

  for (let n = 0; n < 3; n++) server.send(`before ${n}`);
  begin();
  for (let n = 0; n < ACTIONS && !failure; n++) {
    await world.pass(world.oneIn(20) ? world.between(0, 120_000) : world.oneIn(2) ? world.between(0, 40) : world.between(0, 4_000));
    const acts = isExpiring ? EXPIRING_ACTS : ACTS;
    const act = acts[Math.floor(world.between(0, acts.length))]!;
    const message = someone();
    if (act === 'said') server.send(`said ${n}`);
    if (act === 'marked' && message) server.mark(message.id, STATUSES[world.oneIn(2) ? 1 : 2]!);
    if (act === 'send') client!.send(`sent ${n}`, `key ${sent++}`);
    if (act === 'mark' && message) client!.mark(message.id, STATUSES[world.oneIn(2) ? 1 : 2]!);
    if (act === 'elsewhere') server.elsewhere();
    if (act === 'refetch') client!.refetch();
    if (act === 'expire') network.expire();
    if (act === 'cut') network.cut();
    if (act === 'outage') down(world.between(100, 30_000));
    if (act === 'silence') network.silence();
    if (act === 'busy' && server.isAvailable) {
      server.isAvailable = false;
      world.later(world.between(100, 20_000), () => (server.isAvailable = true));
    }
    if (act === 'restore' && ++restores) server.restore(Math.floor(world.between(0, 6)));
    if (act === 'crash' && ++crashes) {
      client!.stop();
      begin();
    }
  }
  network.isHonest = true;
  await world.pass(60_000);
  server.send('the end');
  await world.pass(4 * SILENCE);
  look();
  if (!failure) check(server, client!, origins, fail);
  client!.stop();
  await world.pass(SILENCE);
  if (failure) throw failure;
  return { network, crashes, restores };
}

/** Nothing is lost, nothing is repeated, and what is shown is so. */
function check(server: Server, client: Client, origins: string[], fail: (what: string) => void): void {
  const { from, told } = client.history();
  const [, epoch, begin] = /^e(\d+)p(\d+)$/.exec(from) ?? [];
  if (Number(epoch) !== server.epoch) return fail(`what is shown is of epoch ${epoch}, but it is ${server.epoch}`);
  // Its own are told by answers; which of them come as events as well depends on when it was killed.
  const own = new Set<string>();
  const wanted: string[] = [];
  server.log.forEach(({ event, origin }, index) => {
    const cursor = server.cursorOf(index + 1);
    if (origin !== undefined && origins.includes(origin)) own.add(cursor);
    else if (event && index >= Number(begin)) wanted.push(cursor);
  });
  if (new Set(told).size < told.length) return fail(`told twice: ${told.filter((cursor, n) => told.indexOf(cursor) < n)}`);
  const others = told.filter((cursor) => !own.has(cursor));
  const lost = wanted.filter((cursor) => !others.includes(cursor));
  if (lost.length) return fail(`lost after ${from}: ${lost}`);
  if (others.join() !== wanted.join()) return fail(`told ${others}\nnot ${wanted}`);
  const plain = (messages: Message[]) => messages.map(({ id, body, status, readCount }) => [id, body, status, readCount].join()).join('\n');
  const [shown, stands] = [plain(client.shown()), plain(server.messages)];
  if (shown !== stands) fail(`shows\n${shown}\nnot\n${stands}`);
}

function text(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(cause);
}

/** The runs that a test makes: HERALD_TEST_SEED repeats one of them, HERALD_TEST_RUNS makes more. */
export function seeds(count = 1_000): number[] {
  const only = process.env['HERALD_TEST_SEED'];
  if (only) return [Number(only)];
  return Array.from({ length: count * Number(process.env['HERALD_TEST_RUNS'] ?? 1) }, (_, n) => n + 1);
}

export type Sum = Record<'lied' | 'crashes' | 'restores' | 'renewed' | 'subscriptions', number>;

/** Makes all runs of a binding. The first that goes wrong is thrown, with its seed. */
export async function runs(join: Join, count?: number, isExpiring?: boolean): Promise<Sum> {
  const sum: Sum = { lied: 0, crashes: 0, restores: 0, renewed: 0, subscriptions: 0 };
  for (const seed of seeds(count)) {
    try {
      const { network, crashes, restores } = await run(seed, join, isExpiring);
      sum.lied += network.lied;
      sum.renewed += network.renewed;
      sum.subscriptions += network.asked.length;
      sum.crashes += crashes;
      sum.restores += restores;
    } catch (cause) {
      throw new Error(`HERALD_TEST_SEED=${seed}: ${(cause as Error).message}`, { cause });
    }
  }
  return sum;
}
