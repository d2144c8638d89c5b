// @ts-expect-error It comes without types.
import { transformAsync } from '@babel/core';
import { defineConfig, type Plugin } from 'vitest/config';

export default defineConfig({
  plugins: [relay()],
  test: {
    // Tests wait for what happens, not for time to pass, so these only say when to give up. The server may be
    // an unoptimised build on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A test that passes at the second try has found something.
    retry: 0,
  },
});

/** Puts what relay-compiler made of them in the place of `graphql` tags. */
function relay(): Plugin {
  return {
    name: 'relay',
    enforce: 'pre',
    transform: {
      filter: { id: /\/relay\/[^/]+\.ts$/ },
      handler(code, filename) {
        const parserOpts = { plugins: ['typescript'] };
        return transformAsync(code, { filename, plugins: ['relay'], parserOpts, sourceMaps: true });
      },
    },
  };
}
