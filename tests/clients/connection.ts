/** A graphql-ws client, and what tests ask of one. */

import { type Client, type ClientOptions, createClient, type FormattedExecutionResult } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import WebSocket from 'ws';

/** What herald says in `connection_ack`. */
export interface Ack {
  connectionId: string;
  cursor: string;
}

export interface Close {
  code: number;
  reason: string;
}

export type Variables = Record<string, unknown>;

export class Connection {
  readonly client: Client;
  /** One for each time that the client connected. */
  readonly acks: (Ack & { wasRetry: boolean })[] = [];
  /** How the socket ended, the first time that one did. */
  readonly closed: Promise<Close>;

  private constructor(options: ClientOptions) {
    this.client = createClient({
      webSocketImpl: WebSocket,
      // Open from the start, until the test ends: whether there is an operation just now makes no difference.
      lazy: false,
      // The tests look at `closed`.
      onNonLazyError: () => {},
      retryAttempts: 0,
      on: {
        connected: (_socket, payload, wasRetry) => {
          this.acks.push({ ...(payload as unknown as Ack), wasRetry });
        },
      },
      ...options,
    });
    this.closed = new Promise((resolve) => this.client.on('closed', (event) => resolve(event as Close)));
  }

  /** Connects, and waits for the server's ack. Rejects with the close event where the server wants nobody. */
  static async open(options: ClientOptions): Promise<Connection> {
    const connection = new Connection(options);
    // A client that is just connecting in vain says so; by now nobody wants to know.
    onTestFinished(() => Promise.resolve(connection.client.dispose()).catch(() => {}));
    await new Promise<void>((resolve, reject) => {
      connection.client.on('connected', () => resolve());
      void connection.closed.then(reject);
    });
    return connection;
  }

  get ack(): Ack {
    const ack = this.acks.at(-1);
    if (!ack) throw new Error('not connected');
    return ack;
  }

  /** Subscribes, to what happened since this connection was made unless `after` says otherwise. */
  subscribe<E>(query: string, variables: Variables = {}): Inbox<E> {
    return new Inbox(this.client.iterate({ query, variables: { after: this.ack.cursor, ...variables } }));
  }

  /** A query or a mutation over the socket: its one result. */
  async ask<D>(query: string, variables: Variables = {}): Promise<FormattedExecutionResult<D>> {
    const results: FormattedExecutionResult<D>[] = [];
    const iterator = this.client.iterate<D, Record<string, unknown>>({ query, variables });
    for await (const result of iterator) results.push(result);
    const [result] = results;
    if (!result || results.length > 1) throw new Error(`${results.length} results, where one was wanted`);
    return result;
  }
}

/** What is common to the results of graphql-ws and of graphql-sse. */
export interface Result<E> {
  data?: Record<string, E> | null | undefined;
  errors?: readonly unknown[] | undefined;
}

/** What a subscription receives, kept until a test asks for it. */
export class Inbox<E> {
  readonly #results: AsyncIterator<Result<E>>;
  // Asked for ahead of time: graphql-ws and graphql-sse forget an error that comes before anyone waits for a result.
  #ahead!: Promise<IteratorResult<Result<E>>>;

  constructor(results: AsyncIterator<Result<E>>) {
    this.#results = results;
    this.#ask();
  }

  /** The next event. */
  async next(): Promise<E> {
    const { done, value } = await this.#ahead;
    if (done) throw new Error('the subscription is complete');
    this.#ask();
    if (value.errors) throw value.errors;
    const [event] = Object.values(value.data ?? {});
    if (!event) throw new Error('a result without an event');
    return event;
  }

  /** The next events, so many of them. */
  async take(count: number): Promise<E[]> {
    const events = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }

  #ask(): void {
    this.#ahead = this.#results.next();
    // Whoever calls `next` is told of it.
    this.#ahead.catch(() => {});
  }
}
