/** GraphQL over HTTP, as its specification's audit of servers has it: what must be, should be and may be. */

import { serverAudits } from 'graphql-http';
import { describe, expect } from 'vitest';

import { test as base } from './fixtures.ts';
import { User } from './user.ts';

/** How many checks the audit has. If another version has more or fewer, herald has to be held to those. */
const CHECKS = 61;

const test = base.extend('token', { scope: 'file' }, async ({ herald }) => (await User.register(herald, 'bob')).token);

const CALLERS: [string, (token: string) => Record<string, string>][] = [
  ['without a token', () => ({})],
  ['with a token', (token) => ({ authorization: `Bearer ${token}` })],
];

// Their names are needed before there is a server. They are the same for any.
const checks = serverAudits({ url: '' }).map(({ id, name }) => [id, name] as const);

test('none of the checks is left out', () => {
  expect(new Set(checks.map(([id]) => id)).size).toBe(CHECKS);
});

describe.for(CALLERS)('%s', ([, credentials]) => {
  test.for(checks)('%s: %s', async ([id, name], { herald, token }) => {
    const fetchFn = (url: string, init: RequestInit = {}) =>
      fetch(url, { ...init, headers: { ...(init.headers as Record<string, string>), ...credentials(token) } });
    const check = serverAudits({ url: herald.http, fetchFn }).find((one) => one.id === id);
    // One that fails has another status, even if it is only advice, and a reason.
    expect(await check?.fn()).toEqual({ id, name, status: 'ok' });
  });
});
