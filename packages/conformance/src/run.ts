/** Runs the checks, and says how each went. */

import { type Check, World } from './check.ts';
import { delivery } from './checks/delivery.ts';
import { options } from './checks/options.ts';
import { refusals } from './checks/refusals.ts';
import { schema } from './checks/schema.ts';
import { transports } from './checks/transports.ts';
import type { Mapping, TransportName } from './mapping.ts';
import { type Operator, Server } from './server.ts';

export const CHECKS: Check[] = [...schema, ...delivery, ...refusals, ...options, ...transports];

/** `advice`: it broke a rule with SHOULD. */
export type Outcome = 'ok' | 'failed' | 'advice' | 'skipped';

export interface Result {
  name: string;
  rule: string;
  transport: TransportName;
  outcome: Outcome;
  why?: string;
  milliseconds: number;
}

export interface Selection {
  /** Checks to run, by parts of their names. */
  only?: string[] | undefined;
  transports?: TransportName[] | undefined;
  /** Is told of each at once. */
  onResult?: ((result: Result) => void) | undefined;
}

/** How many run at a time: they wait more than they work. With a bounded history, fewer: one fills that of another. */
const [ABREAST, ABREAST_BOUNDED] = [8, 3];

/** In which a check has to be over, in milliseconds. */
const LONGEST = 40_000;

export async function conform(url: string, mapping: Mapping, operator: Operator = {}, selection: Selection = {}): Promise<Result[]> {
  const server = new Server(url, mapping, operator);
  const has = (transport: TransportName) => mapping.transports.includes(transport) && (selection.transports ?? mapping.transports).includes(transport);
  const planned = CHECKS
    .filter(({ name }) => !selection.only || selection.only.some((part) => name.includes(part)))
    .flatMap((check) => (check.over ?? mapping.transports).filter(has).map((transport) => ({ check, transport })));
  const results: Result[] = [];
  const run = async ({ check, transport }: (typeof planned)[number]) => {
    const result = await one(server, check, transport);
    results.push(result);
    selection.onResult?.(result);
  };
  const together = planned.filter(({ check }) => !check.isAlone);
  const abreast = mapping.keeps === undefined ? ABREAST : ABREAST_BOUNDED;
  await Promise.all(Array.from({ length: abreast }, async () => {
    for (let next = together.shift(); next; next = together.shift()) await run(next);
  }));
  for (const next of planned.filter(({ check }) => check.isAlone)) await run(next);
  return results;
}

async function one(server: Server, check: Check, transport: TransportName): Promise<Result> {
  const about = { name: check.name, rule: check.rule, transport };
  const reason = check.unless?.(server.mapping, server.operator);
  if (reason) return { ...about, outcome: 'skipped', why: reason, milliseconds: 0 };
  const begin = performance.now();
  const took = () => Math.round(performance.now() - begin);
  const world = new World(server, transport);
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(`takes more than ${LONGEST} ms`)), LONGEST)));
    await Promise.race([world.furnish().then(() => check.run(world)), late]);
    return { ...about, outcome: 'ok', milliseconds: took() };
  } catch (cause) {
    return { ...about, outcome: check.isAdvice ? 'advice' : 'failed', why: (cause as Error).message, milliseconds: took() };
  } finally {
    clearTimeout(timer);
    world.leave();
  }
}
