import {
  type Client, createRequest, type DocumentInput, type Exchange, makeErrorResult, makeOperation, type Operation, type OperationResult,
} from '@urql/core';
import {
  type CursorStore, Epoch, eventOf, judge, Lost, memory, pushed, resumable as resume, type Snapshot, type Tuning, variablesAfter,
} from 'resumable-graphql';
import { filter, make, makeSubject, merge, mergeMap, onPush, pipe, share, type Source, subscribe, takeUntil } from 'wonka';

import { type CacheOptions, type CacheParts, cacheParts, type Placing, placing } from './graphcache.ts';

export interface ResumableOptions extends Omit<Tuning, 'onReset' | 'signal' | 'store'> {
  /**
   * A query that reads what is shown and selects `cursor` beside it. It is asked of the server with those of the
   * subscription's variables that it declares, and the cache takes what it brings. Or what does such a thing.
   */
  snapshot: DocumentInput | ((client: Client, variables: Record<string, unknown>, signal: AbortSignal) => Snapshot | Promise<Snapshot>);
  /** Where the cursor of a subscription is kept, beyond its life. Keep the cache there as well. */
  store?: ((operation: Operation) => CursorStore) | undefined;
  /** The log went back in time, or does not go back far enough. Forget what no snapshot replaces. */
  onReset?: ((client: Client) => unknown) | undefined;
}

export interface ResumableExchange {
  /** Stands behind the cache, and before what sends. */
  exchange: Exchange;
  /** Resolvers and updates for Graphcache. */
  graphcache(options: CacheOptions): CacheParts;
  /** Puts an entity into a connection that is `inOrder`. */
  place: Placing;
  /** What the cache is of. */
  epoch: Epoch;
}

/** Marks the query of a snapshot: it waits for nothing. */
const SNAPSHOT = 'resumable-graphql:snapshot';

/**
 * Subscriptions that declare `$after` go on through lost connections: every event once and in order. Without a value for
 * `$after` they begin with a snapshot. Queries and mutations whose answer is of an epoch that has ended are asked again, or
 * fail: a mutation with an idempotency key can be tried again.
 */
export function resumable(options: ResumableOptions): ResumableExchange {
  const epoch = new Epoch();
  // Without subscriptions, nobody has to wait for a snapshot.
  epoch.begin();
  return { exchange: exchange(epoch, options), graphcache: (of) => cacheParts(epoch, of), place: placing(epoch), epoch };
}

