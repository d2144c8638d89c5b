/** How a server spells its operations. A mapping is JSON, as maps/herald.json is. */

import { readFile } from 'node:fs/promises';

/** A document. `"$name"` in its variables is filled in; `read` says where in the answer a value is (`*` for each of a list). */
export interface Operation {
  query: string;
  variables?: unknown;
  read?: Record<string, string>;
}

export type TransportName = 'websocket' | 'sse' | 'multipart';

export interface Mapping {
  /** Paths at the server; by default that of the URL. */
  paths?: { http?: string; websocket?: string };
  transports: TransportName[];
  /** What every request of a viewer has over HTTP. `$token`, and whatever else `signIn` reads, is filled in. */
  headers?: Record<string, string>;
  /** The payload of `connection_init`. */
  connectionParams?: Record<string, unknown>;
  /** Other names of what the specification calls so (S6). */
  names?: { after?: string; cursor?: string; previous?: string; checkpoint?: string };
  /** The options that the server has. */
  options?: {
    previous?: boolean;
    /** `seconds`: the longest time without an event or a checkpoint. */
    checkpoints?: { seconds: number };
    /** How a connection is named: a header over HTTP, a member of `connection_init`. */
    origin?: { header: string; param: string };
  };
  /** How many events are kept at least; missing if all are. */
  keeps?: number;
  /** The longest time between two signs of life of a stream, in seconds. Missing: not tried. */
  heartbeat?: number;
  /** The field of `connection_ack`'s payload that is a cursor, if there is one. */
  ackCursor?: string;
  operations: {
    /** Makes and signs in a viewer called `$name`, and reads what `headers` needs. */
    signIn: Operation;
    signOut?: Operation;
    /** Opens a room of the viewer and `$guest`; reads `room`. */
    open: Operation;
    /** Says `$text` in `$room`; reads `cursor` where the payload has one. */
    say: Operation;
    /** Reads `cursor`, and `texts` of `$room`: at least the last 50. */
    snapshot: Operation;
    /** Takes the viewer out of `$room`, which ends what is followed there. */
    leave?: Operation;
    /** Brings `$guest` into `$room`. */
    invite?: Operation;
    /**
     * Follows `$room`, with the variable `after`, and `checkpoints` and `includeOwn` where there are those options. Selects
     * `__typename`, `cursor` and `previous`; reads `text`.
     */
    events: Operation;
    /** The same in all rooms that the viewer is in. */
    everywhere?: Operation;
    /** Another field that tells what is said in `$room`. */
    another?: Operation;
  };
}

export type Values = Record<string, unknown>;

/** Reads and checks a mapping. What is wrong with it is said in words. */
export async function readMapping(file: string): Promise<Mapping> {
  const mapping = JSON.parse(await readFile(file, 'utf8')) as Mapping;
  for (const name of ['signIn', 'open', 'say', 'snapshot', 'events'] as const) {
    if (typeof mapping.operations?.[name]?.query !== 'string') throw new Error(`${file}: operations.${name}.query is missing`);
  }
  if (!mapping.transports?.length) throw new Error(`${file}: transports names none of websocket, sse, multipart`);
  return mapping;
}

/** A copy in which each `$name` is filled in. What is nothing but one `$name` keeps its type. */
export function fill<T>(template: T, values: Values): T {
  if (typeof template === 'string') {
    const whole = /^\$(\w+)$/.exec(template);
    if (whole) return values[whole[1]!] as T;
    return template.replace(/\$(\w+)/g, (_, name) => String(values[name])) as T;
  }
  if (Array.isArray(template)) return template.map((part) => fill(part, values)) as T;
  if (typeof template !== 'object' || !template) return template;
  const filled = Object.entries(template).map(([name, part]) => [name, fill(part, values)]);
  // What was not given is left out, and not null.
  return Object.fromEntries(filled.filter(([, part]) => part !== undefined)) as T;
}

/** What stands at a path such as `room.messages.*.text`. */
export function at(path: string, value: any): any {
  const [name, ...rest] = path.split('.');
  if (name === '*') return (value ?? []).map((part: unknown) => (rest.length ? at(rest.join('.'), part) : part));
  const found = value?.[name!];
  return rest.length ? at(rest.join('.'), found) : found;
}
