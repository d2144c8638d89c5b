/** A client of `graphql-transport-ws` that may say anything. */

import { once } from 'node:events';
import WebSocket from 'ws';

import type { GraphQLError } from './http.ts';

/** What the server says. */
export interface Said {
  type: string;
  id?: string;
  payload?: unknown;
}

export class Socket {
  readonly #socket: WebSocket;
  readonly #said: Said[] = [];
  readonly #ends = new Map<string, { resolve(): void; reject(cause: Error): void }>();
  readonly #waiting: (() => void)[] = [];
  /** A place in the log, from the acknowledgement. */
  cursor = '';
  /** How it ended, once it has. */
  closed: { code: number; reason: string } | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const said = JSON.parse(String(data)) as Said;
      const end = this.#ends.get(said.id ?? '');
      if (end) {
        if (said.type !== 'next') this.#ends.delete(said.id!);
        if (said.type !== 'next') end.resolve();
        return;
      }
      this.#said.push(said);
      this.#wake();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      for (const { reject } of this.#ends.values()) reject(new Error(`closed: ${code} ${reason}`));
      this.#wake();
    });
    // What breaks a socket closes it as well.
    socket.on('error', () => {});
  }

  /** Opens a socket, and says nothing on it. Rejects with the status where the server wants none. */
  static async open(port: number, address: string): Promise<Socket> {
    const options = { localAddress: address, perMessageDeflate: false };
    const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', options);
    const opened = new Socket(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      socket.once('unexpected-response', (_, response) => {
        reject(new Error(`status ${response.statusCode}`));
        socket.terminate();
      });
      socket.once('error', reject);
    });
    return opened;
  }

  /** Opens a socket and has it acknowledged. */
  static async greet(port: number, address: string, token?: string): Promise<Socket> {
    const socket = await Socket.open(port, address);
    socket.say({ type: 'connection_init', payload: token ? { authorization: `Bearer ${token}` } : {} });
    const ack = await socket.next();
    if (ack.type !== 'connection_ack') throw new Error(`no acknowledgement: ${JSON.stringify(ack)}`);
    socket.cursor = (ack.payload as { cursor: string }).cursor;
    return socket;
  }

  /** Stops reading, so that what the server writes backs up. */
  stall(): void {
    this.#socket.pause();
  }

  /** Sends a message: text as it is, anything else as JSON. */
  say(message: string | object): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Sends the first part of a message that never ends. */
  begin(text: string): void {
    this.#socket.send(text, { fin: false });
  }

  subscribe(id: string, query: string, variables: object = {}): void {
    this.say({ type: 'subscribe', id, payload: { query, variables } });
  }

  /** The next message that is `wanted`; those before it are passed over. Rejects when the socket ends first. */
  async next(wanted: (said: Said) => boolean = () => true): Promise<Said> {
    for (;;) {
      const index = this.#said.findIndex(wanted);
      if (index >= 0) return this.#said.splice(0, index + 1).at(-1)!;
      this.#said.length = 0;
      if (this.closed) throw new Error(`closed: ${this.closed.code} ${this.closed.reason}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** How the operation `id` ends or goes on: its next answer, whatever else is said. */
  async answer(id: string): Promise<Said> {
    return this.next((said) => said.id === id);
  }

  /** Asks for something that has one answer, and gives that. */
  async ask(id: string, query: string, variables: object = {}): Promise<Said> {
    this.subscribe(id, query, variables);
    return this.answer(id);
  }

  /** Waits until the operation `id` is over, whatever else is said meanwhile. Many may wait at once. */
  async completed(id: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error(`closed: ${this.closed.code} ${this.closed.reason}`));
      this.#ends.set(id, { resolve, reject });
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    const gone = once(this.#socket, 'close');
    this.#socket.terminate();
    await gone;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** The codes of the errors in an `error` message or in a `next`. */
export function saidCodes({ type, payload }: Said): string[] {
  const errors = type === 'error' ? payload : (payload as { errors?: unknown } | undefined)?.errors;
  return ((errors ?? []) as GraphQLError[]).map(({ extensions }) => extensions?.code ?? 'NONE');
}
