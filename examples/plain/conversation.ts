/** A conversation without a library's cache, for graphql-ws, graphql-sse or an EventSource. */

/** `ask` repeats a request until there is an answer. `follow` resumes by itself. Both reject when herald refuses. */
export interface Transport {
  ask(query: string, variables: object): Promise<any>;
  follow(query: string, variables: { id: string; after: string }): AsyncIterable<any>;
}

const STATUSES = ['SENT', 'DELIVERED', 'READ'] as const;

export interface Message {
  id: string;
  body: string;
  sentAt: string;
  status: (typeof STATUSES)[number];
  deliveredCount: number;
  readCount: number;
  sender: { handle: string };
}

/** The part of a message that an answer or an event holds. */
type News = Pick<Message, 'id'> & Partial<Message>;

const MESSAGE = 'id body sentAt status deliveredCount readCount sender { handle }';
const SNAPSHOT = `query Snapshot($id: ID!) {
  cursor conversation(id: $id) { messages(last: 50) { nodes { ${MESSAGE} } } }
}`;
const EVENTS = `subscription Events($id: ID!, $after: Cursor!) {
  events(conversationId: $id, after: $after) {
    __typename cursor
    ... on MessageSent { message { ${MESSAGE} } }
    ... on StatusChanged { messages(first: 200) { id status deliveredCount readCount } }
  }
}`;
const SEND = `mutation Send($input: SendMessageInput!) { sendMessage(input: $input) { message { ${MESSAGE} } } }`;

export class Conversation {
  readonly #transport: Transport;
  readonly #id: string;
  readonly #onChange: () => void;
  /** By id. Of some messages only the status is known yet, because the answer with the message is still under way. */
  #known = new Map<string, News>();

  constructor(transport: Transport, id: string, onChange = () => {}) {
    this.#transport = transport;
    this.#id = id;
    this.#onChange = onChange;
  }

  /** The messages in the order of the log, which is that of `sentAt` as text. */
  get messages(): Message[] {
    const whole = [...this.#known.values()].filter((known): known is Message => known.sentAt !== undefined);
    return whole.sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1));
  }

  /** Follows the conversation until the viewer leaves it. Rejects when herald refuses. */
  async follow(): Promise<void> {
    for (;;) {
      const known = this.#known;
      try {
        const after = await this.#read(known);
        for await (const event of this.#transport.follow(EVENTS, { id: this.#id, after })) {
          if (event.__typename === 'MessageSent') this.#add(known, [event.message]);
          if (event.__typename === 'StatusChanged') this.#add(known, event.messages);
          if (event.messages?.length === 200) await this.#read(known); // There may be more: an event lists 200 at most.
        }
        return;
      } catch (cause) {
        const code = Array.isArray(cause) && cause[0]?.extensions?.code;
        if (code !== 'CURSOR_INVALID' && code !== 'CURSOR_EXPIRED') throw cause;
        // A restored backup or a failover took herald back in time: messages may be missing, and statuses lower.
        this.#known = new Map();
      }
    }
  }

  /** Sends a message. Repeat it with the same key if the answer was lost: herald stores one message for each key. */
  send(body: string, idempotencyKey: string = crypto.randomUUID()): Promise<void> {
    const input = { conversationId: this.#id, body, idempotencyKey };
    return this.take(this.#transport.ask(SEND, { input }).then(({ sendMessage }) => [sendMessage.message]));
  }

  /** Takes the messages of an answer, such as that of a mark. It ignores one that comes after the end of its epoch. */
  async take(answer: Promise<News[]>): Promise<void> {
    const known = this.#known;
    this.#add(known, await answer);
  }

  /** Reads the newest page. Removes older messages, since there may be a gap before the page. Returns the cursor. */
  async #read(known: Map<string, News>): Promise<string> {
    const { cursor, conversation } = await this.#transport.ask(SNAPSHOT, { id: this.#id });
    const page: Message[] = conversation?.messages.nodes ?? [];
    for (const { id, sentAt } of known.values()) if (page[0] && sentAt && sentAt < page[0].sentAt) known.delete(id);
    this.#add(known, page);
    return cursor;
  }

  /** Answers and events may come in any order. Of values that only grow within an epoch, it keeps the greatest. */
  #add(known: Map<string, News>, news: News[]): void {
    for (const came of news) {
      const before = known.get(came.id);
      known.set(came.id, {
        ...before,
        ...came,
        status: STATUSES[Math.max(STATUSES.indexOf(before?.status ?? 'SENT'), STATUSES.indexOf(came.status ?? 'SENT'))]!,
        deliveredCount: Math.max(before?.deliveredCount ?? 0, came.deliveredCount ?? 0),
        readCount: Math.max(before?.readCount ?? 0, came.readCount ?? 0),
      });
    }
    if (known === this.#known) this.#onChange();
  }
}
