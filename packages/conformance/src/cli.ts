#!/usr/bin/env node
/** `resumable-graphql-conformance URL --config FILE`: exits with 0 if the server conforms. */

import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';

import { readMapping, type TransportName } from './mapping.ts';
import { conforms, counts, json, tapLine } from './report.ts';
import { CHECKS, conform } from './run.ts';
import type { Operator } from './server.ts';

const USAGE = `resumable-graphql-conformance URL --config FILE
  --json             print JSON in the place of TAP
  --only TEXT        only checks whose name has this text; may be repeated
  --transport NAME   only websocket, sse or multipart; may be repeated
  --restart COMMAND  what restarts the server, for the shell; it has ended when the server answers
  --kill COMMAND     what kills the server and starts it again
  --backup COMMAND   what takes a backup
  --restore COMMAND  what puts it back, and starts the server
  --list             print the checks, and their rules`;

const { values, positionals: [url] } = parseArgs({
  allowPositionals: true,
  options: {
    config: { type: 'string' },
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    transport: { type: 'string', multiple: true },
    restart: { type: 'string' },
    kill: { type: 'string' },
    backup: { type: 'string' },
    restore: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});

if (values.list) {
  for (const { rule, name, over } of CHECKS) console.log(`${rule}\t${name}${over ? `\t${over}` : ''}`);
} else if (!url || !values.config) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  const { restart, kill, backup, restore, only } = values;
  const operator: Operator = {
    ...(restart && { restart: shell(restart) }),
    ...(kill && { kill: shell(kill) }),
    ...(backup && restore && { backUp: async () => { await shell(backup)(); return shell(restore); } }),
  };
  if (!values.json) console.log('TAP version 14');
  let number = 0;
  const results = await conform(url, await readMapping(values.config), operator, {
    only, transports: values.transport as TransportName[] | undefined,
    onResult: (result) => !values.json && console.log(tapLine(result, ++number)),
  });
  if (values.json) console.log(json(results));
  else console.log(`1..${results.length}\n# ${JSON.stringify(counts(results))}`);
  process.exitCode = conforms(results) ? 0 : 1;
}

function shell(command: string): () => Promise<unknown> {
  return () => promisify(execFile)('/bin/sh', ['-c', command]);
}
