/** From what a client pushes to what a loop pulls. */

import { Lost } from './judge.ts';

export interface Sink<T> {
  next(value: T): void;
  error(cause: unknown): void;
  complete(): void;
}

/** How many values may wait. One more, and the connection is given up: to resume costs a cursor, not memory. */
const ROOM = 1_000;

/**
 * The values that are pushed to a sink, until they end or the signal aborts. `begin` starts the pushing and returns what
 * stops it.
 */
export async function* pushed<T>(signal: AbortSignal, begin: (sink: Sink<T>) => () => void): AsyncGenerator<T, void> {
  const waiting: T[] = [];
  let end: { cause?: unknown } | undefined;
  let wake = () => {};
  let stop: () => void = () => {};
  const finish = (how: { cause?: unknown }) => {
    end ??= how;
    wake();
  };
  const abort = () => finish({ cause: signal.reason });
  signal.addEventListener('abort', abort);
  try {
    if (signal.aborted) abort();
    else {
      stop = begin({
        next(value) {
          if (end) return;
          if (waiting.length < ROOM) waiting.push(value);
          else finish({ cause: new Lost('more events wait than there is room for') });
          wake();
        },
        error: (cause) => finish({ cause }),
        complete: () => finish({}),
      });
    }
    for (;;) {
      while (waiting.length && !signal.aborted) yield waiting.shift()!;
      if (end) {
        if ('cause' in end) throw end.cause;
        return;
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener('abort', abort);
    stop();
  }
}
