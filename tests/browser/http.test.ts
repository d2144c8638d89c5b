/** How the pages and their parts come over HTTP. */

import { get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { expect, onTestFinished } from 'vitest';

import { Herald } from '../clients/herald.ts';
import { test as base } from './fixtures.ts';

interface Answer {
  status: number | undefined;
  headers: IncomingMessage['headers'];
  /** As it came: `fetch` would decompress it. */
  body: Buffer;
}

const test = base.extend('ask', ({ herald }) => (path: string, headers: Record<string, string> = {}) =>
  new Promise<Answer>((resolve, reject) => {
    // As it is: a URL would leave out the dots of a path.
    get({ port: herald.port, path, headers }, async (answer) => {
      const { statusCode: status, headers } = answer;
      resolve({ status, headers, body: await buffer(answer) });
    }).on('error', reject);
  }),
);

const PAGES = ['/', '/graphiql'];

const GZIP = { 'accept-encoding': 'gzip' };

/** How much the chat may load before it is there, in bytes: half a second at the 1.6 Mbit/s of a fast 3G. */
const FIRST_LOAD = 90 * 1024;

test.for(PAGES)('%s is asked for each time, and answered in full only when it has changed', async (path, { ask }) => {
  const { status, headers, body } = await ask(path);
  expect(status).toBe(200);
  expect(headers).toMatchObject({
    'content-type': expect.stringMatching(/^text\/html/),
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    etag: expect.stringMatching(/^"[^"]+"$/),
  });
  expect(body.toString()).toContain('<!doctype html>');

  const again = await ask(path, { 'if-none-match': headers.etag! });
  expect(again).toMatchObject({ status: 304, headers: { 'cache-control': 'no-cache', etag: headers.etag } });
  expect(again.body).toHaveLength(0);
  expect(await ask(path, { 'if-none-match': '"of another version"' })).toMatchObject({ status: 200 });
});

test.for(PAGES)('%s may load nothing from elsewhere, and runs nothing that is written into it', async (path, { ask }) => {
  const { headers } = await ask(path);
  const policy = new Map(
    String(headers['content-security-policy']).split(/;\s*/).map((directive) => {
      const [name, ...sources] = directive.split(/\s+/);
      return [name!, sources];
    }),
  );
  expect(policy.get('default-src')).toEqual(["'none'"]);
  expect(policy.get('script-src')).toEqual(["'self'"]);
  expect(policy.get('connect-src')).toEqual(["'self'"]);
  for (const name of ['base-uri', 'form-action', 'frame-ancestors']) expect(policy.get(name)).toEqual(["'none'"]);
  const sources = [...policy.values()].flat().filter((source) => !["'none'", "'self'"].includes(source));
  // Monaco writes styles into the page, and draws waves under what is wrong.
  expect(sources).toEqual(path === '/' ? [] : ["'unsafe-inline'", 'data:']);
  expect(policy.get('style-src')).toEqual(path === '/' ? ["'self'"] : ["'self'", "'unsafe-inline'"]);
});

test.for(PAGES)('what %s is made of is kept by the browser, and comes compressed', async (path, { ask }) => {
  const page = (await ask(path)).body.toString();
  const assets = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, asset]) => asset!);
  expect(assets.map((asset) => asset.split('.').at(-1))).toEqual(expect.arrayContaining(['js', 'css', 'svg']));

  for (const asset of assets) {
    const plain = await ask(asset);
    expect(plain).toMatchObject({ status: 200, headers: { 'cache-control': 'public, max-age=31536000, immutable' } });
    expect(plain.headers).not.toHaveProperty('content-encoding');
    expect(plain.headers.vary).toMatch(/accept-encoding/i);
  }
  for (const asset of assets.filter((name) => /\.(js|css)$/.test(name))) {
    const [plain, compressed] = [await ask(asset), await ask(asset, { 'accept-encoding': 'gzip, br' })];
    expect(compressed.headers['content-encoding']).toBe('gzip');
    expect(compressed.headers['content-type']).toBe(plain.headers['content-type']);
    expect(gunzipSync(compressed.body)).toEqual(plain.body);
    expect(compressed.body.length).toBeLessThan(plain.body.length);
  }
});

test('the chat is small', async ({ ask }) => {
  const page = await ask('/', GZIP);
  const assets = [...(await ask('/')).body.toString().matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, asset]) => asset!);
  const parts = [page, ...(await Promise.all(assets.map((asset) => ask(asset, GZIP))))];
  const bytes = parts.reduce((sum, { body }) => sum + body.length, 0);
  expect(bytes).toBeGreaterThan(50 * 1024);
  expect(bytes).toBeLessThanOrEqual(FIRST_LOAD);
});

test.for(['/assets/nothing.js', '/assets/../../README.md', '/assets/%2e%2e/%2e%2e/README.md', '/index.html', '/graphiql/'])(
  'there is nothing at %s', async (path, { ask }) => {
    const { status, headers, body } = await ask(path);
    expect({ status, type: headers['content-type'] }).toEqual({ status: 404, type: 'application/json; charset=utf-8' });
    expect(JSON.parse(body.toString())).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  },
);

test('with --no-playground there is none, and GraphQL is where it was', async () => {
  const herald = await Herald.create('--no-playground');
  onTestFinished(() => herald.remove());
  for (const path of [...PAGES, '/assets/']) {
    const answer = await fetch(new URL(path, herald.http));
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  }
  const answer = await fetch(herald.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ cursor }' }),
  });
  expect(await answer.json()).toMatchObject({ data: { cursor: expect.any(String) } });
});
