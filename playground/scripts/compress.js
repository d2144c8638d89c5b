/** Puts a `.gz` in the place of each asset of `dist` over 1 KB, for herald to embed and send as it is. */

import { readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const compressible = new Set(['.html', '.js', '.css', '.svg', '.json', '.graphql', '.ttf']);

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !compressible.has(extname(path))) continue;
  const content = readFileSync(path);
  if (content.length <= 1024) continue;
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
  unlinkSync(path);
}
