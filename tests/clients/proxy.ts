/** A network that can fail: everything passes through it, until it is cut. */

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export class Proxy {
  readonly #server = createServer((near) => this.#carry(near));
  readonly #sockets = new Set<Socket>();
  readonly #target: number;
  #isCut = false;

  private constructor(target: number) {
    this.#target = target;
  }

  static async to(port: number): Promise<Proxy> {
    const proxy = new Proxy(port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get http(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/graphql`;
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

  close(): void {
    this.cut();
    this.#server.close();
  }

  #carry(near: Socket): void {
    if (this.#isCut) return void near.resetAndDestroy();
    const far = connect(this.#target, '127.0.0.1');
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.#sockets.add(socket);
      socket.pipe(other);
      // What ends or fails on one side does so on the other; that is all a network says about it.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
