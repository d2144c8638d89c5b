/** One connection for all tabs of a browser: the tab that leads has it, and carries what the others ask. */

import { type Execute, Lost, pushed, type Request, type Result, Silent, type Sink } from 'resumable-graphql';

/** What is used of `navigator.locks`. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal }, hold: () => Promise<unknown>): Promise<unknown>;
}

/** What is used of a BroadcastChannel. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: { data: any }) => unknown) | null;
  close(): void;
}

export interface TabsOptions {
  /** Of what the tabs share. Another user, and another server, need another name. */
  name: string;
  /** Ends this tab's part, as closing the tab does. */
  signal?: AbortSignal | undefined;
  /** By default the browser's. */
  locks?: Locks | undefined;
  /** By default a BroadcastChannel. */
  open?: ((name: string) => Channel) | undefined;
}

/** What tabs tell each other. Everything but `who` and `leader` is for one of them. */
type Message =
  | { type: 'who' }
  | { type: 'leader'; from: string }
  | { type: 'ask'; to: string; from: string; id: string; request: Request }
  | { type: 'stop'; to: string; id: string; isSilent: boolean }
  | { type: 'result'; to: string; id: string; result: Result }
  | { type: 'end'; to: string; id: string; cause?: unknown };

/**
 * What executes documents over the connection of one tab, in whichever tab it is called. When that tab is closed, another
 * one leads, and what was under way is `Lost`: subscriptions resume.
 */
export function overTabs(execute: Execute, options: TabsOptions): Execute {
  const { name, signal: over = new AbortController().signal, locks = navigator.locks as Locks } = options;
  const open = options.open ?? ((name) => new BroadcastChannel(name));
  const me = crypto.randomUUID();
  const channel = open(name);
  /** What this tab asks of the one that leads, and what others ask of this one. */
  const asked = new Map<string, Sink<Result>>();
  const served = new Map<string, AbortController>();
  const known = new Set<string>();
  let numbers = 0;
  let leader: string | undefined;
  let isKnown = () => {};
  const isLed = new Promise<void>((resolve) => (isKnown = resolve));

  const post = (message: Message) => over.aborted || channel.postMessage(message);
  const untilOver = () => new Promise<void>((resolve) => over.addEventListener('abort', () => resolve()));
  /** Holds a lock until the tab is closed. */
  const hold = (lock: string, then: () => void) => {
    const held = () => {
      then();
      return untilOver();
    };
    locks.request(lock, { signal: over }, held).catch(() => {});
  };
  const lockOf = (tab: string) => `${name} ${tab}`;

  function follow(tab: string): void {
    if (tab === leader) return;
    leader = tab;
    for (const sink of [...asked.values()]) sink.error(new Lost('another tab leads'));
    isKnown();
  }

  async function serve({ from, id, request }: Extract<Message, { type: 'ask' }>): Promise<void> {
    const stop = new AbortController();
    served.set(id, stop);
    if (!known.has(from)) {
      known.add(from);
      // Whoever gets the lock of a tab knows that it is closed.
      const closed = async () => {
        known.delete(from);
        for (const [id, stop] of served) if (id.startsWith(from)) stop.abort();
      };
      locks.request(lockOf(from), { signal: over }, closed).catch(() => {});
    }
    try {
      for await (const result of execute(request, stop.signal)) post({ type: 'result', to: from, id, result });
      post({ type: 'end', to: from, id });
    } catch (cause) {
      post({ type: 'end', to: from, id, cause: plain(cause) });
    } finally {
      served.delete(id);
    }
  }

  channel.onmessage = ({ data: message }: { data: Message }) => {
    if (message.type === 'who') return leader === me && post({ type: 'leader', from: me });
    if (message.type === 'leader') return follow(message.from);
    if (message.to !== me) return;
    if (message.type === 'ask') return void serve(message);
    if (message.type === 'stop') return served.get(message.id)?.abort(message.isSilent ? new Silent('a tab hears nothing') : undefined);
    const sink = asked.get(message.id);
    if (message.type === 'result') sink?.next(message.result);
    else if ('cause' in message) sink?.error(revived(message.cause));
    else sink?.complete();
  };
  over.addEventListener('abort', () => {
    channel.close();
    for (const stop of served.values()) stop.abort();
  });
  // The others know by it whether this tab is there.
  const isThere = new Promise<void>((resolve) => hold(lockOf(me), resolve));
  hold(name, () => {
    follow(me);
    post({ type: 'leader', from: me });
  });
  post({ type: 'who' });

  return async function* executed(request, signal) {
    await Promise.race([Promise.all([isThere, isLed]), aborted(signal)]);
    signal.throwIfAborted();
    if (leader === me) return yield* execute(request, signal);
    yield* pushed<Result>(signal, (sink) => {
      const id = `${me} ${++numbers}`;
      const to = leader!;
      asked.set(id, sink);
      post({ type: 'ask', to, from: me, id, request });
      return () => {
        asked.delete(id);
        post({ type: 'stop', to, id, isSilent: signal.reason instanceof Silent });
      };
    });
  };
}

/** For what takes a graphql-ws client: GraphQLWsLink, urql's `forwardSubscription`, Relay's Observable. */
export function subscriber(execute: Execute): { subscribe(request: Partial<Request>, sink: Sink<any>): () => void } {
  return {
    subscribe({ query = '', variables = {} }, sink) {
      const stop = new AbortController();
      void (async () => {
        try {
          for await (const result of execute({ query, variables }, stop.signal)) sink.next(result);
          sink.complete();
        } catch (cause) {
          if (!stop.signal.aborted) sink.error(cause);
        }
      })();
      return () => stop.abort();
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** What a cause is judged by, as it can go to another tab. */
function plain(cause: any): unknown {
  if (Array.isArray(cause)) return JSON.parse(JSON.stringify(cause));
  const { message, code, reason, status, retryAfter, errors } = cause ?? {};
  return JSON.parse(JSON.stringify({ message: message ?? String(cause), code, reason, status, retryAfter, errors }));
}

function revived(cause: any): unknown {
  return Array.isArray(cause) ? cause : Object.assign(new Error(cause.message), cause);
}
