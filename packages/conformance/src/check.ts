/** What a check is, and what it is given. */

import type { Proxy } from '../../../tests/clients/proxy.ts';
import type { Mapping, TransportName } from './mapping.ts';
import type { Following, Operator, Server, Viewer } from './server.ts';
import { describe, type Stream } from './stream.ts';

export interface Check {
  name: string;
  /** Of docs/spec/resumable-subscriptions.md. */
  rule: string;
  /** A rule with SHOULD: a server that breaks it still conforms. */
  isAdvice?: boolean;
  /** Runs over each transport that the server has, or over these. */
  over?: TransportName[];
  /** Stops the server, or moves its log on: it runs alone. */
  isAlone?: boolean;
  /** Says why the server need not, or cannot, be asked this. */
  unless?(mapping: Mapping, operator: Operator): string | false | undefined;
  run(world: World): Promise<void>;
}

/** A room with an owner and a guest, of one check alone. */
export class World {
  readonly #left: (() => void)[] = [];
  readonly server: Server;
  readonly transport: TransportName;
  owner!: Viewer;
  guest!: Viewer;
  room!: string;

  constructor(server: Server, transport: TransportName) {
    this.server = server;
    this.transport = transport;
  }

  async furnish(): Promise<void> {
    [this.owner, this.guest] = await Promise.all([this.server.signIn('owner'), this.server.signIn('guest')]);
    this.room = await this.open(this.owner, this.guest);
  }

  async open(owner: Viewer, guest: Viewer): Promise<string> {
    const { room } = await this.server.ask(owner, this.server.mapping.operations.open, { guest: guest.name, guestValues: guest.values });
    return room;
  }

  async say(text: string, { by = this.owner, room = this.room, origin }: { by?: Viewer; room?: string; origin?: string } = {}): Promise<string> {
    const { cursor } = await this.server.ask(by, this.server.mapping.operations.say, { room, text }, origin);
    return cursor;
  }

  /** Says several, one after the other: what they are. */
  async sayAll(prefix: string, count: number, options: { by?: Viewer; room?: string; padding?: string } = {}): Promise<string[]> {
    const texts = Array.from({ length: count }, (_, n) => `${prefix} ${n}${options.padding ?? ''}`);
    for (const text of texts) await this.say(text, options);
    return texts;
  }

  async snapshot(viewer = this.guest, room = this.room): Promise<{ cursor: string; texts: string[] }> {
    return this.server.ask(viewer, this.server.mapping.operations.snapshot, { room });
  }

  async cursor(viewer = this.guest): Promise<string> {
    return (await this.snapshot(viewer)).cursor;
  }

  /** The guest follows the room. */
  follow(following: Following & { as?: Viewer | undefined; in?: string } = {}): Stream {
    const { as = this.guest, in: room = this.room, ...rest } = following;
    return this.keep(this.server.subscribe(this.transport, as, room, rest));
  }

  /** The same, and it has begun: what is said from now on is told. */
  async followNow(following: Following & { as?: Viewer; in?: string } = {}): Promise<Stream> {
    return this.follow({ ...following, after: await this.cursor(following.as) });
  }

  async network(): Promise<Proxy> {
    const proxy = await this.server.network();
    this.#left.push(() => proxy.close());
    return proxy;
  }

  keep<T extends { close(): void }>(what: T): T {
    this.#left.push(() => what.close());
    return what;
  }

  leave(): void {
    this.#left.forEach((leave) => leave());
  }
}

export function expect(isSo: unknown, what: string): asserts isSo {
  if (!isSo) throw new Error(what);
}

export function same(told: unknown[], wanted: unknown[], what: string): void {
  const lost = wanted.filter((one) => !told.includes(one));
  const twice = told.filter((one, n) => told.indexOf(one) < n);
  const other = told.filter((one) => !wanted.includes(one));
  const list = (of: unknown[]) => of.slice(0, 3).map((one) => JSON.stringify(one).slice(0, 60)).join(', ') + (of.length > 3 ? ', …' : '');
  expect(!lost.length, `${what}: ${lost.length} of ${wanted.length} are lost: ${list(lost)}`);
  expect(!twice.length, `${what}: told twice: ${list(twice)}`);
  expect(!other.length, `${what}: told, and should not be: ${list(other)}`);
  expect(told.join('\n') === wanted.join('\n'), `${what}: told in another order: ${list(told)}`);
}

/** The subscription is refused with one of these codes, and nothing was told before that. */
export async function refused(stream: Stream, what: string, ...codes: string[]): Promise<void> {
  const end = await stream.ending();
  expect(end.how === 'refused' && codes.includes(String(end.codes[0])), `${what}: ${describe(end)}, and not refused with ${codes.join(' or ')}`);
  expect(!stream.told.length, `${what}: told ${stream.told.length} events before it was refused`);
}
