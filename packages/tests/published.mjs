/** What would be published: small, and of use to whoever installs it. Run after the build. */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** In bytes, of the code as an app loads it. */
const MOST = 3_000;

/** A whole client, which the hooks for React and Vue share. */
const MOST_OF_CLIENT = 4_000;

const root = join(import.meta.dirname, '..');
const packages = readdirSync(root).filter((name) => /^(resumable-graphql|herald)/.test(name));
for (const name of packages) {
  const folder = join(root, name);
  const size = gzipSync(readFileSync(join(folder, 'dist/index.js')), { level: 9 }).length;
  console.log(`${name}: ${size} bytes`);
  const most = name === 'herald-client' ? MOST_OF_CLIENT : MOST;
  if (size > most) throw new Error(`${name} has more than ${most} bytes`);
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (dependencies) throw new Error(`${name} has dependencies that are no peers`);
  const run = (tool, ...args) =>
    execFileSync(join(root, 'node_modules/.bin', tool), args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  // As whoever installs it does; what it imports of the others is built as well.
  if (!Object.keys(await import(name)).length) throw new Error(`${name} exports nothing`);
  run('publint', '--strict');
  run('attw', '--pack', '.', '--profile', 'esm-only', '--format', 'ascii', '--quiet');
}

/** Whoever installs this from the lock file asks their own registry. */
const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
if (/"resolved": "https?:/.test(lock)) throw new Error('package-lock.json names a registry');
