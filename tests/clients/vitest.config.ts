import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Tests wait for what happens, not for time to pass, so these only say when to give up. The server may be
    // an unoptimised build on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A test that passes at the second try has found something.
    retry: 0,
  },
});
