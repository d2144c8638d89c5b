/** How tokens become text; and how they are damaged, so that what is nearly a document is tried too. */

import type { Choices } from './choices.ts';

/** What may stand between two tokens, and means nothing. */
const IGNORED = [
  ' ',
  ' ',
  ' ',
  ' ',
  ' ',
  ' ',
  ' ',
  ' ',
  ',',
  '\n',
  '\r\n',
  '\r',
  '\t',
  ' # a comment "\n',
  ',,\n',
  '\ufeff',
  ' #\r',
] as const;

/** What a damaged document has in the place of a token, or beside it. */
const TOKENS = [
  ...[
    '{',
    '}',
    '(',
    ')',
    '[',
    ']',
    ':',
    '$',
    '@',
    '!',
    '=',
    '|',
    '&',
    '...',
    '.',
    '..',
    'on',
    'fragment',
    'query',
    'mutation',
  ],
  ...[
    'subscription',
    'id',
    'a',
    'true',
    'null',
    '1',
    '"x"',
    '"""x"""',
    'type',
    'schema',
    'extend',
    '{a:1}',
    '_',
    '__typename',
  ],
  ...[
    '# ',
    '"',
    '\\',
    '\u0000',
    '\u00a0',
    '\u2028',
    '\ud83d',
    'é',
    '%',
    ';',
    '<',
    '...on',
    '@skip(if:true)',
    '"a description"',
  ],
] as const;

/** Punctuators, which need nothing to keep them apart. */
const PUNCTUATOR = /^[{}()[\]:=!|@$&]$/;

/** A name, a variable's type, or anything else that one of its kind may stand for. */
const NAME = /^[_A-Za-z]/;

export function damage(choices: Choices, tokens: readonly string[]): string[] {
  const damaged = [...tokens];
  for (let times = choices.oneIn(3) ? 2 : 1; times > 0; times--) {
    const at = choices.below(Math.max(damaged.length, 1));
    const token = damaged[at] ?? '';
    const isName = NAME.test(token);
    const others = tokens.filter((other) => NAME.test(other) === isName && other.length > 1 === token.length > 1);
    switch (choices.below(8)) {
      case 0:
        damaged.splice(at, 1);
        break;
      case 1:
        damaged.splice(at, 0, token);
        break;
      case 2:
        damaged.splice(at, 1, choices.of(TOKENS));
        break;
      case 3:
        damaged.splice(at, 0, choices.of(TOKENS));
        break;
      case 4:
        damaged.splice(at, 2, damaged[at + 1] ?? '', token);
        break;
      default:
        // One of the same kind, which often leaves something that can be read.
        damaged.splice(at, 1, choices.of(others) ?? '');
    }
  }
  return damaged;
}

export function write(choices: Choices, tokens: readonly string[]): string {
  let text = choices.oneIn(20) ? '\ufeff' : '';
  const isPlain = !choices.oneIn(4);
  tokens.forEach((token, index) => {
    const touches = PUNCTUATOR.test(token) || PUNCTUATOR.test(tokens[index - 1] ?? '{');
    if (touches && (isPlain || choices.oneIn(4))) text += token;
    else text += (isPlain ? ' ' : choices.of(IGNORED)) + token;
  });
  return choices.oneIn(10) ? `${text} # the end` : text;
}
