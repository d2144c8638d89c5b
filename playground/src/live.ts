/**
 * How a client stays complete: take a snapshot with its cursor, subscribe after it, keep the cursor of every event,
 * and when the connection is lost, subscribe again after the last. Nothing is missed, nothing comes twice, and
 * nothing polls.
 */

import type { Client, CombinedError } from '@urql/vue';
import { tryOnScopeDispose, useBroadcastChannel, useEventListener } from '@vueuse/core';
import { computed, readonly, ref, shallowReactive, shallowRef, watch } from 'vue';

import type { ConversationsQuery, EventsSubscription } from '../generated/graphql';
import { codeOf, createHeraldClient, createSocket } from './client';
import { CONVERSATIONS, EVENTS } from './operations';

export type Event = EventsSubscription['events'];
export type State = 'connecting' | 'connected' | 'reconnecting' | 'crowded' | 'offline' | 'refused';

/** A line of the inspector. */
export interface Frame {
  id: number;
  at: Date;
  title: string;
  cursor?: string;
  event?: Event;
  /** Whether it happened before this connection began, as far as the two clocks agree. */
  isReplayed?: boolean;
}

/** How many lines the inspector keeps. */
const FRAMES = 300;

/** How herald closes a socket of a client that is at fault: trying again would be in vain. */
const FAULTS = [1002, 1007, 1009, 4400, 4401, 4406, 4409, 4429];

/** What herald says when the same user has as many sockets open as it allows. */
const CROWDED = { code: 4403, reason: 'Too many sockets of this user' };

/** How long to wait then, in milliseconds: until somebody has closed a tab. And how long a tab takes to be gone. */
const CROWDED_PAUSE = 30_000;
const LEAVING = 1_000;

/** What people are told of the codes with which a socket closes and is opened again. */
const REASONS: Record<number, string> = {
  1001: 'herald is being restarted.',
  1013: 'herald is busy, or does not reach its database.',
};

export interface Listener {
  /** A page of conversations was loaded. */
  onConversations(page: ConversationsQuery['conversations']): void;
  onEvent(event: Event): void;
  /** herald says that nobody is signed in here. */
  onSignedOut(): void;
}

export function useLive(listener: Listener) {
  const client = shallowRef<Client>();
  const state = ref<State>('connecting');
  /** Why there is no connection, for people. */
  const problem = ref('');
  const after = ref<string>();
  const frames = shallowReactive<Frame[]>([]);
  let isCut = false;
  let isOver = false;
  let connectedAt = 0;
  let interrupt = () => {};
  let wake = () => {};

  const socket = createSocket({
    connected() {
      state.value = 'connected';
      problem.value = '';
      connectedAt = Date.now();
      record('connection_ack');
    },
    closed(event) {
      const { code, reason } = event as CloseEvent;
      problem.value = REASONS[code] ?? (navigator.onLine ? 'herald cannot be reached.' : 'This device has no network.');
      if (!isCut && state.value !== 'crowded') state.value = 'reconnecting';
      record(`closed ${code} ${reason}`);
    },
  });

  function record(title: string, details: Partial<Frame> = {}): void {
    frames.push({ id: (frames.at(-1)?.id ?? 0) + 1, at: new Date(), title, ...details });
    if (frames.length > FRAMES) frames.shift();
  }

  /** A cache of its own for each snapshot: of an epoch that has ended, nothing is left. */
  async function takeSnapshot(): Promise<string> {
    const fresh = createHeraldClient(socket, () => isCut);
    const { data, error } = await fresh.query(CONVERSATIONS, {}, { requestPolicy: 'network-only' }).toPromise();
    if (!data) throw error;
    record('snapshot', { cursor: data.cursor });
    client.value = fresh;
    listener.onConversations(data.conversations);
    return data.cursor;
  }

  /** Rejects when the subscription or its connection ends. */
  const receive = (from: string) =>
    new Promise<never>((_, reject) => {
      record('subscribe after', { cursor: from });
      const events = client.value!.subscription(EVENTS, { after: from });
      const { unsubscribe } = events.subscribe(({ data, error, hasNext }) => {
        if (error || !data || !hasNext) return reject(error); // an end repeats the last event
        const event = data.events;
        const isReplayed = Date.parse(event.at) < connectedAt;
        record(event.__typename, { cursor: event.cursor, event, isReplayed });
        listener.onEvent(event);
        after.value = event.cursor; // only now that the event is dealt with
      });
      interrupt = () => {
        unsubscribe();
        reject();
      };
    });

  async function follow(): Promise<void> {
    for (let failures = 0; !isOver; ) {
      if (isCut) await new Promise<void>((resolve) => (wake = resolve));
      const before = after.value;
      let isCrowded = false;
      try {
        after.value ??= await takeSnapshot();
        if (!isOver && !isCut) await receive(after.value);
      } catch (cause) {
        const error = cause as CombinedError | undefined;
        const { code: close, reason } = (error?.networkError ?? {}) as Partial<CloseEvent>;
        const code = codeOf(error) ?? '';
        isCrowded = close === CROWDED.code && reason === CROWDED.reason;
        if (isCrowded) problem.value = 'You have herald open in more tabs and on more devices than it allows.';
        else if (['CURSOR_INVALID', 'CURSOR_EXPIRED'].includes(code)) after.value = undefined;
        else if (code === 'UNAUTHENTICATED' || close === 4403) listener.onSignedOut();
        else if (close && FAULTS.includes(close)) return void (state.value = 'refused');
      }
      interrupt();
      if (isOver || isCut) continue;
      failures = after.value === before ? failures + 1 : 0;
      state.value = isCrowded ? 'crowded' : 'reconnecting';
      await pause(isCrowded ? CROWDED_PAUSE : Math.min(250 * 2 ** failures, 8_000));
    }
  }

  /** Not all clients at once; and no longer than until the network is back, or somebody looks at this tab. */
  function pause(wait: number): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, wait * (0.5 + Math.random() / 2));
    });
  }
  const { data: left, post } = useBroadcastChannel<number, number>({ name: 'herald:left' });
  watch(left, () => state.value === 'crowded' && setTimeout(() => wake(), LEAVING));
  useEventListener(window, 'pagehide', () => post(Date.now()));
  useEventListener(window, 'offline', () => socket.terminate()); // which a socket would notice much later
  useEventListener(window, 'online', () => !isCut && wake());
  useEventListener(document, 'visibilitychange', () => !isCut && wake());

  tryOnScopeDispose(() => {
    isOver = true;
    interrupt();
    wake();
    void socket.dispose();
  });
  void follow();

  return {
    client,
    state: readonly(state),
    problem: readonly(problem),
    isConnected: computed(() => state.value === 'connected'),
    after: readonly(after),
    frames,
    /** Cuts this tab off: no socket, no requests, no attempts, until it goes online. */
    goOffline(): void {
      isCut = true;
      problem.value = '';
      state.value = 'offline';
      interrupt();
      wake();
    },
    goOnline(): void {
      isCut = false;
      state.value = 'reconnecting';
      wake();
    },
    /** Tries at once, and not when the pause is over. */
    tryNow: () => wake(),
  };
}
