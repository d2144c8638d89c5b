import { createClient, type Sink } from 'graphql-ws';
import {
  commitLocalUpdate, commitMutation, Environment, fetchQuery, type GraphQLResponse, Observable, type RecordSourceProxy, requestSubscription,
} from 'relay-runtime';
import { Silent } from 'resumable-graphql';
import { resumable } from 'resumable-graphql-relay';
import { expect, test } from 'vitest';

import { type Client, type Join, runs } from './chaos.ts';
import { compiled } from './compiled.ts';
import { type Event, EVENTS, EVENTS_ALONE, MARK, type Message, SEND, SHOWN, SNAPSHOT, STATUSES } from './model.ts';
import { outbox } from './outbox.ts';
import { fetching, webSocket } from './wire.ts';

const [shownDocument, events, eventsAlone, snapshot, send, mark] = [SHOWN, EVENTS, EVENTS_ALONE, SNAPSHOT, SEND, MARK].map(compiled);

const join: Join = (start): Client => {
  const { network, world, origin, changed, failed, silence } = start;
  const socket = createClient({ url: 'ws://model', webSocketImpl: webSocket(network, origin), retryAttempts: 0 });
  const ask = fetching(network, origin);
  const history = { from: '', told: [] as string[], number: 0 };
  /** The ids of the messages that are shown. */
  const ids = new Set<string>();
  const onLost = (cause: unknown) => void (cause instanceof Silent && socket.terminate());
  const live = resumable({
    snapshot: () => ({ environment, query: snapshot!, variables: {} }),
    onReset: () => ids.clear(),
    renew: network.renew, silence, onLost, now: world.now, wait: world.wait, random: world.random,
  });
  const store = live.store({ Message: { status: STATUSES, readCount: Number } });
  const environment: Environment = new Environment({
    network: live.network(
      ({ text: query, name }, variables) => {
        const headers = { accept: 'application/json', 'content-type': 'application/json' };
        const answer = ask('http://model/graphql', { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
          .then((response) => response.json());
        // Notes where the events begin.
        const next = ({ data }: any) => {
          if (name !== 'Snapshot' || !data) return;
          Object.assign(history, { from: data.cursor, told: [], number: history.number + 1 });
          list(data.conversation.messages.nodes);
        };
        return Observable.from<GraphQLResponse>(answer).do({ next });
      },
      ({ text }, variables) => Observable.create((sink) => socket.subscribe({ query: text!, variables }, sink as Sink)),
    ),
    store,
  });
  const list = (messages: { id: string }[]) => {
    for (const { id } of messages) ids.add(id);
    changed();
  };
  const over = new AbortController();
  const { dispose } = requestSubscription<any>(environment, {
    subscription: (network.server.saysPrevious ? events : eventsAlone)!,
    variables: {},
    onNext(data: { events: Event }) {
      if (data.events.__typename === 'MessageSent') list([data.events.message]);
      history.told.push(data.events.cursor);
      changed();
    },
    onError: failed,
  });
  const mutate = outbox(start, over.signal, ({ query, variables }) => new Promise<void>((resolve, reject) => {
    commitMutation<any>(environment, {
      mutation: (query === SEND ? send : mark)!,
      variables,
      onCompleted(data: Record<string, { message: Message | null }>) {
        if (data['sendMessage']) list([data['sendMessage'].message!]);
        changed();
        resolve();
      },
      onError: reject,
    });
  }));
  return {
    shown: () => [...ids].map((id) => store.getSource().get(id) as unknown as Message | undefined).filter((message) => message?.sentAt)
      .map((message) => message!).sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1)),
    // What was shown before stays on display until there is a snapshot.
    epoch: () => history.number,
    history: () => history,
    send: (body, key) => mutate(key, SEND, { body, key }),
    mark: (id, status) => mutate(`${id} ${status}`, MARK, { id, status }),
    refetch: () => void fetchQuery<any>(environment, shownDocument!, {}).subscribe({
      next: ({ conversation }: any) => list(conversation.messages.nodes), error: () => {},
    }),
    stop() {
      over.abort();
      dispose();
      void Promise.resolve(socket.dispose()).catch(() => {});
    },
  };
};

test('nothing is lost, repeated or taken back, whatever happens', async () => {
  expect((await runs(join)).lied).toBeGreaterThan(0);
});

test('nor with credentials that expire', async () => {
  expect((await runs(join, 300, true)).renewed).toBeGreaterThan(0);
});

test('an optimistic update that does not come true takes nothing forward', () => {
  const live = resumable({ snapshot: () => expect.unreachable() });
  const network = live.network(() => expect.unreachable(), () => expect.unreachable());
  const environment = new Environment({ network, store: live.store({ Message: { status: STATUSES } }) });
  const status = () => environment.getStore().getSource().get('m1')?.['status'];
  const say = (status: string) => (store: RecordSourceProxy) => void (store.get('m1') ?? store.create('m1', 'Message')).setValue(status, 'status');
  commitLocalUpdate(environment, say('SENT'));
  const optimistic = environment.applyUpdate({ storeUpdater: say('READ') });
  expect(status()).toBe('READ');
  optimistic.dispose();
  expect(status()).toBe('SENT');
  commitLocalUpdate(environment, say('DELIVERED'));
  expect(status()).toBe('DELIVERED');
  commitLocalUpdate(environment, say('SENT'));
  expect(status()).toBe('DELIVERED');
});
