/** The same for GraphQL documents, over anything that executes them. */

import { Lost } from './judge.ts';
import { type Options, type Place, resumable, type Tuning } from './resumable.ts';

export interface Request {
  query: string;
  variables: Record<string, unknown>;
}

export interface Result {
  data?: Record<string, any> | null | undefined;
  errors?: readonly unknown[] | undefined;
}

/** Executes a document: one result of a query, any number of a subscription. Throws where there are none. */
export type Execute = (request: Request, signal: AbortSignal) => AsyncIterable<Result>;

export interface FollowOptions<E, S = any> extends Tuning {
  /** The subscription. Takes `$after`, and selects `cursor` in its one field, and `previous` where the server has it. */
  events: string;
  /** A query that selects `cursor` beside what is to be shown, or what reads such a thing. */
  snapshot: string | Options<E>['snapshot'];
  /** Of the subscription, and of the query, which is given those that it declares. */
  variables?: Record<string, unknown> | undefined;
  /** Takes what the query brought. Is awaited before events are told. */
  onSnapshot?: ((data: S) => unknown) | undefined;
}

/** Every event of a subscription after a snapshot, in order and once, through lost connections. */
export function follow<E, S = any>(execute: Execute, options: FollowOptions<E, S>): AsyncGenerator<E, void, undefined> {
  const { events, snapshot, variables = {}, onSnapshot, ...tuning } = options;
  return resumable<E>({
    ...tuning,
    async *subscribe(after, signal) {
      for await (const result of execute({ query: events, variables: { ...variables, after } }, signal)) {
        yield eventOf<E>(result);
      }
    },
    snapshot: typeof snapshot === 'function' ? snapshot : async (signal) => {
      const known = Object.entries(variables).filter(([name]) => new RegExp(`\\$${name}\\b`).test(snapshot));
      for await (const result of execute({ query: snapshot, variables: Object.fromEntries(known) }, signal)) {
        if (result.errors?.length || !result.data) throw result.errors ?? new Lost('an answer without data');
        const data = result.data as S & Place;
        return { cursor: data.cursor, show: () => onSnapshot?.(data) };
      }
      throw new Lost('no answer');
    },
  });
}

/** The one event in a result. Throws its errors where there is none. */
export function eventOf<E>({ data, errors }: Result): E {
  const [event] = Object.values(data ?? {});
  if (!event) throw errors ?? new Lost('a result without an event');
  return event;
}

/**
 * Variables whose `after` moves on with the events that come. A client that repeats its request by itself then goes on
 * after the newest event, and not after the first cursor.
 */
export function variablesAfter(variables: Record<string, unknown>): { variables: Record<string, unknown>; see(result: Result): void } {
  const moving = { ...variables };
  return {
    variables: moving,
    see({ data }) {
      const [event] = Object.values(data ?? {}) as (Place | undefined)[];
      if (event?.cursor && 'after' in moving) moving['after'] = event.cursor;
    },
  };
}
