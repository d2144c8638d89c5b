/**
 * Any document that the specification calls valid gives exactly what graphql-js gives; any other is refused, as
 * graphql-js refuses it. `HERALD_TEST_SEED` tries others than those of every run, `HERALD_TEST_RUNS` tries more: it is the factor by which there
 * are more cases.
 */

import fc from 'fast-check';
import {
  buildClientSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
} from 'graphql';
import { describe, expect } from 'vitest';

import { ask } from './ask.ts';
import { CASES } from './cases.ts';
import { Choices, numbers } from './choices.ts';
import { body, compare, type Scene } from './compare.ts';
import { type Case, generate, type Kind } from './generate.ts';
import { judge } from './judge.ts';
import { harmless, test, types, words } from './scene.ts';
import { schema } from './schema.ts';
import { damage, write } from './text.ts';

const SEED = Number(process.env['HERALD_TEST_SEED'] ?? 20_261_128);
const FACTOR = Number(process.env['HERALD_TEST_RUNS'] ?? 1);

/** When to give up, in milliseconds, for as many cases as there are in a run. */
const PATIENCE = 300_000 * FACTOR;

describe('what once went wrong', () => {
  test.for(CASES)('%s: %s: %s', async ([verdict, , document, more], { scene }) => {
    const request = { document: placed(scene, document), isSignedIn: true, ...more };
    if (more.variables) request.variables = placed(scene, more.variables);
    expect('refused' in judge(request) ? 'refused' : 'valid', 'the verdict of graphql-js').toBe(verdict);
    const { difference, isBeyondLimits } = await compare(scene, request);
    expect(difference).toBeUndefined();
    expect(isBeyondLimits).toBeFalsy();
  });
});

test('introspection gives the schema that is published', async ({ scene }) => {
  const query = getIntrospectionQuery({ specifiedByUrl: true, schemaDescription: true, inputValueDeprecation: true });
  const { text } = await ask(scene.herald, JSON.stringify({ query }), undefined);
  const told = buildClientSchema((JSON.parse(text) as { data: IntrospectionQuery }).data);
  expect(printSchema(lexicographicSortSchema(told))).toBe(printSchema(lexicographicSortSchema(schema)));
});

/** Puts the world's own names in the place of those that stand for them. */
function placed({ world }: Scene, text: string): string {
  const conversation = world.conversations.edges[0]!.node;
  const { handle } = world.people[0]!;
  return text
    .replaceAll('MESSAGE', conversation.messages.edges[0]!.node.id)
    .replaceAll('CONVERSATION', conversation.id)
    .replaceAll('USER', world.viewer.id)
    .replaceAll('REST', handle.slice('ada'.length))
    .replaceAll('HANDLE', handle)
    .replaceAll('START', world.start);
}

/**
 * What is tried, and how often. For the comparison to mean something, graphql-js must accept at least such a share of it, and at
 * most such a share may be beyond herald's limits.
 */
const RUNS: [kind: Kind, state: 'whole' | 'damaged', cases: number, accepted: number, beyondLimits: number][] = [
  ['query', 'whole', 1_500, 0.3, 0.05],
  ['query', 'damaged', 700, 0.005, 0.05],
  ['mutation', 'whole', 300, 0.3, 0.05],
  ['mutation', 'damaged', 200, 0.005, 0.05],
  ['subscription', 'whole', 300, 0.3, 0.05],
  ['subscription', 'damaged', 200, 0.005, 0.05],
  ['introspection', 'whole', 300, 0.3, 0.15],
];

describe(`documents that nobody has seen, seed ${SEED}`, () => {
  test.for(RUNS)('%s, %s', { timeout: PATIENCE }, async ([kind, state, cases, accepted, beyondLimits], { scene }) => {
    const vocabulary = { query: words, subscription: words, mutation: harmless, introspection: types }[kind](scene);
    const draw = (numbers: number[]): Case => {
      const choices = new Choices(numbers);
      const { tokens, ...rest } = generate(choices, vocabulary, kind);
      return { document: write(choices, state === 'damaged' ? damage(choices, tokens) : tokens), ...rest };
    };
    const count = { all: 0, accepted: 0, beyondLimits: 0 };
    const property = fc.asyncProperty(numbers.map(draw), async (request) => {
      const { refused, difference, isBeyondLimits } = await compare(scene, request);
      count.all += 1;
      count.accepted += refused === undefined ? 1 : 0;
      count.beyondLimits += isBeyondLimits ? 1 : 0;
      if (difference) throw new Error(`${difference}\nrequest: ${body(request)}`);
    });
    // Time ends the search for a smaller document, not the cases: all are counted.
    await fc.assert(property, { seed: SEED, numRuns: cases * FACTOR, interruptAfterTimeLimit: PATIENCE / 2 });
    expect(count.all).toBe(cases * FACTOR);
    expect(count.beyondLimits / count.all).toBeLessThanOrEqual(beyondLimits);
    expect(count.accepted / count.all).toBeGreaterThanOrEqual(accepted);
  });
});
