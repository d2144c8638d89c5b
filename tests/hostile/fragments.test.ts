/** Documents that are cheap to write and were dear to check: each costs about what it is long. */

import { expect, test } from 'vitest';

import { Front, load } from './front.ts';
import { type Caller, codes, times } from './http.ts';

function many(count: number, each: (index: number) => string, between = ' '): string {
  return Array.from({ length: count }, (_, index) => each(index)).join(between);
}

/** Fragments of which each spreads the next so often. */
function spreading(count: number, times: number, end = 'viewer{id}'): string {
  const fragments = many(count, (index) => `fragment F${index} on Query{${many(times, () => `...F${index + 1}`)}}`);
  return `{...F0} ${fragments} fragment F${count} on Query{${end}}`;
}

const PARSE = 'GRAPHQL_PARSE_FAILED';
const INVALID = 'GRAPHQL_VALIDATION_FAILED';
const LIMIT = 'LIMIT_EXCEEDED';
const GOOD = 'data';

/** Documents, and what each may come to: data, or the code that it is refused with. */
const DOCUMENTS: Record<string, [string, ...string[]]> = {
  'fragments that double': [spreading(16, 2), GOOD, LIMIT],
  'fragments that double, on their way to an error': [spreading(16, 2, 'nothing'), INVALID, LIMIT],
  'fragments that multiply by ten': [spreading(18, 10), GOOD, LIMIT],
  'fragments that double within inline fragments': [
    `{...F0} ${many(9, (index) => `fragment F${index} on Query{...{...F${index + 1}} ...on Query{...F${index + 1}}}`)} fragment F9 on Query{viewer{id}}`,
    GOOD,
    LIMIT,
  ],
  'fragments that double below fields': [
    `query($i:ID!){conversation(id:$i){...F0}} ${many(6, (index) => `fragment F${index} on Conversation{lastMessage{conversation{...F${index + 1}}} l:lastMessage{conversation{...F${index + 1}}}}`)} fragment F6 on Conversation{id}`,
    GOOD,
    LIMIT,
    INVALID,
  ],
  'a fragment spread a thousand times': [`{${'...F '.repeat(1_300)}} fragment F on Query{viewer{id}}`, GOOD, LIMIT],
  'a chain of fragments': [spreading(500, 1), GOOD, LIMIT],
  'a fragment that spreads itself': [`{...F} fragment F on Query{viewer{id} ...F}`, INVALID, LIMIT],
  'a cycle of two': [`{...A} fragment A on Query{...B} fragment B on Query{...A}`, INVALID, LIMIT],
  'a cycle of 500': [spreading(500, 1, '...F0'), INVALID, LIMIT],
  'a cycle that nothing leads to': [`{viewer{id}} fragment A on Query{...B} fragment B on Query{...A}`, INVALID, LIMIT],
  'cycles of everything with everything': [
    `{...F0} ${many(20, (index) => `fragment F${index} on Query{${many(20, (to) => `...F${to}`)}}`)}`,
    INVALID,
    LIMIT,
  ],
  'a field a thousand times': [`{${'viewer{id}'.repeat(900)}}`, GOOD, LIMIT],
  'fields that are compared pair by pair': [`{viewer{${'id handle '.repeat(1_900)}}}`, GOOD, LIMIT],
  'nested fields that are compared pair by pair': [
    `query($i:ID!){${'conversation(id:$i){lastMessage{conversation{lastMessage{id}}}}'.repeat(150)}}`,
    GOOD,
    LIMIT,
    INVALID,
  ],
  'fields that conflict, pair by pair': [`{${many(400, (index) => `viewer:user(handle:"${index}"){id}`)}}`, INVALID, LIMIT],
  'a thousand inline fragments': [`{${'...on Query{viewer{id}}'.repeat(600)}}`, GOOD, LIMIT],
  '4,000 errors': [`{${many(3_990, (index) => `n${index}`)}}`, INVALID, LIMIT],
  '1,300 errors of arguments': [`{viewer(${many(1_300, (index) => `n${index}:1`)}){id}}`, INVALID, LIMIT],
  'fragments that nothing uses': [`{viewer{id}} ${many(480, (index) => `fragment F${index} on Query{viewer{id}}`)}`, INVALID, LIMIT],
  'fragments that there are not': [`{${many(1_900, (index) => `...F${index}`)}}`, INVALID, LIMIT],
  'types that there are not': [`{${many(600, (index) => `...on T${index}{id}`)}}`, INVALID, LIMIT],
  'variables that nothing uses': [`query(${many(950, (index) => `$v${index}:Int`)}){viewer{id}}`, INVALID, LIMIT],
  'variables that there are not': [`{nodes(ids:[${many(1_900, (index) => `$v${index}`)}]){id}}`, INVALID, LIMIT],
  'a variable that is defined a thousand times': [`query(${'$v:Int '.repeat(950)}){viewer{id}}`, INVALID, LIMIT],
  'operations without a name': [`{viewer{id}} `.repeat(600), INVALID, PARSE, LIMIT, 'BAD_REQUEST'],
  'operations of the same name': [`query A{viewer{id}} `.repeat(500), INVALID, PARSE, LIMIT, 'BAD_REQUEST'],
  'operations that share fragments': [
    `${many(250, (index) => `query Q${index}{...F0}`)} ${many(240, (index) => `fragment F${index} on Query{...F${index + 1}}`)} fragment F240 on Query{viewer{id}}`,
    INVALID,
    PARSE,
    LIMIT,
    'BAD_REQUEST',
    GOOD,
  ],
  'an object with a field a thousand times': [
    `mutation{login(input:{${'handle:"a" '.repeat(1_200)}password:"b"}){token}}`,
    INVALID,
    PARSE,
    LIMIT,
  ],
  'a name that every error repeats': [
    `query ${'N'.repeat(12_000)}(${many(600, (index) => `$v${index}:Int`)}){viewer{id}}`,
    INVALID,
    LIMIT,
  ],
  'names that every suggestion is compared with': [
    `{${many(30, (index) => `${'viewe'.repeat(200)}${index}`)}}`,
    INVALID,
    LIMIT,
  ],
  'a number of 30,000 digits': [`{conversations(first:${'9'.repeat(30_000)}){nodes{id}}}`, INVALID, LIMIT, PARSE],
  'a number with an exponent': [`{conversations(first:1e999999999){nodes{id}}}`, INVALID, LIMIT, PARSE],
  'a string of escapes': [`{user(handle:"${'\\u0041'.repeat(5_000)}"){id}}`, GOOD, LIMIT, 'BAD_INPUT', 'UNAUTHENTICATED'],
  'a block string of lines': [`{user(handle:"""${'\n '.repeat(15_000)}"""){id}}`, GOOD, LIMIT, 'BAD_INPUT', 'UNAUTHENTICATED'],
  'nodes of 3,900 ids': [`{nodes(ids:[${'"a"'.repeat(3_900)}]){id}}`, LIMIT, 'BAD_INPUT', 'UNAUTHENTICATED'],
  'directives without end': [`{viewer ${'@include(if:true)'.repeat(550)}{id}}`, LIMIT, INVALID],
  'directives that there are not': [`{viewer ${many(45, (index) => `@d${index}`)}{id}}`, INVALID, LIMIT],
};

