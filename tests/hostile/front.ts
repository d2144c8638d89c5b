/**
 * The real server with little memory to spare, and two innocent people at an address of their own, who go on while
 * hostile load is on. What is promised to them and of the server is the same for every family, and is held here.
 */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, expect, onTestFinished } from 'vitest';

import { BINARY, Herald } from '../clients/herald.ts';
import { Caller } from './http.ts';
import { Socket } from './socket.ts';

/** Whether all of the load is to be put on, or as much as an unoptimised build bears in little time. */
const FULL = process.env['HOSTILE_LOAD'] === 'full';

/**
 * Address space, in KiB. The start takes 520,000 of it, most of it stacks and what the allocator sets aside, and
 * ordinary use 720,000: what grows by some hundred MB ends the process.
 */
const ADDRESS_SPACE = 1_150_000;

/** Memory that may be kept after hostile load, in MB. */
const KEPT = 50;

/** How long memory may take to come back, in milliseconds. */
const PATIENCE = 15_000;

/** Sends of the innocent that have to succeed during a load. */
const SENDS = 10;

/** Messages that are sent before anything is measured. */
const WARM = 100;

/** Where the innocent are, and where the load comes from. */
const INNOCENT = '127.0.0.2';
export const HOSTILE = '127.0.0.66';

const REGISTER = /* GraphQL */ `mutation ($input: RegisterInput!) { register(input: $input) { token user { id } } }`;
export const START = /* GraphQL */ `
  mutation ($input: StartConversationInput!) { startConversation(input: $input) { conversation { id } } }
`;
export const SEND = /* GraphQL */ `
  mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }
`;

/** Somebody with a session. */
export interface Account {
  handle: string;
  token: string;
  caller: Caller;
}

/** As much of a load as is to be put on. */
export function load(count: number): number {
  return FULL ? count : Math.ceil(count / 10);
}

export class Front {
  readonly herald: Herald;
  readonly #open: { close(): void | Promise<void> }[] = [];
  #innocent!: Innocent;

  private constructor(herald: Herald) {
    this.herald = herald;
  }

  /** A server with these flags, in use already, for the test that asks. */
  static async open(...flags: string[]): Promise<Front> {
    const front = await Front.#start(flags);
    onTestFinished(() => front.close());
    return front;
  }

  /** One for all the tests of a file, of which each that finds it ended has a new one. */
  static shared(...flags: string[]): () => Promise<Front> {
    let front: Front | undefined;
    afterAll(() => front?.close());
    return async () => {
      if (front && front.herald.pid !== undefined) return front;
      await front?.close();
      front = await Front.#start(flags);
      return front;
    };
  }

