/** A network in memory that is slow, breaks, falls silent and lies, with the model server at its other end. */

import type { Execute, Request, Result } from 'resumable-graphql';
import { pushed } from 'resumable-graphql';

import type { Event, Server, Status } from './model.ts';
import type { World } from './world.ts';

/** What a network does to events on their way: once in so many times. Undefined is never. */
export interface Lies {
  drops?: number | undefined;
  repeats?: number | undefined;
  swaps?: number | undefined;
}

/** What comes in answer to a request. */
export interface Reply {
  next(result: Result): void;
  /** The subscription's end by the server: errors, or none where it is complete. */
  end(errors?: readonly unknown[]): void;
}

/** One connection. */
export class Line {
  readonly #world: World;
  readonly #broken: () => void;
  #free = 0;
  isOpen = true;
  isSilent = false;
  /** Run when it ends, in whichever way. */
  readonly leaving = new Set<() => void>();

  constructor(world: World, broken: () => void) {
    this.#world = world;
    this.#broken = broken;
  }

  /** Brings something to the other end, behind all that is under way. */
  carry(arrive: () => void, slowness = this.#world.between(1, 30)): void {
    const now = this.#world.now();
    this.#free = Math.max(this.#free, now + slowness);
    this.#world.later(this.#free - now, () => this.isOpen && !this.isSilent && arrive());
  }

  /** Breaks. Whoever uses it is told. */
  cut(): void {
    if (this.close()) this.#broken();
  }

  /** Is left by the one who uses it. */
  close(): boolean {
    const wasOpen = this.isOpen;
    this.isOpen = false;
    this.leaving.forEach((leave) => leave());
    this.leaving.clear();
    return wasOpen;
  }
}

/** Of a credential, in milliseconds. */
const SHORTEST_LIFE = 2_000;

export class Network {
  readonly world: World;
  readonly server: Server;
  readonly #lies: Lies;
  readonly #lines = new Set<Line>();
  /** While it is down, nothing connects. */
  isDown = false;
  /** For scenes in which connections break, and come about again at once. */
  isNeverDown = false;
  /** While it lies, events are dropped, repeated and swapped. */
  isHonest = false;
  /** How long each answer takes, in milliseconds; otherwise that is chance. */
  slowness: number | undefined;
  /** With what sockets are closed when they are cut; otherwise that is chance. */
  closeCode: number | undefined;
  /** After what subscriptions were begun. */
  readonly asked: unknown[] = [];
  /** How many events did not arrive as they were sent. */
  lied = 0;
  /** The one credential that is not refused, the one that the client has, and until when that is good in any case. */
  #valid = 0;
  #held = 0;
  #goodUntil = 0;
  readonly #expiring = new Set<() => void>();
  /** How often the client renewed its credential. */
  renewed = 0;

  constructor(world: World, server: Server, lies: Lies) {
    this.world = world;
    this.server = server;
    this.#lies = lies;
  }

  /** A connection; undefined while the network is down. */
  connect(broken: () => void): Line | undefined {
    if (this.isDown) return undefined;
    const line = new Line(this.world, broken);
    this.#lines.add(line);
    line.leaving.add(() => this.#lines.delete(line));
    return line;
  }

  cut(): void {
    for (const line of [...this.#lines]) line.cut();
  }

  /** The connections stay, and bring nothing any more: a machine slept, a NAT forgot, a proxy hangs. */
  silence(): void {
    for (const line of this.#lines) line.isSilent = true;
  }

  /** The client's credential expires, if it is not a new one: its subscriptions end, and new ones are refused. */
  expire(): void {
    if (this.#held !== this.#valid || this.world.now() < this.#goodUntil) return;
    this.#valid++;
    for (const expire of [...this.#expiring]) expire();
  }

  /** The client gets the credential of now, which takes a while, and fails while the network is down. */
  readonly renew = async (): Promise<void> => {
    await this.world.wait(this.world.between(1, 500));
    if (this.isDown) throw new TypeError('the network is down');
    this.renewed++;
    this.#held = this.#valid;
    this.#goodUntil = this.world.now() + SHORTEST_LIFE;
  };

  /** Answers a request over a connection, for the origin that it came from. */
  answer({ query, variables }: Request, line: Line, reply: Reply, origin?: string): void {
    const { server } = this;
    if (/^\s*subscription/.test(query)) {
      this.asked.push(variables['after']);
      const pass = this.#liar(line, (event) => line.carry(() => reply.next({ data: { events: event } })));
      const refuse = (code: string) => line.carry(() => reply.end([{ message: code, extensions: { code } }]));
      if (this.#held !== this.#valid) return refuse('UNAUTHENTICATED');
      const leave = server.follow(variables['after'] as string | undefined, origin, { next: pass, refuse });
      const expire = () => {
        stop();
        refuse('UNAUTHENTICATED');
      };
      const stop = () => {
        this.#expiring.delete(expire);
        leave();
      };
      this.#expiring.add(expire);
      line.leaving.add(stop);
      return;
    }
    const { world } = this;
    const { body, key, id, status } = variables as { body: string; key: string; id: string; status: Status };
    const wrong = (code: string) => ({ errors: [{ message: code, extensions: { code } }] });
    const result: Result = !server.isAvailable ? wrong('UNAVAILABLE')
      : /sendMessage/.test(query) ? { data: { sendMessage: { __typename: 'P', message: server.send(body, origin, key) } } }
      : /mark/.test(query) ? { data: { mark: { __typename: 'P', message: server.mark(id, status, origin) } } }
      : { data: { cursor: server.cursor, conversation: conversation(server) } };
    // Answers are late by much at times, and events overtake them.
    line.carry(() => reply.next(result), this.slowness ?? world.between(1, world.oneIn(4) ? 20_000 : 100));
    line.carry(() => reply.end());
  }

  /** The plainest transport: a connection for each request. */
  execute(origin?: string): Execute {
    return (request, signal) => pushed<Result>(signal, (sink) => {
      const lost = () => sink.error(new TypeError('the network is down'));
      const line = this.connect(lost);
      if (!line) return this.world.later(5, lost);
      const end = (errors?: readonly unknown[]) => (errors ? sink.error(errors) : sink.complete());
      line.carry(() => this.answer(request, line, { next: sink.next, end }, origin));
      return () => line.close();
    });
  }

  #liar(line: Line, pass: (event: Event) => void): (event: Event) => void {
    const { drops, repeats, swaps } = this.#lies;
    const happens = (times: number | undefined) =>
      times !== undefined && !this.isHonest && this.world.oneIn(times) && !!++this.lied;
    let held: Event | undefined;
    let earlier: Event | undefined;
    line.leaving.add(() => (held = undefined));
    return (event) => {
      if (happens(drops)) return;
      if (!held && happens(swaps)) return void (held = event);
      pass(event);
      if (held) pass(held);
      held = undefined;
      if (happens(repeats)) pass(event);
      if (earlier && happens(repeats)) pass(earlier);
      earlier = event;
    };
  }
}

const conversation = (server: Server) => ({
  __typename: 'Conversation',
  id: 'c1',
  messages: { __typename: 'MessageConnection', nodes: server.messages, pageInfo: { __typename: 'PageInfo', startCursor: null } },
});
