/** What a document brings about: each root field once, and texts as graphql-js reads them. */

import fc from 'fast-check';
import { parseValue } from 'graphql';
import { expect } from 'vitest';

import { test } from '../fixtures.ts';
import { ask } from './ask.ts';

const SEED = Number(process.env['HERALD_TEST_SEED'] ?? 20_261_128);
const FACTOR = Number(process.env['HERALD_TEST_RUNS'] ?? 1);

const SEND = 'sendMessage(input:{conversationId:"ID",body:"hello"})';

test.for([
  ['twice the same', `mutation{${SEND}{message{body}}${SEND}{message{status}}}`, ['hello']],
  [
    'twice, with the arguments in another order',
    `mutation{${SEND}{message{body}}sendMessage(input:{body:"hello",conversationId:"ID"}){cursor}}`,
    ['hello'],
  ],
  [
    'through fragments',
    `mutation{...A ${SEND}{cursor}...B}fragment A on Mutation{${SEND}{message{body}}}fragment B on Mutation{...A}`,
    ['hello'],
  ],
  ['under two names', `mutation{a:${SEND}{message{body}}b:${SEND}{message{body}}}`, ['hello', 'hello']],
  ['left out', `mutation{${SEND}@skip(if:true){message{body}}}`, []],
  ['left out in one place of two', `mutation{${SEND}@skip(if:true){cursor}${SEND}{message{body}}}`, ['hello']],
] as const)(
  'a message is sent as often as the document says: %s',
  async ([, document, stored], { herald, alice, conversationId }) => {
    const query = document.replaceAll('ID', conversationId);
    const { hasData } = await ask(herald, JSON.stringify({ query }), alice.token);
    expect(hasData).toBe(true);
    const bodies = (await alice.messages(conversationId)).map(({ body }) => body);
    expect(bodies).toEqual(stored);
  },
);

/** What strings are made of; the x that ends each keeps it from being blank. */
const PIECES = {
  '"': [
    'a',
    ' ',
    '\\n',
    '\\t',
    '\\r',
    '\\"',
    '\\\\',
    '\\/',
    '\\u00e9',
    '\\ud83d\\ude00',
    '\\u{1F600}',
    '\\u{a}',
    '😀',
    '#',
    '\u2028',
    "'''",
    '\\u{10FFFF}',
  ],
  '"""': [
    'a',
    ' ',
    '  ',
    '\t',
    '\n',
    '\r\n',
    '\r',
    '\n\n',
    '"',
    '""a',
    '\\"""',
    '\\',
    '\\n',
    '\\u0041',
    '\\u{41}',
    '😀',
    '#',
    ',',
    '\n    a',
    '\u2028',
  ],
};

const literal = fc
  .constantFrom<keyof typeof PIECES>('"', '"""')
  .chain((quote) => fc.array(fc.constantFrom(...PIECES[quote]), { maxLength: 12 }).map((pieces) => ({ quote, pieces })))
  // Three quotes end a block string, unless a backslash precedes them.
  .filter(({ pieces }) => !/(?<!\\)"""/.test(pieces.join('')))
  .map(({ quote, pieces }) => `${quote}${pieces.join('')}x${quote}`);

test(
  `texts are stored as graphql-js reads them, seed ${SEED}`,
  { timeout: 300_000 * FACTOR },
  async ({ herald, alice, conversationId }) => {
    const property = fc.asyncProperty(literal, async (text) => {
      const value = parseValue(text);
      const query = `mutation{sendMessage(input:{conversationId:"${conversationId}",body:${text}}){message{body}}}`;
      const answer = await ask(herald, JSON.stringify({ query }), alice.token);
      const body = 'value' in value ? value.value : undefined;
      expect(answer.text).toBe(JSON.stringify({ data: { sendMessage: { message: { body } } } }));
    });
    await fc.assert(property, { seed: SEED, numRuns: 250 * FACTOR });
  },
);
