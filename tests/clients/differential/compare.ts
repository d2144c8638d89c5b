/** One request, by graphql-js and by herald: where they differ. */

import type { GraphQLError } from 'graphql';

import type { Herald } from '../herald.ts';
import { type Answer, ask, follow, read } from './ask.ts';
import type { Case } from './generate.ts';
import { answer, answers, judge, type Verdict } from './judge.ts';
import type { World } from './world.ts';

/** The codes by which a request is refused before anything is executed. */
const REFUSALS = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_REQUEST'];

/** What came of a comparison. */
export interface Outcome {
  /** What graphql-js found: why it is refused, or nothing. */
  refused: string | undefined;
  /** Whether herald would not look at it, since it passes a limit. */
  isBeyondLimits?: boolean;
  /** In which way the two differ, if they do. */
  difference?: string;
}

/** Whom a request is made to, and what is known of them. */
export interface Scene {
  herald: Herald;
  world: World;
  /** The viewer's. */
  token: string;
}

/** The request's body. The variables are JSON already, which may be such as JavaScript would not write. */
export function body({ document, operationName, variables }: Case): string {
  const members = [`"query":${JSON.stringify(document)}`];
  if (operationName !== undefined) members.push(`"operationName":${JSON.stringify(operationName)}`);
  if (variables !== undefined) members.push(`"variables":${variables}`);
  return `{${members}}`;
}

export async function compare(scene: Scene, request: Case): Promise<Outcome> {
  const { herald, world, token } = scene;
  const verdict = judge(request);
  const isRefused = 'refused' in verdict;
  if (isRefused ? request.document.includes('subscription') : verdict.operation.operation === 'subscription') {
    return follows(scene, request, verdict);
  }
  const actual = await ask(herald, body(request), request.isSignedIn ? token : undefined);
  if (isBeyondLimits(actual)) return { refused: undefined, isBeyondLimits: true };
  if (isRefused) return { ...verdict, ...sameRefusal(verdict.refused, actual) };
  if (comparesTypename(request, actual)) return { refused: TYPENAME };
  const { data, errors } = answer(world, request, verdict);
  return { refused: undefined, ...sameAnswer(actual, data, errors) };
}

async function follows({ herald, world, token }: Scene, request: Case, verdict: Verdict): Promise<Outcome> {
  const isRefused = 'refused' in verdict;
  const expected = isRefused ? [] : await answers(world, request, verdict);
  const { isOpen, answers: texts } = await follow(herald, body(request), token, expected.length);
  const found = texts.map(read);
  if (!isOpen && found[0] && isBeyondLimits(found[0])) return { refused: undefined, isBeyondLimits: true };
  if (isRefused) {
    return {
      ...verdict,
      ...(found[0]
        ? sameRefusal(verdict.refused, found[0])
        : { difference: `herald follows it; graphql-js: ${verdict.refused}` }),
    };
  }
  if (found[0] && comparesTypename(request, found[0])) return { refused: TYPENAME };
  if (found.length !== expected.length) {
    return { refused: undefined, difference: `${found.length} answers instead of ${expected.length}: ${texts[0]}` };
  }
  const each = expected.map(({ data, errors }, index) => sameAnswer(found[index]!, data, errors));
  return { refused: undefined, ...each.find(({ difference }) => difference !== undefined) };
}

/** Why herald refuses what graphql-js does not. */
const TYPENAME = 'the type of `__typename`, which graphql-js does not compare with that of other fields (5.3.2)';

function comparesTypename({ document }: Case, { hasData, text }: Answer): boolean {
  return !hasData && document.includes('__typename') && text.includes('different types using the same name');
}

function isBeyondLimits({ codes, hasData }: Answer): boolean {
  return !hasData && codes.includes('LIMIT_EXCEEDED');
}

function sameRefusal(reason: string, { codes, hasData, text }: Answer): { difference?: string } {
  if (hasData) return { difference: `herald executes it; graphql-js: ${reason}\nherald: ${text}` };
  if (codes.every((code) => REFUSALS.includes(code))) return {};
  return { difference: `herald refuses it with ${codes}; graphql-js: ${reason}\nherald: ${text}` };
}

/** Whether it is the same data, byte for byte, and errors where there are some. */
function sameAnswer(
  { codes, hasData, text }: Answer,
  data: unknown,
  errors: readonly GraphQLError[] = [],
): { difference?: string } {
  const expected = JSON.stringify(data);
  const wanted = `graphql-js: ${expected} ${errors}`;
  if (data === undefined) {
    // A subscription that is valid, and cannot begin. What is no cursor may as well be refused before.
    const isCursor = errors.some(({ message }) => message === 'not a cursor');
    const isTold = codes.length > 0 && (isCursor || !codes.some((code) => REFUSALS.includes(code)));
    return isTold ? {} : { difference: `other errors; ${wanted}\nherald: ${text}` };
  }
  if (!hasData) return { difference: `herald refuses it; ${wanted}\nherald: ${text}` };
  if (!text.endsWith(`"data":${expected}}`)) return { difference: `other data; ${wanted}\nherald: ${text}` };
  if (errors.length > 0 !== codes.length > 0) return { difference: `other errors; ${wanted}\nherald: ${text}` };
  return {};
}
