import {
  createOperationDescriptor, type FetchFunction, getRequest, type GraphQLResponse, type GraphQLTaggedNode, type IEnvironment,
  Network, Observable, type Store, type SubscribeFunction, type Variables,
} from 'relay-runtime';
import {
  type CursorStore, Epoch, eventOf, judge, Lost, memory, pushed, resumable as resume, type Result, type Tuning, variablesAfter,
} from 'resumable-graphql';

import { type Growing, storeOf, type StoreOptions } from './store.ts';

/** What is asked of the server, and put into the store. */
export interface SnapshotQuery {
  environment: IEnvironment;
  /** Reads what is shown, and selects `cursor` beside it. */
  query: GraphQLTaggedNode;
  variables: Variables;
}

export interface ResumableOptions extends Omit<Tuning, 'onReset' | 'signal' | 'store'> {
  /** The snapshot of a subscription with these variables. */
  snapshot(variables: Variables): SnapshotQuery;
  /** Where the cursor of a subscription is kept, beyond its life. Keep the store's records there as well. */
  store?: ((name: string, variables: Variables) => CursorStore) | undefined;
  /** The log went back in time, or does not go back far enough. Empty the lists that no snapshot replaces. */
  onReset?: ((variables: Variables) => unknown) | undefined;
}

export interface ResumableRelay {
  /** Made of the functions that send. Subscriptions that declare `$after` are resumed. */
  network(fetch: FetchFunction, subscribe: (...of: Parameters<SubscribeFunction>) => Observable<GraphQLResponse>): ReturnType<typeof Network.create>;
  /** In which nothing goes back. */
  store(growing: Growing, options?: StoreOptions): Store;
  /** What the store is of. */
  epoch: Epoch;
}

type Subscribe = Parameters<ResumableRelay['network']>[1];

/** Marks the query of a snapshot: it waits for nothing. */
const SNAPSHOT = 'resumable-graphql:snapshot';

/**
 * Subscriptions that declare `$after` go on through lost connections: every event once and in order. Without a value for
 * `$after` they begin with a snapshot. Queries and mutations whose answer is of an epoch that has ended are asked again, or
 * fail: a mutation with an idempotency key can be tried again.
 */
export function resumable(options: ResumableOptions): ResumableRelay {
  const epoch = new Epoch();
  // Without subscriptions, nobody has to wait for a snapshot.
  epoch.begin();
  return {
    network: (fetch, subscribe) => Network.create(inEpoch(epoch, fetch), resumed(epoch, subscribe, options) as SubscribeFunction),
    store: (growing, options) => storeOf(epoch, growing, options),
    epoch,
  };
}

/** Answers of one epoch. */
function inEpoch(epoch: Epoch, fetch: FetchFunction): FetchFunction {
  return (request, variables, cacheConfig, uploadables) => Observable.create<GraphQLResponse>((sink) => {
    const over = new AbortController();
    const ask = async () => {
      if (!cacheConfig.metadata?.[SNAPSHOT]) await epoch.begun;
      if (over.signal.aborted) return;
      const { signal } = epoch;
      let subscription: { unsubscribe(): void } | undefined;
      const leave = () => {
        signal.removeEventListener('abort', again);
        over.signal.removeEventListener('abort', leave);
        subscription?.unsubscribe();
      };
      const again = () => {
        leave();
        if (request.operationKind === 'query') void ask();
        else sink.error(signal.reason);
      };
      signal.addEventListener('abort', again);
      over.signal.addEventListener('abort', leave);
      subscription = Observable.from(fetch(request, variables, cacheConfig, uploadables)).subscribe({
        next: (response) => sink.next(response),
        error(cause: Error) {
          leave();
          sink.error(cause);
        },
        complete() {
          leave();
          sink.complete();
        },
      });
    };
    void ask();
    return () => over.abort();
  });
}

function resumed(epoch: Epoch, subscribe: Subscribe, options: ResumableOptions): Subscribe {
  const { snapshot, store, onReset, ...tuning } = options;
  return (request, variables, cacheConfig) => {
    // Relay gives every variable that is declared.
    if (!('after' in variables)) return subscribe(request, variables, cacheConfig);
    return Observable.create<GraphQLResponse>((observer) => {
      const over = new AbortController();
      const follow = async () => {
        try {
          const kept = store?.(request.name, variables) ?? memory();
          const first = (await kept.get()) ?? (variables['after'] as string | null | undefined) ?? undefined;
          if (over.signal.aborted) return;
          const member = epoch.join(!!first);
          over.signal.addEventListener('abort', member.left);
          const responses = resume<GraphQLResponse>({
            ...tuning,
            signal: over.signal,
            store: { get: () => first, set: (cursor) => kept.set(cursor) },
            place: (response) => eventOf(response as Result),
            // Relay hides a refusal of the snapshot in an error of its own.
            judge: (cause: any) => tuning.judge?.(cause) ?? (cause?.source?.errors ? judge(cause.source) : undefined),
            async *subscribe(after, signal) {
              const moving = variablesAfter({ ...variables, after });
              const sent = pushed<GraphQLResponse>(signal, (sink) => {
                const subscription = subscribe(request, moving.variables, cacheConfig).subscribe({
                  next(response) {
                    moving.see(response as Result);
                    sink.next(response);
                  },
                  error: (cause: Error) => sink.error(cause),
                  complete: () => sink.complete(),
                });
                return () => subscription.unsubscribe();
              });
              for await (const response of sent) {
                eventOf(response as Result);
                yield response;
              }
            },
            async snapshot(signal) {
              const cursor = await read(snapshot(variables), signal);
              member.taken();
              return cursor;
            },
            async onReset() {
              member.expired();
              await onReset?.(variables);
            },
          });
          // Relay puts a response into its store, and tells it, before this goes on.
          for await (const response of responses) observer.next(response);
          observer.complete();
        } catch (cause) {
          observer.error(cause as Error);
        } finally {
          over.abort();
        }
      };
      void follow();
      return () => over.abort();
    });
  };
}

/** Reads a snapshot into the store. Not by `fetchQuery`, which joins a request that is under way: that may be older. */
async function read({ environment, query, variables }: SnapshotQuery, signal: AbortSignal): Promise<string> {
  const operation = createOperationDescriptor(getRequest(query), variables, { force: true, metadata: { [SNAPSHOT]: true } });
  const responses = pushed<GraphQLResponse>(signal, (sink) => {
    const subscription = environment.execute({ operation }).subscribe({
      next: (response) => sink.next(response),
      error: (cause: Error) => sink.error(cause),
      complete: () => sink.complete(),
    });
    return () => subscription.unsubscribe();
  });
  for await (const response of responses) return (response as Result).data!['cursor'];
  throw new Lost('no answer');
}