  static async #start(flags: string[]): Promise<Front> {
    const limited = ['sh', '-c', `ulimit -v ${ADDRESS_SPACE} && exec "$0" "$@"`, BINARY] as [string, ...string[]];
    // How much address space the start takes depends on the number of threads.
    // Each load is to meet the limit that it is about, and not how often somebody may ask.
    const rates = ['--sends-per-second', '100000', '--fields-per-second', '1000000000'];
    const herald = await Herald.launch(limited, ['--workers', '2', ...rates, ...flags]);
    const front = new Front(herald);
    front.#innocent = await Innocent.meet(front);
    return front;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((open) => open.close()));
    await this.herald.remove();
  }

  get port(): number {
    return this.herald.port;
  }

  /** Somebody at an address, who is not signed in. */
  caller(address: string = HOSTILE): Caller {
    const caller = new Caller(this.port, address);
    this.#open.push(caller);
    return caller;
  }

  /** A new user. */
  async register(name: string, address: string = HOSTILE): Promise<Account> {
    const handle = `${name}-${randomBytes(4).toString('hex')}`;
    const input = { handle, displayName: name, password: `the password of ${handle}` };
    const caller = this.caller(address);
    const { register } = await caller.data<{ register: { token: string } }>(REGISTER, { input });
    const signedIn = caller.as(register.token);
    this.#open.push(signedIn);
    return { handle, token: register.token, caller: signedIn };
  }

  async socket(address: string = HOSTILE, token?: string): Promise<Socket> {
    const socket = await Socket.greet(this.port, address, token);
    this.#open.push(socket);
    return socket;
  }

  /**
   * Puts a load on, and holds the server to this: it lives; the innocent are served all the while, who send `SENDS`
   * messages at least; and once the load is gone, its memory is back within `KEPT`.
   *
   * The load is put on again while the innocent have not come so far: a load that keeps them from it does not end.
   */
  async withstands(load: () => Promise<void>): Promise<void> {
    const before = await this.#memory();
    this.#innocent.start();
    const put = async (): Promise<void> => {
      do await load();
      while (this.#innocent.sends < SENDS && !this.#innocent.failed);
    };
    const [hostile] = await Promise.allSettled([put()]);
    const [innocent] = await Promise.allSettled([this.#innocent.stop()]);
    const failed = [innocent, hostile].find((settled) => settled.status === 'rejected');
    // That the server has ended says more than that an answer is missing. It takes a moment to end.
    if (failed) await pause(1_000);
    const said = (await this.herald.log()).split('\n').filter((line) => line && !line.includes(' INFO '));
    expect(this.herald.pid, `the process of herald, which said: ${said.slice(-4).join('\n')}`).toBeDefined();
    if (failed) throw failed.reason;
    await this.#innocent.send();
    expect(await this.#memoryWithin(before + KEPT), 'MB kept after the load').toBeLessThan(before + KEPT);
  }

  /** Waits until the innocent have sent so many more: time that is counted, for the server to come to everything else. */
  async innocentSend(more: number): Promise<void> {
    await this.#innocent.reach(this.#innocent.sends + more);
  }

  /** The processor time that the process has taken so far, in milliseconds. */
  async cpu(): Promise<number> {
    const stat = await readFile(`/proc/${this.herald.pid}/stat`, 'utf8');
    // After the program's name, which may have spaces in it: user time and system time are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  async #memoryWithin(bound: number): Promise<number> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const now = await this.#memory();
      if (now < bound || Date.now() > deadline) return now;
      await pause(100);
    }
  }

  /** The memory that is the process's own, in MB: pages of the program that are read from its file are not. */
  async #memory(): Promise<number> {
    const status = await readFile(`/proc/${this.herald.pid}/status`, 'utf8');
    const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
    if (!kilobytes) throw new Error(`no RssAnon in:\n${status}`);
    return Number(kilobytes) / 1024;
  }
}

/** Alice, who sends to Bob, who follows; and something that checks the server's health. */
class Innocent {
  /** Messages that were answered and received. */
  sends = 0;
  failed = false;
  readonly #alice: Account;
  readonly #bob: Socket;
  readonly #monitor: Caller;
  readonly #conversationId: string;
  #going: Promise<void> | undefined;
  #stopped = false;

  private constructor(alice: Account, bob: Socket, monitor: Caller, conversationId: string) {
    this.#alice = alice;
    this.#bob = bob;
    this.#monitor = monitor;
    this.#conversationId = conversationId;
  }

  static async meet(front: Front): Promise<Innocent> {
    // Together, so that as much memory is in use as hashing passwords ever takes.
    const names = ['alice', 'bob', 'carol', 'dave'];
    const [alice, bob] = await Promise.all(names.map((name) => front.register(name, INNOCENT)));
    const { startConversation } = await alice!.caller.data<{ startConversation: { conversation: { id: string } } }>(
      START,
      { input: { participantHandles: [bob!.handle] } },
    );
    const socket = await front.socket(INNOCENT, bob!.token);
    // From a cursor, so that it makes no difference when the subscription begins.
    const query = 'subscription ($after: Cursor!) { messageSent(after: $after) { message { body } } }';
    socket.subscribe('messages', query, { after: socket.cursor });
    const innocent = new Innocent(alice!, socket, front.caller(INNOCENT), startConversation.conversation.id);
    // What is needed the first time is there, and what is remembered is full, before anything is measured.
    for (let sent = 0; sent < WARM; sent++) await innocent.send();
    return innocent;
  }

  /** Waits until there are so many sends, while they are under way. */
  async reach(sends: number): Promise<void> {
    while (this.sends < sends && !this.failed && !this.#stopped) await new Promise((resolve) => setImmediate(resolve));
  }

  start(): void {
    this.sends = 0;
    this.#stopped = false;
    this.#going = (async () => {
      while (!this.#stopped) {
        await this.send();
        this.sends += 1;
      }
    })();
    // Whoever stops it is told.
    this.#going.catch(() => (this.failed = true));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#going;
  }

  /** Sends a message, has it received, and asks whether the server is well. */
  async send(): Promise<void> {
    const body = randomBytes(8).toString('hex');
    const received = this.#bob.next(({ payload }) => JSON.stringify(payload).includes(body));
    // Whoever awaits it below is told.
    received.catch(() => {});
    await this.#alice.caller.data(SEND, { input: { conversationId: this.#conversationId, body } });
    await received;
    const health = await this.#monitor.raw({ method: 'GET', path: '/healthz', headers: { connection: 'close' } });
    expect(health.status, 'of /healthz').toBe(200);
  }
}
