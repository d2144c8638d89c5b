/** Requests over HTTP from an address of one's own: every address of 127.0.0.0/8 is this machine. */

import { Agent, type IncomingHttpHeaders, request } from 'node:http';

/** What came back. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** The body's bytes. */
  bytes: number;
  text: string;
}

/** A request that is not GraphQL's usual one. */
export interface Raw {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** Somebody at an address. Connections are kept and used again, as browsers do. */
export class Caller {
  readonly address: string;
  readonly token: string | undefined;
  readonly #port: number;
  readonly #agent: Agent;

  constructor(port: number, address: string, token?: string) {
    this.#port = port;
    this.address = address;
    this.token = token;
    this.#agent = new Agent({ keepAlive: true, localAddress: address, maxSockets: 64 } as object);
  }

  /** The same, signed in. */
  as(token: string): Caller {
    return new Caller(this.#port, this.address, token);
  }

  /** Asks. Rejects when there is no answer, as when the server has ended. */
  async ask(query: string, variables: object = {}, extra: object = {}): Promise<Answer> {
    return this.raw({ body: JSON.stringify({ query, variables, ...extra }) });
  }

  /** Asks what has to succeed: its data. */
  async data<D>(query: string, variables: object = {}): Promise<D> {
    const answer = await this.ask(query, variables);
    if (codes(answer).length > 0) throw new Error(`refused: ${answer.text.slice(0, 500)}`);
    return (JSON.parse(answer.text) as { data: D }).data;
  }

  async raw({ method = 'POST', path = '/graphql', headers = {}, body }: Raw): Promise<Answer> {
    const all = {
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
      ...(this.token && { authorization: `Bearer ${this.token}` }),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port: this.#port, agent: this.#agent, localAddress: this.address, method, path, headers: all },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const whole = Buffer.concat(chunks);
            const { statusCode: status = 0, headers } = response;
            resolve({ status, headers, bytes: whole.length, text: whole.toString() });
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** Lets go of the connections. */
  close(): void {
    this.#agent.destroy();
  }
}

/** An error, as GraphQL's answers have it. */
export interface GraphQLError {
  message: string;
  extensions?: { code?: string };
}

/** The codes of an answer's errors, in order; an error without one counts as `NONE`. */
export function codes(answer: Pick<Answer, 'text'>): string[] {
  const { errors = [] } = JSON.parse(answer.text) as { errors?: GraphQLError[] };
  return errors.map(({ extensions }) => extensions?.code ?? 'NONE');
}

/** Runs `each` for 0, 1, …, `count` - 1, at most `width` of them at a time. */
export async function times<R>(count: number, width: number, each: (index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      results[index] = await each(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
  return results;
}

/** How often each of `values` occurs. */
export function tally(values: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
