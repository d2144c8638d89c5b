/** Queries and mutations whose answers are of the epoch that they were asked in. */

import { codesOf, type Epoch, type Execute, judge, Lost } from 'resumable-graphql';

/** How long an answer may take, in milliseconds: longer than herald's own limit of 15 s. */
const PATIENCE = 20_000;

/** The longest pause between two tries, in milliseconds. */
const LONGEST_PAUSE = 10_000;

export interface Asking {
  /** Once. What `take` returns of the answer; it is called before anything else can happen. */
  once<T>(query: string, variables: object, take: (data: any) => T, signal?: AbortSignal): Promise<T>;
  /** Until there is an answer. Rejects with a refusal. */
  surely<T>(query: string, variables: object, take: (data: any) => T): Promise<T>;
}

export function asking(execute: Execute, epoch: Epoch, over: AbortSignal, renew: () => Promise<unknown>): Asking {
  async function once<T>(query: string, variables: object, take: (data: any) => T, signal = over): Promise<T> {
    await epoch.begun;
    const ended = AbortSignal.any([epoch.signal, over, signal, AbortSignal.timeout(PATIENCE)]);
    for await (const { data, errors } of execute({ query, variables: variables as Record<string, unknown> }, ended)) {
      if (errors?.length || !data) throw errors ?? new Lost();
      ended.throwIfAborted();
      return take(data);
    }
    throw new Lost();
  }
  return {
    once,
    async surely(query, variables, take) {
      for (let pause = 250; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
        try {
          return await once(query, variables, take);
        } catch (cause) {
          const verdict = codesOf(cause).includes('RATE_LIMITED') ? 'again' : judge(cause);
          if (over.aborted || verdict === 'end' || (verdict === 'renew' && (await renew()) === false)) throw cause;
        }
        await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
      }
    },
  };
}
