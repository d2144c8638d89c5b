/** `test`, with a herald that is a subgraph. */

import { test as base } from '../fixtures.ts';
import { Herald } from '../herald.ts';
import { serve } from './subgraphs.ts';

export const test = base
  .extend('herald', { scope: 'file' }, async ({}, { onCleanup }) => {
    const herald = await Herald.create('--federation');
    onCleanup(() => herald.remove());
    return herald;
  })
  /** The subgraph, as the command prints it. */
  .extend('sdl', { scope: 'file' }, ({ herald }) => herald.print('schema', '--federation'))
  .extend('subgraphs', { scope: 'file' }, async ({ herald, sdl }, { onCleanup }) => {
    const subgraphs = await serve(sdl, herald.http);
    onCleanup(() => subgraphs.close());
    return subgraphs;
  });
