/**
 * `test`, whose tests ask by name for what they need. The server is the same for all tests of a file: whoever ends
 * it starts it again. People and their conversation are new in each test.
 */

import { test as base } from 'vitest';

import { Herald } from './herald.ts';
import { Proxy } from './proxy.ts';
import { User } from './user.ts';

export const test = base
  .extend('herald', { scope: 'file' }, async ({}, { onCleanup }) => {
    const herald = await Herald.create();
    onCleanup(() => herald.remove());
    return herald;
  })
  /** Between whoever takes it and the server. */
  .extend('network', async ({ herald }, { onCleanup }) => {
    const network = await Proxy.to(herald.port);
    onCleanup(() => network.close());
    return network;
  })
  .extend('alice', ({ herald }) => User.register(herald, 'alice'))
  .extend('bob', ({ herald }) => User.register(herald, 'bob'))
  /** Of Alice and Bob. */
  .extend('conversationId', ({ alice, bob }) => alice.converse(bob));