const exchange = (epoch: Epoch, options: ResumableOptions): Exchange => ({ client, forward }) => (operations) => {
  const sent = makeSubject<Operation>();
  const voided = makeSubject<OperationResult>();
  /** The keys of those that are resumed. Each of their tries has a key of its own. */
  const resumed = new Set<number>();
  let numbers = 0;
  const asked = new Map<number, Operation>();
  const held = new Map<number, Operation>();

  const isResumed = ({ kind, query, key }: Operation) => (kind === 'subscription' && declared(query).includes('after')) || resumed.has(key);
  const teardown = (operation: Operation) => makeOperation('teardown', operation, operation.context);
  const incoming = share(operations);
  const others = onPush<Operation>((operation) => {
    const { kind, key, context } = operation;
    if (kind === 'teardown') {
      asked.delete(key);
      held.delete(key);
    } else if (kind !== 'subscription') {
      if (!epoch.hasBegun && !context[SNAPSHOT]) return void hold(operation);
      ask(operation);
      return;
    }
    sent.next(operation);
  })(filter((operation: Operation) => !isResumed(operation))(incoming));
  const results = share(forward(merge([sent.source, filter<Operation>(() => false)(others)])));

  function ask(operation: Operation): void {
    asked.set(operation.key, operation);
    listen();
    sent.next(operation);
  }

  function hold(operation: Operation): void {
    held.set(operation.key, operation);
    void epoch.begun.then(() => {
      if (held.get(operation.key) !== operation) return;
      held.delete(operation.key);
      ask(operation);
    });
  }

  let heard: AbortSignal | undefined;
  /** Voids what is under way when the epoch ends. */
  function listen(): void {
    if (heard === epoch.signal) return;
    const { signal } = epoch;
    heard = signal;
    signal.addEventListener('abort', () => {
      const waiting = [...asked.values()];
      asked.clear();
      for (const operation of waiting) {
        sent.next(teardown(operation));
        // One snapshot may be what another subscription waits for, and begins with.
        if (operation.context[SNAPSHOT]) ask(operation);
        else if (operation.kind === 'query') hold(operation);
        else voided.next(makeErrorResult(operation, signal.reason as Error));
      }
    });
  }

  /** The results of one subscription. */
  function follow(operation: Operation): Source<OperationResult> {
    const { snapshot, store, onReset, ...tuning } = options;
    const variables = operation.variables as Record<string, unknown>;
    return make<OperationResult>((observer) => {
      const over = new AbortController();
      resumed.add(operation.key);
      const run = async () => {
        try {
          const kept = store?.(operation) ?? memory();
          const first = (await kept.get()) ?? (variables['after'] as string | null | undefined) ?? undefined;
          if (over.signal.aborted) return;
          const member = epoch.join(!!first);
          over.signal.addEventListener('abort', member.left);
          const events = resume<OperationResult>({
            ...tuning,
            signal: over.signal,
            store: { get: () => first, set: (cursor) => kept.set(cursor) },
            place: eventOf,
            judge: (cause: any) => tuning.judge?.(cause) ?? (cause?.networkError ? judge(cause.networkError) : undefined),
            subscribe: once,
            async snapshot(signal) {
              const taken = typeof snapshot === 'function' ? await snapshot(client, variables, signal) : await read(client, snapshot, variables, signal);
              member.taken();
              return taken;
            },
            async onReset() {
              member.expired();
              await onReset?.(client);
            },
          });
          for await (const result of events) observer.next({ ...result, operation });
        } catch (cause: any) {
          if (!over.signal.aborted) observer.next(cause?.graphQLErrors ? { ...makeErrorResult(operation, cause), error: cause } : makeErrorResult(operation, cause));
        } finally {
          over.abort();
          resumed.delete(operation.key);
          observer.complete();
        }
      };
      void run();
      return () => over.abort();
    });

    /** One try, under a key of its own. */
    function once(after: string, signal: AbortSignal): AsyncGenerator<OperationResult, void> {
      return pushed<OperationResult>(signal, (sink) => {
        // urql's own keys are whole numbers.
        const key = ++numbers + 0.5;
        // What is below may repeat it by itself, and then reads them again.
        const moving = variablesAfter({ ...variables, after });
        const standIn = makeOperation('subscription', { ...operation, key, variables: moving.variables as never }, operation.context);
        const { unsubscribe } = subscribe((result: OperationResult) => {
          if (result.error) sink.error(result.error);
          // With the end, urql tells the last event again. It does not tell whose end it is.
          else if (!result.hasNext) sink.error(new Lost('the subscription was ended'));
          else if (!Object.values(result.data ?? {})[0]) sink.error(new Lost('a result without an event'));
          else {
            moving.see(result);
            sink.next(result);
          }
        })(filter((result: OperationResult) => result.operation.key === key)(results));
        const ended = subscribe(() => sink.error(new Lost('the subscription was ended')))(
          filter((one: Operation) => one.kind === 'teardown' && one.key === key)(incoming));
        sent.next(standIn);
        return () => {
          unsubscribe();
          ended.unsubscribe();
          sent.next(teardown(standIn));
        };
      });
    }
  }

  const followed = mergeMap((operation: Operation) =>
    pipe(follow(operation), takeUntil(filter((one: Operation) => one.kind === 'teardown' && one.key === operation.key)(incoming))),
  )(filter((operation: Operation) => operation.kind !== 'teardown' && isResumed(operation))(incoming));
  const answered = onPush<OperationResult>(({ operation, hasNext }) => !hasNext && asked.delete(operation.key))(
    filter<OperationResult>(({ operation }) => Number.isInteger(operation.key))(results));
  return merge<OperationResult>([answered, followed, voided.source]);
};

/** Reads a snapshot into the cache. */
async function read(client: Client, query: DocumentInput, variables: Record<string, unknown>, signal: AbortSignal): Promise<string> {
  const names = declared(createRequest(query, {}).query);
  const known = Object.fromEntries(names.filter((name) => name in variables).map((name) => [name, variables[name]]));
  const asked = client.query(query, known, { requestPolicy: 'network-only', [SNAPSHOT]: true });
  // Not as a promise, which nothing ends: the same query would wait for the answer of this one.
  const results = pushed<OperationResult>(signal, (sink) => subscribe(sink.next)(asked).unsubscribe);
  for await (const { data, error, stale, hasNext } of results) {
    if (error) throw error;
    if (!stale && !hasNext) return data.cursor;
  }
  throw new Lost('no answer');
}

function declared({ definitions }: Operation['query']): string[] {
  return definitions.flatMap((definition) =>
    definition.kind === 'OperationDefinition' ? (definition.variableDefinitions ?? []).map(({ variable }) => variable.name.value) : []);
}
