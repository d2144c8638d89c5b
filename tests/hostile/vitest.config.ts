import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // One line for each as it ends: a load that hangs is known by what is missing.
    reporters: ['verbose'],
    // One after the other: a family measures memory and counts sends, and must not see another's load.
    fileParallelism: false,
    // Nothing here is timed; this only says when to give up. A server that is starved never finishes a load.
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // A test that passes at the second try has found something.
    retry: 0,
  },
});
