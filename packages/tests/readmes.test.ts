/** What the READMEs show compiles, each example for itself. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('the examples of the READMEs compile', () => {
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config, ts.sys, root);
  const examples = new Map<string, string>();
  for (const name of readdirSync(root).filter((name) => /^(resumable-graphql|herald)/.test(name))) {
    const text = readFileSync(join(root, name, 'README.md'), 'utf8');
    const blocks = [...text.matchAll(/^```(tsx?)\n(.*?)^```/gms)];
    expect(blocks, name).not.toHaveLength(0);
    blocks.forEach(([, extension, code], n) => examples.set(join(root, name, `example-${n}.${extension}`), code!));
  }
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => examples.has(path) || fileExists(path);
  host.readFile = (path) => examples.get(path) ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) =>
    examples.has(path) ? ts.createSourceFile(path, examples.get(path)!, version) : getSourceFile(path, version, ...rest);
  const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram([...examples.keys()], { ...options, noUnusedLocals: false }, host));
  expect(ts.formatDiagnostics(diagnostics, { getCanonicalFileName: (name) => name, getCurrentDirectory: () => root, getNewLine: () => '\n' })).toBe('');
});
