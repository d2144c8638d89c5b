/** What libraries put between themselves and a network, spoken by the network in memory: WebSocket, fetch, EventSource. */

import { codesOf, type Request, type Result } from 'resumable-graphql';

import type { Line, Network } from './network.ts';

/** A WebSocket with the model server at its other end, which speaks graphql-transport-ws. */
export function webSocket(network: Network, origin: string): new (url: string, protocol: string) => unknown {
  return class Socket {
    static readonly CONNECTING = 0;
    static readonly OPEN = 1;
    static readonly CLOSING = 2;
    static readonly CLOSED = 3;
    readyState: number = Socket.CONNECTING;
    onopen: (() => void) | undefined;
    onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | undefined;
    onerror: ((event: unknown) => void) | undefined;
    onmessage: ((event: { data: string }) => void) | undefined;
    readonly #line: Line | undefined;
    readonly #operations = new Map<string, Line>();

    constructor() {
      // A proxy that stops says a normal goodbye.
      const broken = () => this.#end(network.closeCode ?? (network.world.oneIn(4) ? 1000 : 1006));
      this.#line = network.connect(broken);
      if (!this.#line) network.world.later(5, broken);
      this.#line?.carry(() => {
        this.readyState = Socket.OPEN;
        this.onopen?.();
      });
    }

    send(text: string): void {
      const line = this.#line!;
      line.carry(() => {
        const { type, id, payload } = JSON.parse(text) as { type: string; id: string; payload: Request };
        if (type === 'connection_init') this.#hear({ type: 'connection_ack', payload: {} });
        if (type === 'ping') this.#hear({ type: 'pong' });
        if (type === 'complete') this.#operations.get(id)?.close();
        if (type !== 'subscribe') return;
        const carrying = operation(line);
        this.#operations.set(id, carrying);
        network.answer({ ...payload, variables: payload.variables ?? {} }, carrying, {
          next: (result) => this.#hear({ type: 'next', id, payload: result }),
          end: (errors) =>
            // As herald does: a socket whose credential has expired is closed.
            codesOf(errors).includes('UNAUTHENTICATED') ? this.#end(4403)
            : this.#hear(errors ? { type: 'error', id, payload: errors } : { type: 'complete', id }),
        }, origin);
      });
    }

    close(code = 1005): void {
      this.#line?.close();
      this.readyState = Socket.CLOSING;
      network.world.later(1, () => this.#end(code));
    }

    /** What arrives here has come over the line already. */
    #hear(message: object): void {
      if (this.readyState === Socket.OPEN) this.onmessage?.({ data: JSON.stringify(message) });
    }

    #end(code: number): void {
      if (this.readyState === Socket.CLOSED) return;
      // In browsers a socket that failed is closed by the time that it says so, and with ws it is about to be.
      this.readyState = network.world.oneIn(2) ? Socket.CLOSED : Socket.CLOSING;
      this.#line?.close();
      if (code === 1006) this.onerror?.({ message: 'connection lost', target: this });
      this.readyState = Socket.CLOSED;
      this.onclose?.({ code, reason: '', wasClean: code !== 1006 });
    }
  };
}

/** A part of a connection, which ends with it or before it. */
function operation(line: Line): Line {
  const leaving = new Set<() => void>();
  let isOpen = true;
  const part = {
    leaving,
    carry: (arrive: () => void, slowness?: number) => line.carry(() => isOpen && arrive(), slowness),
    close() {
      isOpen = false;
      leaving.forEach((leave) => leave());
      leaving.clear();
      return true;
    },
  } as unknown as Line;
  line.leaving.add(() => part.close());
  return part;
}

/** `fetch`, answered with JSON or with an event stream. */
export function fetching(network: Network, origin: string): typeof fetch {
  return (_url, init = {}) => new Promise((resolve, reject) => {
    const { signal, headers, body } = init as { signal?: AbortSignal; headers: Record<string, string>; body?: string };
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const lost = () => {
      const cause = new TypeError('fetch failed');
      reject(cause);
      // The stream may have ended by itself.
      try {
        // A proxy may end it as if it was over.
        if (network.world.oneIn(2)) controller?.close();
        else controller?.error(cause);
      } catch {}
    };
    const line = network.connect(lost);
    if (!line) return void network.world.later(5, lost);
    const abort = () => {
      line.close();
      reject(signal!.reason);
      try {
        controller?.error(signal!.reason);
      } catch {}
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener('abort', abort);
    const isStream = headers['accept']!.includes('text/event-stream');
    const request: Request = { variables: {}, ...JSON.parse(body!) };
    line.carry(() => {
      // As herald does: what is no subscription is answered in JSON where that is accepted.
      if (!isStream || !/^\s*subscription/.test(request.query)) {
        const next = (result: Result) => resolve(Response.json(result));
        return network.answer(request, line, { next, end: () => line.close() }, origin);
      }
      const stream = new ReadableStream<Uint8Array>({ start: (by) => void (controller = by), cancel: () => void line.close() });
      resolve(new Response(stream, { headers: { 'content-type': 'text/event-stream' } }));
      const write = (text: string) => torn(text, network).forEach((part) => controller!.enqueue(new TextEncoder().encode(part)));
      network.answer(request, line, {
        next: (result) => write(`:\n\n${event('next', result)}`),
        end(errors) {
          if (errors) write(event('next', { errors }));
          write('event: complete\ndata:\n\n');
          controller!.close();
          line.close();
        },
      }, origin);
    });
  });
}

const event = (type: string, result: Result) =>
  `event: ${type}\r\nid: ${result.data?.['events']?.cursor ?? ''}\r\ndata: ${JSON.stringify(result)}\r\n\r\n`;

/** In one piece, or in two. */
function torn(text: string, { world }: Network): string[] {
  const at = Math.floor(world.between(0, 2 * text.length));
  return [text.slice(0, at), text.slice(at)].filter((part) => part);
}

/** An EventSource, as far as one is used: it never says why it was refused. */
export function eventSource(network: Network, origin: string): (url: string) => EventTarget & { readyState: number; close(): void } {
  return (url) => {
    const parameters = new URL(url).searchParams;
    const request = { query: parameters.get('query')!, variables: JSON.parse(parameters.get('variables')!) };
    const source = Object.assign(new EventTarget(), { readyState: 0, close: () => void line?.close() });
    const tell = (type: string, data?: unknown) => source.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data) }));
    const broken = () => void tell('error');
    const line = network.connect(broken);
    if (!line) {
      network.world.later(5, broken);
      return source;
    }
    line.carry(() => {
      source.readyState = 1;
      network.answer(request, line, {
        next: (result) => tell('next', result),
        end(errors) {
          if (errors) tell('next', { errors });
          tell('complete');
        },
      }, origin);
    });
    return source;
  };
}
