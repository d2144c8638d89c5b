/** Event streams as they come, and what comes instead of one. */

import { type Result, Refused } from 'resumable-graphql';
import { overEventSource, overFetch } from 'resumable-graphql-sse';
import { describe, expect, test } from 'vitest';

const never = new AbortController().signal;
const REQUEST = { query: 'subscription { events { cursor } }', variables: {} };

/** Everything that an answer brings, and how it ends. */
async function all(answer: () => Response | Promise<Response>, over = overFetch): Promise<{ results: Result[]; cause?: unknown }> {
  const results: Result[] = [];
  try {
    for await (const result of over({ url: 'http://model/graphql', fetch: async () => answer() })(REQUEST, never)) results.push(result);
    return { results };
  } catch (cause) {
    return { results, cause };
  }
}

/** A stream whose bytes come in pieces of this size. */
function stream(text: string, size = Infinity): Response {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
}

describe.for([1, 2, 3, 7, Infinity])('a stream in pieces of %d bytes', (size) => {
  test.for(['\n', '\r\n', '\r'])('has its lines ended by %j', async (end) => {
    const lines = [
      '\uFEFF: hello', '', 'event: next', 'id: 1', 'data: {"data":', 'data:{"é":1}}', '', ':', '',
      'event:next', 'data: {"data":{"b":2}}', '', 'event: other', 'data: {}', '', 'event: complete', 'data', '', '',
    ];
    const { results, cause } = await all(() => stream(lines.join(end), size));
    expect(cause).toBeUndefined();
    expect(results).toEqual([{ data: { é: 1 } }, { data: { b: 2 } }]);
  });
});

test('a stream that ends without `complete` is lost, and its unfinished event with it', async () => {
  const { results, cause } = await all(() => stream('event: next\ndata: {"data":{"a":1}}\n\nevent: next\ndata: {"data":{"b":2}}\n'));
  expect(results).toEqual([{ data: { a: 1 } }]);
  expect(String(cause)).toContain('broke');
});

describe('an answer instead of a stream', () => {
  const errors = [{ message: 'no', extensions: { code: 'FORBIDDEN' } }];

  test.for([[403, { errors }], [200, { errors, data: null }], [502, undefined]] as const)('with %i is refused', async ([status, body]) => {
    const { cause } = await all(() => (body ? Response.json(body, { status }) : new Response('<html>', { status })));
    expect(cause).toBeInstanceOf(Refused);
    expect(cause).toMatchObject({ status, errors: body?.errors ?? [] });
  });

  test('says when to come again', async () => {
    const headers = { 'retry-after': '7' };
    expect((await all(() => Response.json({ errors }, { status: 429, headers }))).cause).toMatchObject({ retryAfter: 7_000 });
  });

  test('of a query is its result', async () => {
    expect(await all(() => Response.json({ data: { a: 1 } }))).toEqual({ results: [{ data: { a: 1 } }] });
  });
});

describe('an EventSource that is refused', () => {
  const refused = (answer: () => Response) => {
    const source = Object.assign(new EventTarget(), { readyState: 2, close() {} });
    setImmediate(() => source.dispatchEvent(new Event('error')));
    return all(answer, (endpoint) => overEventSource({ ...endpoint, open: () => source }));
  };

  test('is told why by a request of its own', async () => {
    const errors = [{ message: 'no', extensions: { code: 'UNAUTHENTICATED' } }];
    expect((await refused(() => Response.json({ errors }, { status: 401 }))).cause).toMatchObject({ status: 401, errors });
    expect((await refused(() => Response.json({ errors }))).cause).toMatchObject({ status: 200, errors });
  });

  test('tries again if it would not be refused by now', async () => {
    expect(String((await refused(() => stream(''))).cause)).toContain('not any more');
  });
});
