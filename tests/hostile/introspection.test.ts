/** Introspection that multiplies: refused before it is run, while what tools ask of a schema is answered. */

import { expect, test } from 'vitest';

import { Front, load } from './front.ts';
import { codes, times } from './http.ts';
import { saidCodes } from './socket.ts';

const open = Front.shared();

/** What an answer may come to, in bytes. */
const MOST = 8 * 1024 * 1024;

/** One set of selections inside the other, as often as said. */
function nested(path: string[], times: number): string {
  const steps = Array.from({ length: times }, () => path).flat();
  return `${steps.join('{')}{name${'}'.repeat(steps.length)}`;
}

function aliased(count: number, selection: string): string {
  return Array.from({ length: count }, (_, index) => `a${index}:${selection}`).join(' ');
}

/** Each step twice, one set of selections inside the other. */
function doubled(path: string[], times: number, leaf: string): string {
  if (times === 0) return leaf;
  const inner = path.reduceRight((inside, step) => `${step}{${inside}}`, doubled(path, times - 1, leaf));
  return `a:${inner} b:${inner}`;
}

const PAIR = ['possibleTypes', 'interfaces'];

/** What once gave 17 MB for 252 bytes, and its neighbours. */
const BOMBS: Record<string, string> = {
  'types of interfaces': `{__schema{types{${nested(PAIR, 8)}}}}`,
  'interfaces of types': `{__schema{types{${nested(['interfaces', 'possibleTypes'], 8)}}}}`,
  'of an interface': `{__type(name:"Event"){${nested(PAIR, 9)}}}`,
  '50 aliases': `{${aliased(50, `__schema{types{${nested(PAIR, 6)}}}`)}}`,
  '50 aliases of a type': `{${aliased(50, `__type(name:"Event"){${nested(PAIR, 7)}}`)}}`,
  '50 aliases within': `{__schema{types{possibleTypes{${aliased(50, nested(['interfaces', 'possibleTypes'], 6))}}}}}`,
  'aliases at every level': `{__type(name:"Event"){${doubled(['possibleTypes', 'interfaces'], 5, 'name')}}}`,
  'by fragments': `{__schema{types{...F0}}} ${Array.from(
    { length: 8 },
    (_, index) => `fragment F${index} on __Type{possibleTypes{interfaces{...F${index + 1}}}}`,
  ).join(' ')} fragment F8 on __Type{name}`,
  'by inline fragments': `{...on Query{__schema{types{...{possibleTypes{...on __Type{interfaces{...{${nested(PAIR, 6)}}}}}}}}}}`,
  'by fragments that double': `{__type(name:"Event"){...F0}} ${Array.from(
    { length: 10 },
    (_, index) => `fragment F${index} on __Type{a:possibleTypes{...F${index + 1}} b:interfaces{...F${index + 1}}}`,
  ).join(' ')} fragment F10 on __Type{a:possibleTypes{b:interfaces{possibleTypes{interfaces{name}}}}}`,
  'fields of fields': `{__schema{types{${nested(['fields', 'type', 'ofType'], 5)}}}}`,
  'fields of fields, 50 times': `{${aliased(50, `__schema{types{${nested(['fields', 'type', 'ofType'], 5)}}}`)}}`,
  'types of the fields of types': `{__schema{types{fields{type{ofType{${nested(PAIR, 6)}}}}}}}`,
  'types of arguments': `{__schema{types{fields{args{type{ofType{name}}} type{ofType{${nested(PAIR, 6)}}}}}}}`,
  'skipped not at all': `query($no:Boolean=false){__schema{types @skip(if:$no){${nested(PAIR, 8)}}}}`,
  'in one operation of two': `query P{viewer{id}} query Q{__schema{types{${nested(PAIR, 8)}}}}`,
  'beside other fields': `query Q{viewer{id} cursor __typename __schema{types{${nested(PAIR, 8)}}}}`,
};

/** What GraphiQL and code generators ask. */
const USUAL = `query IntrospectionQuery { __schema {
    queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType } directives { name description locations args(includeDeprecated: true) { ...InputValue } } } }
  fragment FullType on __Type { kind name description
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
  fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
  fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`;

test.for(Object.entries(BOMBS))('what multiplies is refused: %s', async ([, bomb]) => {
  const front = await open();
  const caller = front.caller();
  const operation = bomb.includes(' Q{') ? { operationName: 'Q' } : {};
  await front.withstands(async () => {
    const answers = await times(load(100), 8, () => caller.ask(bomb, {}, operation));
    for (const answer of answers) {
      expect(codes(answer)).toEqual(['LIMIT_EXCEEDED']);
      expect(answer.status).toBe(400);
    }
    const socket = await front.socket();
    socket.say({ type: 'subscribe', id: 'bomb', payload: { query: bomb, ...operation } });
    expect(saidCodes(await socket.answer('bomb'))).toEqual(['LIMIT_EXCEEDED']);
    await socket.close();
  });
});

test('what tools ask is answered, to many of them at once', async () => {
  const front = await open();
  const caller = front.caller();
  await front.withstands(async () => {
    const answers = await times(load(200), 20, () => caller.ask(USUAL));
    for (const answer of answers) expect(codes(answer)).toEqual([]);
  });
});

test('as much of the schema as one answer may be, to many at once', async () => {
  const front = await open();
  const caller = front.caller();
  const all = 'types{name description fields{name description args{name description}} enumValues{name description}}';
  await front.withstands(async () => {
    const answers = await times(load(160), 16, (index) => caller.ask(`{${aliased(1 + (index % 50), `__schema{${all}}`)}}`));
    for (const answer of answers) {
      expect(answer.bytes).toBeLessThan(MOST + 1_024);
      expect([[], ['LIMIT_EXCEEDED']]).toContainEqual(codes(answer));
    }
  });
});
