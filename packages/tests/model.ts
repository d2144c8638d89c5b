/** A server that keeps its promises, in memory: a log of one conversation, whose cursors are an epoch and a position. */

import type { World } from './world.ts';

export const STATUSES = ['SENT', 'DELIVERED', 'READ'] as const;
export type Status = (typeof STATUSES)[number];
export const rank = (status: Status): number => STATUSES.indexOf(status);

export interface Message {
  __typename: 'Message';
  id: string;
  body: string;
  sentAt: string;
  status: Status;
  readCount: number;
}

export type Event = { cursor: string; previous?: string | null } & (
  | { __typename: 'MessageSent'; message: Message }
  | { __typename: 'StatusChanged'; messages: Pick<Message, '__typename' | 'id' | 'status' | 'readCount'>[] }
  | { __typename: 'Checkpoint' }
);

interface Entry {
  /** Null for what happened elsewhere: it moves cursors on, and is told to nobody. */
  event: { id: string; status: Status; body?: string } | null;
  origin: string | undefined;
  key: string | undefined;
}

export interface Subscriber {
  next(event: Event): void;
  refuse(code: string): void;
}

interface Following {
  told: number;
  last: string | null;
  origin: string | undefined;
  subscriber: Subscriber;
}

/** A subscription is told so often that there is nothing to tell, in milliseconds. */
export const CHECKPOINTS = 60_000;

export class Server {
  epoch = 1;
  /** Whether events say what was told before them. */
  readonly saysPrevious: boolean;
  log: Entry[] = [];
  /** Whether the database answers. */
  isAvailable = true;
  readonly #following = new Set<Following>();
  #ids = 0;
  /** What the log came to when that was last asked. */
  #standing: { key: string; messages: Message[] } = { key: '', messages: [] };

  constructor(world: World, saysPrevious: boolean) {
    this.saysPrevious = saysPrevious;
    const check = () => {
      for (const one of this.#following) this.#tell(one, { __typename: 'Checkpoint' }, this.log.length);
      world.later(CHECKPOINTS, check);
    };
    world.later(CHECKPOINTS, check);
  }

  cursorOf(position: number): string {
    return `e${this.epoch}p${position}`;
  }

  get cursor(): string {
    return this.cursorOf(this.log.length);
  }

  /** As they are now, in the order in which they were sent. */
  get messages(): Message[] {
    const key = `${this.epoch} ${this.log.length}`;
    if (this.#standing.key !== key) this.#standing = { key, messages: this.#read() };
    // What is told does not change by what happens later.
    return this.#standing.messages.map((message) => ({ ...message }));
  }

  #read(): Message[] {
    const messages = new Map<string, Message>();
    this.log.forEach(({ event }, index) => {
      if (!event) return;
      const { id, status, body } = event;
      if (body !== undefined) messages.set(id, this.#message(id, body, index));
      else this.#mark(messages.get(id)!, status);
    });
    return [...messages.values()];
  }

  /** One message per key, however often it is sent. */
  send(body: string, origin?: string, key?: string): Message {
    const known = key === undefined ? -1 : this.log.findIndex((entry) => entry.key === key);
    const position = known < 0 ? this.log.length : known;
    if (known < 0) this.#append({ event: { id: `m${++this.#ids}`, status: 'SENT', body }, origin, key });
    const { id } = this.log[position]!.event!;
    return this.messages.find((message) => message.id === id)!;
  }

  /** A mark never goes back. */
  mark(id: string, status: Status, origin?: string): Message | undefined {
    const message = this.messages.find((message) => message.id === id);
    if (!message) return undefined;
    if (rank(message.status) < rank(status)) this.#append({ event: { id, status }, origin, key: undefined });
    return this.messages.find((message) => message.id === id)!;
  }

  /** Something happens that this viewer does not see. */
  elsewhere(): void {
    this.#append({ event: null, origin: undefined, key: undefined });
  }

  /** A backup takes the place of the log: so many entries are gone, and with them all that cursors stood for. */
  restore(lost: number): void {
    this.log = this.log.slice(0, Math.max(0, this.log.length - lost));
    this.epoch++;
    const following = [...this.#following];
    this.#following.clear();
    for (const { subscriber } of following) subscriber.refuse('CURSOR_EXPIRED');
  }

  /** Tells everything after a cursor, then what happens, until it is stopped. */
  follow(after: string | null | undefined, origin: string | undefined, subscriber: Subscriber): () => void {
    const [, epoch, position] = /^e(\d+)p(\d+)$/.exec(after ?? this.cursor) ?? [];
    const told = Number(position);
    const refusal = !this.isAvailable ? 'UNAVAILABLE'
      : !epoch ? 'CURSOR_INVALID'
      : Number(epoch) !== this.epoch || told > this.log.length ? 'CURSOR_EXPIRED'
      : undefined;
    if (refusal) {
      subscriber.refuse(refusal);
      return () => {};
    }
    const one: Following = { told, last: null, origin, subscriber };
    this.#following.add(one);
    this.#catchUp(one);
    return () => this.#following.delete(one);
  }

  #append(entry: Entry): void {
    this.log.push(entry);
    for (const one of this.#following) this.#catchUp(one);
  }

  #catchUp(one: Following): void {
    while (one.told < this.log.length) {
      const position = ++one.told;
      const { event, origin } = this.log[position - 1]!;
      if (!event || (origin !== undefined && origin === one.origin)) continue;
      // What it says of a message is what is so by now, which may be more than what happened then.
      const message = this.messages.find(({ id }) => id === event.id)!;
      const { __typename, id, status, readCount } = message;
      this.#tell(one, event.body === undefined
        ? { __typename: 'StatusChanged', messages: [{ __typename, id, status, readCount }] }
        : { __typename: 'MessageSent', message }, position);
    }
  }

  #tell(one: Following, event: object, position: number): void {
    const cursor = this.cursorOf(position);
    const previous = this.saysPrevious ? { previous: one.last } : {};
    one.last = cursor;
    one.subscriber.next({ cursor, ...previous, ...event } as Event);
  }

  #message(id: string, body: string, index: number): Message {
    return { __typename: 'Message', id, body, sentAt: String(index).padStart(6, '0'), status: 'SENT', readCount: 0 };
  }

  #mark(message: Message, status: Status): void {
    message.status = status;
    message.readCount = Number(status === 'READ');
  }
}

/** Documents for this server, as a library sends them. */
export const SNAPSHOT = /* GraphQL */ `
  query Snapshot {
    cursor
    conversation { __typename id messages(last: 500) {
      __typename nodes { __typename id body sentAt status readCount } pageInfo { __typename startCursor }
    } }
  }
`;
export const EVENTS = /* GraphQL */ `
  subscription Events($after: Cursor) {
    events(after: $after) {
      __typename
      cursor
      previous
      ... on MessageSent { message { __typename id body sentAt status readCount } }
      ... on StatusChanged { messages { __typename id status readCount } }
    }
  }
`;
/** For a server that does not say what was told before. */
export const EVENTS_ALONE = EVENTS.replace('      previous\n', '');
/** What is shown, for libraries that have it from a cache. */
export const SHOWN = SNAPSHOT.replace('query Snapshot', 'query Shown').replace('cursor\n', '');
export const SEND = /* GraphQL */ `
  mutation Send($body: String!, $key: String!) {
    sendMessage(body: $body, key: $key) { __typename message { __typename id body sentAt status readCount } }
  }
`;
export const MARK = /* GraphQL */ `
  mutation Mark($id: ID!, $status: String!) {
    mark(id: $id, status: $status) { __typename message { __typename id status readCount } }
  }
`;
