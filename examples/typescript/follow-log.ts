/**
 * Follows the deliveries of all users, for a back end: what was sent, received and read, in order, once.
 *
 *     KEY=hsk_… node follow-log.ts log.json
 *
 * The key needs the scope `read` (`herald key add NAME --scope read`). The program keeps its cursor in the file, together
 * with what it made of the events, so it goes on there after it was killed. Without a file it begins now.
 *
 * It reads the subscription `log` over server-sent events. Nothing but Node.js is needed: 22.18 or later runs this file
 * as it is, 20 what `tsc` makes of it. HERALD_URL names a herald that is not on this machine.
 */

import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const HERALD = process.env['HERALD_URL'] ?? 'http://127.0.0.1:8000/graphql';

/** herald writes a sign of life every 25 seconds (--ping-interval). After two missing ones the connection is dead. */
const SILENCE_MS = 60_000;

/** After so long without an answer, a request is repeated. */
const PATIENCE_MS = 10_000;

const LOG = `subscription ($after: Cursor) {
  log(after: $after, checkpoints: true) {
    __typename cursor at
    ... on MessageSent { conversation { id } message { id body sender { externalId } } }
    ... on StatusChanged { status recipient { externalId } messages(first: 200) { id status } }
  }
}`;

interface Person {
  externalId: string | null;
}

/** There are more kinds, and there will be others: whoever does not know one passes over it. */
type LogEvent = { cursor: string; at: string } & (
  | { __typename: 'MessageSent'; conversation: { id: string }; message: { id: string; body: string; sender: Person } }
  | { __typename: 'StatusChanged'; status: 'DELIVERED' | 'READ'; recipient: Person; messages: { id: string; status: string }[] }
  | { __typename: 'Checkpoint' }
);

interface GraphQLError {
  message: string;
  extensions?: { code?: string };
}

/** What is kept: the place in the log, and what was made of everything up to it. */
interface State {
  after: string;
  counts: Record<string, number>;
}

/** herald refuses. To repeat it is no use. */
class Refused extends Error {
  constructor(errors: unknown) {
    super(`herald refuses: ${JSON.stringify(errors)}`);
  }
}

/** Sends a document. A refusal that passes is an error like a lost connection. */
async function send(key: string, request: object, accept: string, signal: AbortSignal): Promise<Response> {
  const headers = { accept, authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(HERALD, { method: 'POST', headers, body: JSON.stringify(request), signal });
  // 5xx says that herald cannot answer now, 429 that too much is under way. Both pass.
  if (response.status >= 500 || response.status === 429) throw new Error(`herald answers ${response.status}`);
  if (!response.ok) refuse(((await response.json()) as { errors: GraphQLError[] }).errors);
  return response;
}

function refuse(errors: GraphQLError[]): never {
  if (errors.some(({ extensions }) => extensions?.code === 'UNAVAILABLE')) throw new Error('the database does not answer now');
  throw new Refused(errors);
}

/** Yields the name and the data of each event of a `text/event-stream`. Tells of everything that comes. */
async function* serverSentEvents(
  body: ReadableStream<Uint8Array>, heard: () => void,
): AsyncGenerator<{ name: string; data: string }, void> {
  let rest = '';
  let [name, data] = ['message', ''];
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    heard();
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines.map((line) => line.replace(/\r$/, ''))) {
      // A line that begins with a colon is a sign of life: it has no field. An empty line ends an event.
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line)!;
      if (field === 'event') name = value;
      else if (field === 'data') data += value;
      else if (line === '') {
        yield { name, data };
        [name, data] = ['message', ''];
      }
    }
  }
}

/**
 * Aborts what takes too long. In Node.js 20, the first `fetch` waits for ever if its connection is closed as soon as it is
 * open, with nothing that keeps Node.js running. The timer of AbortSignal.timeout would not do that, either.
 */
class Patience {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on, for so long. */
  begin(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new Error('herald is silent')), milliseconds);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

/** Yields the events after a cursor. Fails when the connection ends. */
async function* receive(key: string, after: string): AsyncGenerator<LogEvent, void> {
  const patience = new Patience();
  patience.begin(PATIENCE_MS);
  try {
    const response = await send(key, { query: LOG, variables: { after } }, 'text/event-stream', patience.signal);
    for await (const { name, data } of serverSentEvents(response.body!, () => patience.begin(SILENCE_MS))) {
      if (name !== 'next') continue;
      const result = JSON.parse(data) as { data?: { log: LogEvent } | null; errors?: GraphQLError[] };
      if (!result.data) refuse(result.errors!);
      yield result.data.log;
    }
    throw new Error('herald has broken the response off');
  } finally {
    patience.end();
  }
}

/** Yields every event after a cursor, once and in order, for ever. */
async function* follow(key: string, after: string): AsyncGenerator<LogEvent, void> {
  for (;;) {
    try {
      for await (const event of receive(key, after)) {
        yield event;
        after = event.cursor; // The generator goes on only after the caller has dealt with the event.
      }
    } catch (cause) {
      await again(cause);
    }
  }
}

/** The cursor of now. */
async function now(key: string): Promise<string> {
  for (;;) {
    const patience = new Patience();
    patience.begin(PATIENCE_MS);
    try {
      const response = await send(key, { query: '{ cursor }' }, 'application/json', patience.signal);
      const { data, errors } = (await response.json()) as { data?: { cursor: string } | null; errors?: GraphQLError[] };
      if (!data) refuse(errors!);
      return data.cursor;
    } catch (cause) {
      await again(cause);
    } finally {
      patience.end();
    }
  }
}

/** Waits a little, and says why. Throws what does not pass. */
async function again(cause: unknown): Promise<void> {
  if (cause instanceof Refused) throw cause;
  console.error(`follow-log.ts: ${cause}; it connects again`);
  await pause(1_000);
}

/** Counts what was sent, and what was received and read. Put your own work here. */
function take(counts: State['counts'], event: LogEvent): void {
  const kind = event.__typename === 'StatusChanged' ? event.status : event.__typename;
  counts[kind] = (counts[kind] ?? 0) + 1;
}

/** Place and counts change together, or not at all: the name is given to the file only when it is whole. */
function keep(path: string, state: State): void {
  const file = openSync(`${path}.new`, 'w');
  writeSync(file, JSON.stringify(state));
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}

const [path = 'log.json'] = process.argv.slice(2);
const key = process.env['KEY'] ?? '';
try {
  const state: State = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : { after: await now(key), counts: {} };
  keep(path, state);
  for await (const event of follow(key, state.after)) {
    state.after = event.cursor;
    if (event.__typename !== 'Checkpoint') take(state.counts, event);
    keep(path, state);
    if (event.__typename !== 'Checkpoint') console.log(JSON.stringify(event));
  }
} catch (cause) {
  if (!(cause instanceof Refused)) throw cause;
  console.error(`follow-log.ts: ${cause.message}`);
  process.exitCode = 1;
}
