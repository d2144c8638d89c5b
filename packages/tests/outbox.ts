/** Mutations of an app with a library's cache: asked until they are answered, also after a crash. */

import type { Start } from './chaos.ts';

interface Mutation {
  query: string;
  variables: Record<string, unknown>;
}

/** `ask` rejects where the answer is lost; what it says is so once the library has taken it. */
export function outbox({ disk, world, failed, silence }: Start, over: AbortSignal, ask: (mutation: Mutation) => Promise<unknown>) {
  const waiting = (disk.get('outbox') ?? disk.set('outbox', new Map()).get('outbox')) as Map<string, Mutation>;
  async function deliver(key: string, mutation: Mutation): Promise<void> {
    while (!over.aborted) {
      const tooLong = new AbortController();
      void world.wait(silence, tooLong.signal).then(() => tooLong.abort());
      const late = new Promise<boolean>((resolve) => tooLong.signal.addEventListener('abort', () => resolve(false)));
      const isDone = await Promise.race([ask(mutation).then(() => true, () => false), late]);
      tooLong.abort();
      if (over.aborted) return;
      if (isDone) return void waiting.delete(key);
      await world.wait(1_000, over);
    }
  }
  for (const [key, mutation] of waiting) void deliver(key, mutation).catch(failed);
  return (key: string, query: string, variables: Record<string, unknown>): void => {
    waiting.set(key, { query, variables });
    void deliver(key, { query, variables }).catch(failed);
  };
}
