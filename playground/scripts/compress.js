/** Writes a `.gz` beside each asset of `dist` over 1 KB that gets smaller by it, for herald to embed and send as it is. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const compressible = new Set(['.html', '.js', '.css', '.svg', '.json', '.graphql', '.ttf']);

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !compressible.has(extname(path))) continue;
  const content = readFileSync(path);
  if (content.length > 1024) writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}
