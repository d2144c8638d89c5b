/** The three ways in which a subscription is asked for. */

import type { IncomingMessage } from 'node:http';

import WebSocket from 'ws';

import { jsonOf, open } from './http.ts';
import type { TransportName } from './mapping.ts';
import { Stream, type Told } from './stream.ts';

export interface Request {
  query: string;
  variables: Record<string, unknown>;
}

/** Where to ask, and as whom. */
export interface Peer {
  http: string;
  websocket: string;
  headers: Record<string, string>;
  connectionParams: Record<string, unknown>;
}

/** Finds the event in a result's data. */
export type Read = (data: any, id?: string) => Told;

export type Subscribe = (peer: Peer, request: Request, read: Read) => Stream;

const codesOf = (errors: any) => (Array.isArray(errors) ? errors.map((error) => error?.extensions?.code) : []);

/** A connection of graphql-transport-ws, with any number of subscriptions. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #streams = new Map<string, { stream: Stream; read: Read }>();
  #isOpen = false;
  #waiting: string[] = [];
  #next = 1;
  /** The payload of `connection_ack`. */
  readonly ack: Promise<any>;
  /** Settles with the code with which the socket was closed; 1006 if it broke. */
  readonly closed: Promise<number>;

  constructor(peer: Peer) {
    // As in a browser, no header says who it is.
    this.#socket = new WebSocket(peer.websocket, 'graphql-transport-ws');
    const send = (message: object) => this.#socket.send(JSON.stringify(message));
    this.#socket.on('open', () => send({ type: 'connection_init', payload: peer.connectionParams }));
    this.#socket.on('error', () => {});
    let acked: (payload: unknown) => void;
    this.ack = new Promise((resolve) => (acked = resolve));
    this.closed = new Promise((resolve) => this.#socket.on('close', (status) => {
      resolve(status);
      acked(undefined);
      this.#streams.forEach(({ stream }) => stream.end({ how: 'lost', status }));
    }));
    this.#socket.on('message', (data) => {
      const { type, id, payload } = JSON.parse(String(data));
      const { stream, read } = this.#streams.get(id) ?? {};
      if (type === 'connection_ack') {
        this.#isOpen = true;
        acked(payload);
        this.#waiting.forEach((text) => this.#socket.send(text));
      } else if (type === 'ping') send({ type: 'pong' });
      else if (type === 'error') stream?.end({ how: 'refused', codes: codesOf(payload) });
      else if (type === 'complete') stream?.end({ how: 'complete' });
      else if (type === 'next' && payload.errors && !Object.values(payload.data ?? {})[0]) {
        stream?.end({ how: 'refused', codes: codesOf(payload.errors), flaw: 'a next with errors, and not an error' });
      } else if (type === 'next') stream?.tell(read!(payload.data));
      if (type === 'ping') this.#streams.forEach((each) => each.stream.sign());
    });
  }

  subscribe(request: Request, read: Read, isAlone = false): Stream {
    const id = String(this.#next++);
    const stream = new Stream(() => (isAlone ? this.close() : this.#send({ id, type: 'complete' })));
    this.#streams.set(id, { stream, read });
    this.#send({ id, type: 'subscribe', payload: request });
    return stream;
  }

  close(): void {
    this.#socket.terminate();
  }

  #send(message: object): void {
    const text = JSON.stringify(message);
    if (!this.#isOpen) this.#waiting.push(text);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }
}

const websocket: Subscribe = (peer, request, read) => new Connection(peer).subscribe(request, read, true);

/** A response that goes on: what it brings is handed to `take` in pieces of text. */
function streaming(accept: string, take: (stream: Stream, piece: string, response: IncomingMessage) => void, begin: (signal: AbortSignal) => Promise<IncomingMessage>): Stream {
  const over = new AbortController();
  const stream = new Stream(() => over.abort());
  void (async () => {
    const response = await begin(over.signal);
    const status = response.statusCode!;
    if (!response.headers['content-type']?.includes(accept)) {
      // A status without a body says enough.
      const { errors } = status === 204 ? { errors: [] } : await jsonOf(response);
      return stream.end({ how: status === 204 ? 'complete' : 'refused', codes: codesOf(errors), status });
    }
    response.setEncoding('utf8');
    for await (const piece of response) take(stream, piece as string, response);
  })().catch(() => {}).finally(() => stream.end({ how: 'lost' }));
  return stream;
}

/** Of an `EventSource`: by GET, with `Last-Event-ID` if it comes back. */
export function eventSource(peer: Peer, { query, variables }: Request, read: Read, lastEventId?: string): Stream {
  const url = `${peer.http}?${new URLSearchParams({ query, variables: JSON.stringify(variables) })}`;
  const headers = { accept: 'text/event-stream', ...peer.headers, ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) };
  return streaming('text/event-stream', sseTaker(read), (signal) => open(url, { method: 'GET', headers, signal }));
}

const sse: Subscribe = (peer, request, read) => streaming('text/event-stream', sseTaker(read), (signal) =>
  open(peer.http, { headers: { accept: 'text/event-stream', ...peer.headers }, body: request, signal }));

function sseTaker(read: Read) {
  let rest = '';
  let errors: unknown;
  return (stream: Stream, piece: string) => {
    rest += piece.replaceAll('\r\n', '\n');
    const blocks = rest.split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const fields = new Map<string, string>();
      for (const line of block.split('\n')) {
        const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
        fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
      }
      if (fields.has('')) stream.sign();
      const type = fields.get('event');
      stream.lastEventId = fields.get('id') ?? stream.lastEventId;
      if (type === 'complete') {
        stream.end(errors ? { how: 'refused', codes: codesOf(errors) } : { how: 'complete' });
      } else if (type === 'next') {
        const result = JSON.parse(fields.get('data')!);
        if (result.errors && !Object.values(result.data ?? {})[0]) errors = result.errors;
        else stream.tell(read(result.data, fields.get('id')));
      }
    }
  };
}

const multipart: Subscribe = (peer, request, read) => streaming('multipart/mixed', multipartTaker(read), (signal) =>
  open(peer.http, { headers: { accept: 'multipart/mixed;subscriptionSpec=1.0, application/json', ...peer.headers }, body: request, signal }));

/** A part counts when the delimiter behind it is there. */
function multipartTaker(read: Read) {
  let rest = '';
  let errors: unknown;
  return (stream: Stream, piece: string, { headers }: IncomingMessage) => {
    rest += piece;
    const [, boundary = '-'] = /boundary="?([^";]+)/.exec(headers['content-type']!) ?? [];
    const parts = rest.split(`\r\n--${boundary}`);
    const [last, ...whole] = [parts.pop()!, ...parts];
    const isOver = last.startsWith('--');
    rest = isOver ? '' : last;
    for (const part of whole) {
      const body = part.split(/\r?\n\r?\n/).slice(1).join('\n\n').trim();
      if (!body) continue;
      const result = JSON.parse(body);
      stream.sign();
      if (result.errors) errors = result.errors;
      if (result.payload?.data) stream.tell(read(result.payload.data));
      else if (result.payload?.errors) errors = result.payload.errors;
    }
    if (isOver) stream.end(errors ? { how: 'refused', codes: codesOf(errors) } : { how: 'complete' });
  };
}

export const TRANSPORTS: Record<TransportName, Subscribe> = { websocket, sse, multipart };
