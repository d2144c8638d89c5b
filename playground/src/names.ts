/** Names that people choose: in both writing directions, and made to look like those of others. */

import type { PersonFragment } from '../generated/graphql';

const RIGHT_TO_LEFT = /[\u0590-\u08ff\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const isolate = (text: string) => `\u2068${text}\u2069`;

/** A name as a part of a longer text, which it leaves in order. herald sees to it that a name ends what it begins. */
export const isolated = (name: string) => (RIGHT_TO_LEFT.test(name) ? isolate(name) : name);

/** Names in one line, in order whatever the directions of the line and of each name. */
export const listed = (names: string[]) => (names.some((name) => RIGHT_TO_LEFT.test(name)) ? names.map(isolate) : names).join(', ');

/** A name that leaves room for what follows it. */
export const short = (name: string) => (name.length > 24 ? `${[...name].slice(0, 22).join('')}…` : name);

/** The direction of a text: that of its first letter. */
export const direction = (text: string) => (RIGHT_TO_LEFT.test(/\p{L}/u.exec(text)?.[0] ?? '') ? 'rtl' : 'ltr');

/** Characters that are drawn like others, once they are small letters, and what they look like. */
const LIKENESS = new Map(
  Object.entries({
    ...{ a: 'аαɑ', b: 'вьβ', c: 'сϲ', d: 'ԁ', e: 'еєε', g: 'ɡ', h: 'нһ', j: 'ј', k: 'кκ', l: '1|iıіιӏǀ', m: 'м' },
    ...{ n: 'пη', o: '0оοσօ', p: 'рρ', q: 'ԛ', s: 'ѕ', t: 'тτ', u: 'υս', v: 'νѵ', w: 'ԝω', x: 'хχ', y: 'уγү' },
  }).flatMap(([to, from]) => [...from].map((letter) => [letter, to] as const)),
);

/** Hides the order in which the letters of a name are drawn. */
const OVERRIDE = /[\u202d\u202e]/;

/** The same for names that are hard to tell apart: by case, width, accents, spaces, or letters of another script. */
export function likeness(name: string): string {
  const plain = name.normalize('NFKD').toLowerCase().normalize('NFKD').replace(/[\p{M}\p{Cf}\p{Z}\p{P}]/gu, '');
  return [...plain].map((letter) => LIKENESS.get(letter) ?? letter).join('').replaceAll('rn', 'm').replaceAll('vv', 'w');
}

/** The ids of those whose name alone does not say who they are. */
export function lookAlikes(people: Iterable<PersonFragment>): Set<string> {
  const alike = new Map<string, Map<string, PersonFragment>>();
  for (const person of people) {
    const key = likeness(person.displayName);
    const those = alike.get(key) ?? new Map<string, PersonFragment>();
    alike.set(key, those.set(person.id, person));
  }
  const isUnclear = (those: PersonFragment[]) => those.length > 1 || those.some(({ displayName }) => OVERRIDE.test(displayName));
  return new Set([...alike.values()].map((those) => [...those.values()]).filter(isUnclear).flat().map(({ id }) => id));
}

/** What people are called, with the handle where two of them all look alike. */
export function namesOf(people: PersonFragment[], all = people): string[] {
  const alike = lookAlikes(all);
  return people.map(({ id, handle, displayName }) => displayName + (alike.has(id) ? ` @${handle}` : ''));
}
