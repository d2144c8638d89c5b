import { type ApolloClient, ApolloLink, type DocumentNode, Observable } from '@apollo/client';
import { CombinedGraphQLErrors, graphQLResultHasProtocolErrors, PROTOCOL_ERRORS_SYMBOL, ServerError } from '@apollo/client/errors';
import { type CursorStore, judge, memory, pushed, resumable, type Snapshot, type Tuning, eventOf, variablesAfter, type Verdict } from 'resumable-graphql';

import { epochOf } from './epochs.ts';

type Operation = ApolloLink.Operation;
type Result = ApolloLink.Result;

export interface ResumableLinkOptions extends Omit<Tuning, 'onReset' | 'signal' | 'store'> {
  /**
   * A query that reads what is shown and selects `cursor` beside it. It is asked of the server with those of the
   * subscription's variables that it declares, and the cache takes what it brings. Or what does such a thing.
   */
  snapshot: DocumentNode | ((client: ApolloClient, variables: Operation['variables'], signal: AbortSignal) => Snapshot | Promise<Snapshot>);
  /** Where the cursor of a subscription is kept, beyond its life. Keep the cache there as well. */
  store?: ((operation: Operation) => CursorStore) | undefined;
  /** The log went back in time, or does not go back far enough. Evict what no policy and no snapshot replaces. */
  onReset?: ((client: ApolloClient) => unknown) | undefined;
}

/** Marks the query of a snapshot: it waits for nothing. */
const SNAPSHOT = 'resumable-graphql:snapshot';

/**
 * Stands before the links that send. Subscriptions that declare `$after` go on through lost connections: every event
 * once and in order. Without a value for `$after` they begin with a snapshot. Queries and mutations whose answer is of an
 * epoch that has ended are asked again, or fail: a mutation with an idempotency key can be tried again.
 */
export function resumableLink(options: ResumableLinkOptions): ApolloLink {
  return new ApolloLink((operation, forward) => {
    if (operation.operationType !== 'subscription') return inEpoch(operation, forward);
    if (!declared(operation.query).includes('after')) return forward(operation);
    return resumed(operation, forward, options);
  });
}

/** Answers of one epoch. */
function inEpoch(operation: Operation, forward: ApolloLink.ForwardFunction): Observable<Result> {
  const epoch = epochOf(operation.client.cache);
  return new Observable((observer) => {
    const over = new AbortController();
    const ask = async () => {
      if (!operation.getContext()[SNAPSHOT]) await epoch.begun;
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
        if (operation.operationType === 'query') void ask();
        else observer.error(signal.reason);
      };
      signal.addEventListener('abort', again);
      over.signal.addEventListener('abort', leave);
      subscription = forward(operation).subscribe({
        next: (result) => observer.next(result),
        error(cause) {
          leave();
          observer.error(cause);
        },
        complete() {
          leave();
          observer.complete();
        },
      });
    };
    void ask();
    return () => over.abort();
  });
}

function resumed(operation: Operation, forward: ApolloLink.ForwardFunction, options: ResumableLinkOptions): Observable<Result> {
  const { client, variables } = operation;
  const { snapshot, store, onReset, ...tuning } = options;
  return new Observable((observer) => {
    const over = new AbortController();
    const kept = store?.(operation) ?? memory();
    const follow = async () => {
      try {
        const first = (await kept.get()) ?? (variables['after'] as string | null | undefined) ?? undefined;
        if (over.signal.aborted) return;
        const member = epochOf(client.cache).join(!!first);
        over.signal.addEventListener('abort', member.left);
        const results = resumable<Result>({
          ...tuning,
          signal: over.signal,
          store: { get: () => first, set: (cursor) => kept.set(cursor) },
          place: eventOf,
          judge: (cause) => tuning.judge?.(cause) ?? verdict(cause),
          async *subscribe(after, signal) {
            const moving = variablesAfter({ ...variables, after });
            operation.variables = moving.variables;
            const sent = pushed<Result>(signal, (sink) => {
              const { next, ...rest } = sink;
              const subscription = forward(operation).subscribe({
                ...rest,
                next(result) {
                  moving.see(result);
                  next(result);
                },
              });
              return () => subscription.unsubscribe();
            });
            for await (const result of sent) {
              if (graphQLResultHasProtocolErrors(result)) throw result.extensions[PROTOCOL_ERRORS_SYMBOL];
              // As Apollo's users know it; with what there is instead of an event, `eventOf` fails as well.
              if (result.errors && !Object.values(result.data ?? {})[0]) throw new CombinedGraphQLErrors(result);
              eventOf(result);
              yield result;
            }
          },
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
        // Apollo writes a result into its cache, and tells it, before this goes on.
        for await (const result of results) observer.next(result);
        observer.complete();
      } catch (cause) {
        observer.error(cause);
      } finally {
        over.abort();
      }
    };
    void follow();
    return () => over.abort();
  });
}

/** Reads a snapshot into the cache. */
async function read(client: ApolloClient, query: DocumentNode, variables: Operation['variables'], signal: AbortSignal): Promise<string> {
  const known = declared(query).filter((name) => name in variables).map((name) => [name, variables[name]]);
  const { data } = await client.query<{ cursor: string }>({
    query, variables: Object.fromEntries(known), fetchPolicy: 'network-only',
    // One that is under way already may be older than the end of the epoch.
    context: { [SNAPSHOT]: true, queryDeduplication: false, fetchOptions: { signal } },
  });
  return data!.cursor;
}

function declared({ definitions }: DocumentNode): string[] {
  return definitions.flatMap((definition) =>
    definition.kind === 'OperationDefinition' ? (definition.variableDefinitions ?? []).map(({ variable }) => variable.name.value) : []);
}

/** Of what Apollo makes of refusals and of closed sockets; undefined where that is what others do as well. */
function verdict(cause: any): Verdict | undefined {
  // With some WebSockets, Apollo takes the event that a socket failed for a GraphQL error.
  if (cause?.errors?.[0]?.target) return 'again';
  const code = /^Socket closed with event (\d+)/.exec(cause?.message)?.[1];
  if (code) return judge({ code: Number(code) });
  if (!ServerError.is(cause)) return undefined;
  try {
    return judge({ errors: JSON.parse(cause.bodyText).errors, status: cause.statusCode });
  } catch {
    return judge({ status: cause.statusCode });
  }
}
