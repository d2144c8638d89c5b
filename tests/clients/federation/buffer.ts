/** A router between herald and its client whose buffer, one for each subscription, drops what it does not hold. */

import { EventEmitter, once } from 'node:events';
import type { GatewayPlugin } from '@graphql-hive/gateway-runtime';

/**
 * A plugin for Hive Gateway. While it stalls, as for clients that read slowly, each subscription keeps so many events
 * and silently drops those that follow, as routers do whose buffers have an end.
 */
export class Buffer {
  readonly #capacity: number;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #isStalled = false;
  #come = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get plugin(): GatewayPlugin {
    return {
      onSubgraphExecute:
        () =>
        ({ result, setResult }) => {
          if (Symbol.asyncIterator in result) setResult(this.#pass(result));
        },
    };
  }

  stall(): void {
    this.#isStalled = true;
    this.#come = 0;
  }

  flow(): void {
    this.#isStalled = false;
    this.#changes.emit('change');
  }

  /** Waits until so many events have come since it stalls, over all subscriptions. */
  async filled(count: number): Promise<void> {
    while (this.#come < count) await once(this.#changes, 'change');
  }

  #pass<R>(results: AsyncIterable<R>): AsyncIterableIterator<R> {
    const source = results[Symbol.asyncIterator]();
    const waiting: R[] = [];
    let isOver = false;
    const fill = async () => {
      for (let next = await source.next(); !next.done; next = await source.next()) {
        if (!this.#isStalled || waiting.length < this.#capacity) waiting.push(next.value);
        this.#come++;
        this.#changes.emit('change');
      }
    };
    const filling = fill().finally(() => {
      isOver = true;
      this.#changes.emit('change');
    });
    filling.catch(() => {});
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        for (;;) {
          if (!this.#isStalled && waiting.length > 0) return { done: false, value: waiting.shift()! };
          if (isOver) return filling.then(() => ({ done: true, value: undefined }));
          await once(this.#changes, 'change');
        }
      },
      return: async () => {
        isOver = true;
        this.#changes.emit('change');
        await source.return?.();
        return { done: true, value: undefined };
      },
    };
  }
}
