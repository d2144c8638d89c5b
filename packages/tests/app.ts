/** An app without a library's cache, as the READMEs of the core, -ws and -sse have it. */

import { Epoch, type Execute, type FollowOptions, judge } from 'resumable-graphql';

import type { Client, Join, Start } from './chaos.ts';
import { type Event, EVENTS, EVENTS_ALONE, MARK, type Message, rank, SEND, SNAPSHOT } from './model.ts';

type News = Pick<Message, 'id' | 'status' | 'readCount'> & Partial<Message>;
type Snapshot = { cursor: string; conversation: { messages: { nodes: Message[] } } };

/** How an app follows, and asks. */
export interface Means {
  follow(options: FollowOptions<Event, Snapshot>): AsyncIterable<Event>;
  ask: Execute;
  stop?(): void;
}

interface State {
  known: Record<string, News>;
  from: string;
  told: string[];
  /** Keys of what was sent and answered. Kept with the rest: an answer that a crash made forget is asked for again. */
  answered: string[];
}

export const app = (means: (start: Start) => Means, EpochOf = Epoch): Join => (start): Client => {
  const { network, world, disk, changed, failed, silence } = start;
  const { follow, ask, stop } = means(start);
  const over = new AbortController();
  const epoch = new EpochOf();
  // Together with its cursor, or what is under way at a crash would be lost or repeated.
  let state: State = (disk.get('state') as State | undefined) ?? { known: {}, from: '', told: [], answered: [] };
  state = structuredClone(state);
  take(Object.values(state.known));
  if (disk.has('cursor')) epoch.begin();

  function take(news: News[]): void {
    for (const came of news) {
      const known = state.known[came.id];
      const status = epoch.reach(`${came.id}.status`, came.status, rank);
      const readCount = epoch.reach(`${came.id}.readCount`, came.readCount, Number);
      state.known[came.id] = { ...known, ...came, status, readCount };
    }
    changed();
  }

  /** Asks until there is an answer of this epoch. */
  async function askForSure(query: string, variables: Record<string, unknown>): Promise<any> {
    while (!over.signal.aborted) {
      await epoch.begun;
      const tooLong = new AbortController();
      const forget = world.later(silence, () => tooLong.abort());
      try {
        const signal = AbortSignal.any([epoch.signal, over.signal, tooLong.signal]);
        for await (const { data, errors } of ask({ query, variables }, signal)) {
          if (!data) throw errors;
          return data;
        }
      } catch (cause) {
        if (judge(cause) === 'end') throw cause;
      } finally {
        forget();
      }
      await world.wait(1_000, over.signal);
    }
  }

  const options: FollowOptions<Event, Snapshot> = {
    events: network.server.saysPrevious ? EVENTS : EVENTS_ALONE,
    snapshot: SNAPSHOT,
    signal: over.signal,
    silence,
    store: {
      get: () => disk.get('cursor') as string | undefined,
      set(cursor) {
        disk.set('cursor', cursor);
        disk.set('state', structuredClone(state));
      },
    },
    renew: network.renew,
    onReset() {
      epoch.end();
      state.known = {};
    },
    onSnapshot({ cursor, conversation }) {
      Object.assign(state, { from: cursor, told: [] });
      take(conversation.messages.nodes);
      epoch.begin();
    },
    now: world.now,
    wait: world.wait,
    random: world.random,
  };
  void (async () => {
    for await (const event of follow(options)) {
      state.told.push(event.cursor);
      // Something that takes time to deal with.
      if (world.oneIn(5)) await world.wait(world.between(0, 200), over.signal);
      if (over.signal.aborted) return;
      if (event.__typename === 'MessageSent') take([event.message]);
      if (event.__typename === 'StatusChanged') take(event.messages);
    }
    if (!over.signal.aborted) throw new Error('it has ended');
  })().catch(failed);

  type Mutation = { query: string; variables: Record<string, unknown> };
  const outbox = () => (disk.get('outbox') ?? disk.set('outbox', new Map()).get('outbox')) as Map<string, Mutation>;
  async function deliver(key: string, { query, variables }: Mutation): Promise<void> {
    const data = await askForSure(query, variables);
    if (!data) return;
    const [{ message }] = Object.values<{ message: Message | null }>(data) as [{ message: Message | null }];
    state.answered.push(key);
    if (message) take([message]);
  }
  for (const [key, mutation] of outbox()) if (!state.answered.includes(key)) void deliver(key, mutation).catch(failed);
  /** What was not answered before a crash is asked for again after it: by then it may be behind the cursor. */
  function mutate(key: string, mutation: Mutation): void {
    outbox().set(key, mutation);
    void deliver(key, mutation).catch(failed);
  }

  return {
    // A status can be here before its message is.
    shown: () => (Object.values(state.known) as Message[]).filter(({ sentAt }) => sentAt).sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1)),
    epoch: () => epoch.number,
    history: () => state,
    send: (body, key) => mutate(key, { query: SEND, variables: { body, key } }),
    mark: (id, status) => mutate(`${id} ${status}`, { query: MARK, variables: { id, status } }),
    refetch: () => void askForSure(SNAPSHOT, {}).then((data) => data && take(data.conversation.messages.nodes)).catch(failed),
    stop() {
      over.abort();
      stop?.();
    },
  };
};
