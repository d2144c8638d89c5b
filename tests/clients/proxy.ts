/**
 * A network that can fail: everything passes through it, until it is cut. It can hold answers back, while events pass; let
 * nothing pass for a while; and lose what comes, as if it had passed.
 */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** When the answer to a request may pass, once it is there. The request is as it was sent, with its head. */
export type Hold = (request: string) => Promise<unknown> | undefined;

/** What is not answered once, but followed: a response that stays open, and a connection that is no longer HTTP. */
const SUBSCRIPTION = /\bsubscription\b/;
const WEBSOCKET = /^upgrade: websocket/im;

export class Proxy {
  readonly #server = createServer((near) => this.#carry(near));
  readonly #sockets = new Set<Socket>();
  readonly #target: number;
  readonly #host: string;
  /** The connections' other ends. */
  readonly #far = new Set<Socket>();
  #isCut = false;
  #isStalled = false;
  #isLosing = false;
  #hold: Hold | undefined;

  private constructor(target: number, host: string) {
    this.#target = target;
    this.#host = host;
  }

  static async to(port: number, host = '127.0.0.1'): Promise<Proxy> {
    const proxy = new Proxy(port, host);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get http(): string {
    return `http://127.0.0.1:${this.port}/graphql`;
  }

  get socket(): string {
    return this.http.replace('http', 'ws');
  }

  /** Is cut for so many milliseconds, or for as long as what happens meanwhile takes, if that is longer. */
  async outage(milliseconds: number, meanwhile: () => Promise<void>): Promise<void> {
    this.cut();
    await Promise.all([pause(milliseconds), meanwhile()]);
    this.heal();
  }

  /** Breaks every connection, without a goodbye on either side, and lets none come about. */
  cut(): void {
    this.#isCut = true;
    this.#sockets.forEach((socket) => socket.resetAndDestroy());
  }

  heal(): void {
    this.#isCut = false;
  }

  /** Reads nothing of what the server sends, so that it has to wait with the rest. */
  stall(): void {
    this.#isStalled = true;
    this.#far.forEach((socket) => socket.pause());
  }

  flow(): void {
    this.#isStalled = false;
    this.#far.forEach((socket) => socket.resume());
  }

  /** Takes what the server sends, and passes on nothing of it, over connections that there are. */
  lose(): void {
    this.#isLosing = true;
  }

  /** Has answers over HTTP wait, from the requests on that are made from now on. */
  hold(hold: Hold): void {
    this.#hold = hold;
  }

  /** Waits as long as an answer would that came now. For those that come over a WebSocket, among events. */
  async wait(request: string): Promise<void> {
    await this.#hold?.(request);
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #carry(near: Socket): void {
    if (this.#isCut) return void near.resetAndDestroy();
    const far = connect(this.#target, this.#host);
    this.#far.add(far);
    far.on('close', () => this.#far.delete(far));
    far.on('connect', () => this.#isStalled && far.pause());
    let request = '';
    let isAnswered = false;
    let isSocket = false;
    /** Undefined as long as nothing was held: until then everything passes at once. */
    let passed: Promise<unknown> | undefined;
    const inOrder = (pass: () => void) => (passed ? (passed = passed.then(pass)) : pass());
    near.on('data', (chunk) => {
      request = (isAnswered ? '' : request) + chunk.toString('latin1');
      isAnswered = false;
    });
    far.on('data', (chunk) => {
      if (this.#isLosing) return;
      isSocket ||= WEBSOCKET.test(request);
      const hold = isAnswered || isSocket || SUBSCRIPTION.test(request) ? undefined : this.#hold?.(request);
      isAnswered = true;
      if (hold) passed = Promise.all([passed, hold]);
      inOrder(() => near.write(chunk));
    });
    near.pipe(far);
    // What ends or fails on one side does so on the other; that is all a network says about it.
    near.on('close', () => far.destroy());
    far.on('close', (hasFailed) => inOrder(() => (hasFailed ? near.destroy() : near.end())));
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
    }
  }
}