const open = Front.shared();

/** What a request may cost, where the plain one costs 1. Those of 32 KB take a parser about 50 times as long. */
const DEAREST = 150;

/** What the plain one takes. */
let plain: number | undefined;

/** How much processor time each of so many requests takes, in milliseconds. None has the text of another. */
async function cost(front: Front, caller: Caller, document: string, count: number): Promise<number> {
  const before = await front.cpu();
  await times(count, 4, (index) => caller.ask(`${document} #${document.length} ${index}`));
  return ((await front.cpu()) - before) / count;
}

test.for(Object.entries(DOCUMENTS))('%s', async ([, [document, ...outcomes]]) => {
  const front = await open();
  const caller = front.caller();
  expect(document.length).toBeLessThan(32_000);
  await front.withstands(async () => {
    const answers = await times(load(80), 16, (index) => caller.ask(`${document} #${index}`, {}));
    for (const answer of answers) {
      const found = codes(answer);
      expect(outcomes, answer.text.slice(0, 500)).toContain(found[0] ?? GOOD);
      expect(found.length, 'errors').toBeLessThanOrEqual(101);
      expect(answer.bytes, 'bytes of errors').toBeLessThan(256 * 1024);
    }
  });
  // As many as the kernel's clock, which ticks a hundred times a second, can tell apart.
  plain ??= await cost(front, caller, '{viewer{id}}', 4_000);
  expect((await cost(front, caller, document, 20)) / plain, 'times the cost of a plain request').toBeLessThan(DEAREST);
});
