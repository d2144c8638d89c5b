/** What a function like `follow` yields, read in the background so that trouble can be timed by what has arrived. */

import { EventEmitter, once } from 'node:events';
import { onTestFinished } from 'vitest';

import type { MessageSent } from './user.ts';

export class Reader<E> {
  readonly events: E[] = [];
  readonly #arrivals = new EventEmitter();

  constructor(source: AsyncGenerator<E, void>) {
    let isOver = false;
    onTestFinished(() => void (isOver = true));
    void (async () => {
      for await (const event of source) {
        this.events.push(event);
        this.#arrivals.emit('arrival');
      }
    })().catch((cause) => isOver || this.#arrivals.emit('error', cause));
  }

  /** Waits until an event has arrived: all events so far. */
  async until(has: (event: E) => boolean): Promise<E[]> {
    while (!this.events.some(has)) await once(this.#arrivals, 'arrival');
    return this.events;
  }
}

/** For `until`: a message was sent that says this. */
export function says(body: string) {
  return ({ message }: MessageSent): boolean => message.body === body;
}

export function bodies(events: MessageSent[]): string[] {
  return events.map(({ message }) => message.body);
}
