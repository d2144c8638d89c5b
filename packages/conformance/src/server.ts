/** The server under test, spoken to by its mapping. */

import { randomBytes } from 'node:crypto';

import { Proxy } from '../../../tests/clients/proxy.ts';
import { jsonOf, open } from './http.ts';
import { at, fill, type Mapping, type Operation, type TransportName, type Values } from './mapping.ts';
import { Stream, type Told } from './stream.ts';
import { Connection, eventSource, type Peer, type Read, type Request, TRANSPORTS } from './transports.ts';

/** What an operator does. Without one of them, the checks that need it are skipped. */
export interface Operator {
  /** Stops the server as an operator would, and starts it again. */
  restart?(): Promise<unknown>;
  /** Kills it, and starts it again. */
  kill?(): Promise<unknown>;
  /** Takes a backup, and returns what puts it back while or before the server runs again: an epoch ends. */
  backUp?(): Promise<() => Promise<unknown>>;
}

/** How one subscription is asked for. */
export interface Following {
  after?: string | null;
  checkpoints?: boolean;
  includeOwn?: boolean;
  /** Another operation than `events`. */
  by?: Operation;
  /** Through a network that can fail. */
  through?: Proxy;
  /** The name of the connection. */
  origin?: string;
  /** As a new EventSource, or one that comes back. */
  eventSource?: { lastEventId?: string };
  /** On a connection that there is. */
  on?: Connection;
}

export interface Viewer {
  name: string;
  values: Values;
}

export class Server {
  readonly url: URL;
  readonly mapping: Mapping;
  readonly operator: Operator;

  constructor(url: string, mapping: Mapping, operator: Operator = {}) {
    this.url = new URL(url);
    this.mapping = mapping;
    this.operator = operator;
  }

  async ask(viewer: Viewer | undefined, operation: Operation, values: Values = {}, origin?: string): Promise<any> {
    const { query, variables = {}, read = {} } = operation;
    const peer = this.peer(viewer, { origin });
    const body = { query, variables: fill(variables, { ...viewer?.values, ...values }) };
    const { data, errors } = await jsonOf(await open(peer.http, { headers: { accept: 'application/json', ...peer.headers }, body }));
    if (errors) throw new Error(`${query.trim().slice(0, 60)}… is refused: ${JSON.stringify(errors)}`);
    return { data, ...Object.fromEntries(Object.entries(read).map(([name, path]) => [name, at(path, data)])) };
  }

  async signIn(name: string): Promise<Viewer> {
    const unique = `${name}-${randomBytes(4).toString('hex')}`;
    const values = await this.ask(undefined, this.mapping.operations.signIn, { name: unique });
    return { name: unique, values: { ...values, name: unique } };
  }

  peer(viewer: Viewer | undefined, { through, origin }: { through?: Proxy | undefined; origin?: string | undefined } = {}): Peer {
    const { paths = {}, headers = {}, connectionParams = {}, options } = this.mapping;
    const base = through ? `http://127.0.0.1:${through.port}` : this.url.origin;
    const named = origin !== undefined && options?.origin;
    return {
      http: base + (paths.http ?? this.url.pathname),
      websocket: base.replace('http', 'ws') + (paths.websocket ?? this.url.pathname),
      headers: { ...(viewer && fill(headers, viewer.values)), ...(named && { [named.header]: origin }) },
      connectionParams: { ...(viewer && fill(connectionParams, viewer.values)), ...(named && { [named.param]: origin }) },
    };
  }

  connect(viewer: Viewer | undefined, options: { through?: Proxy; origin?: string } = {}): Connection {
    return new Connection(this.peer(viewer, options));
  }

  subscribe(transport: TransportName, viewer: Viewer | undefined, room: string | undefined, following: Following = {}): Stream {
    const { by = this.mapping.operations.events, on, eventSource: asked } = following;
    const request = this.request(viewer, room, following);
    const read = this.reader(by);
    if (on) return on.subscribe(request, read);
    const peer = this.peer(viewer, following);
    if (asked) return eventSource(peer, request, read, asked.lastEventId);
    return TRANSPORTS[transport](peer, request, read);
  }

  request(viewer: Viewer | undefined, room: string | undefined, following: Following): Request {
    const { after, checkpoints, includeOwn, by = this.mapping.operations.events } = following;
    const variables: Values = { ...fill(by.variables ?? {}, { ...viewer?.values, room }) as Values };
    const declares = (name: string) => new RegExp(`\\$${name}\\b`).test(by.query);
    if (after !== undefined) variables['after'] = after;
    if (checkpoints && declares('checkpoints')) variables['checkpoints'] = true;
    if (includeOwn && declares('includeOwn')) variables['includeOwn'] = true;
    return { query: by.query, variables };
  }

  /** Through which a subscription can be cut, delayed and lost. */
  network(): Promise<Proxy> {
    const { protocol, hostname, port } = this.url;
    if (protocol !== 'http:') throw new Error('the proxy inside carries http only: test the server behind TLS, not in front');
    return Proxy.to(Number(port || 80), hostname.replace(/^\[|\]$/g, ''));
  }

  get names() {
    return { after: 'after', cursor: 'cursor', previous: 'previous', checkpoint: 'Checkpoint', ...this.mapping.names };
  }

  private reader({ read = {} }: Operation): Read {
    const { cursor, previous } = this.names;
    return (data, id): Told => {
      const [event] = Object.values(data) as any[];
      return {
        cursor: event[cursor], previous: event[previous], type: event.__typename, caughtUp: event.caughtUp,
        text: read['text'] === undefined ? undefined : at(read['text'], data), id,
      } as Told;
    };
  }
}
