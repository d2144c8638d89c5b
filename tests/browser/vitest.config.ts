import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // A release build has the playground inside.
    env: { HERALD_BIN: process.env['HERALD_BIN'] ?? join(import.meta.dirname, '../../target/release/herald') },
    // Tests wait for what happens, not for time to pass, so these only say when to give up.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000, interval: 50 } },
    // Each file has a herald and a browser of its own.
    maxWorkers: 2,
    // A test that passes at the second try has found something.
    retry: 0,
  },
});
