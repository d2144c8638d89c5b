/** What is written out: values that fit, in every spelling, and what fits nowhere. */

/** What fits nowhere, or not everywhere. Each is one token, or not even that. */
export const WRONG = [
  ...[
    'true',
    'null',
    '1',
    '-1',
    '"1"',
    'ENUM',
    '1.5',
    '1.0',
    '1e1',
    '[]',
    '{}',
    '2147483648',
    '-2147483649',
    '$undefined',
  ],
  ...['00', '01', '-', '1.', '.5', '1e', '1_0', '+1', '0x1', '-0', '1.0e-2', '123456789012345678901234567890'],
  ...['"\\ud83d"', '"\\ude00"', '"\\ud83d\\u0041"', '"\\u{110000}"', '"\\u{}"', '"\\u{D800}"', '"\\u{1F600"', '"\\x"'],
  ...[
    '"\\u12"',
    '"',
    '"""',
    '"""a',
    '"a\nb"',
    '"a\\"',
    '"a\u0007b"',
    '"\ud83d"',
    "'a'",
    '#',
    '"a" "b"',
    '`a`',
    '&',
    '?',
  ],
] as const;

/** Texts of every kind: escapes, half escapes in block strings, indentation, line ends, scripts. */
export const STRINGS = [
  ...[
    '"x"',
    '""',
    '"\\u0041"',
    '"\\ud83d\\ude00"',
    '"\\u{1F600}"',
    '"\\u{41}\\u{00e9}"',
    '"😀"',
    '"\\n\\t\\"\\\\\\/\\b\\f\\r"',
  ],
  ...['"""block"""', '""""""', '"""\n    indented\n      more\n\n  """', '"""a \\""" b"""', '"""\r\n  a\r  b\n"""'],
  ...[
    '"""\\u0041 \\n "quoted" ""two"" """',
    '"""\t\ta\n\t"""',
    '"#, not a comment"',
    '"שלום \u2028 e\u0301"',
    '"a\tb"',
    '"\ufeff"',
  ],
] as const;

/** Ways of writing a text that is known. */
export const SPELLINGS: readonly [(text: string) => string, ...((text: string) => string)[]] = [
  (text) => `"${text}"`,
  (text) => `"\\u${text.charCodeAt(0).toString(16).padStart(4, '0')}${text.slice(1)}"`,
  (text) => `"\\u{${text.codePointAt(0)!.toString(16).toUpperCase()}}${text.slice(1)}"`,
  (text) => `"\\u{0000${text.codePointAt(0)!.toString(16)}}${text.slice(1)}"`,
  (text) => `"""${text}"""`,
  (text) => `"""\n      ${text}\r\n  """`,
];

export const NUMBERS = ['1', '2', '3', '0', '4', '10', '200', '-1', '201', '-0', '2147483647', '-2147483648'] as const;

/** For variables: what JSON can say that does not fit everywhere. */
export const WRONG_JSON = [
  ...[
    'null',
    '1',
    '"1"',
    'true',
    '1.0',
    '1.5',
    '1e2',
    '2147483648',
    '-2147483649',
    '12345678901234567890',
    '1e400',
    '-0',
  ],
  ...[
    '[]',
    '[1]',
    '["a",null]',
    '{}',
    '{"a":1}',
    '{"messageId":1.0}',
    '{"messageId":"x","more":1}',
    '"\\ud83d\\ude00"',
    '""',
    '[[]]',
  ],
] as const;

export const TYPES = [
  ...['String', 'String!', 'ID', 'ID!', 'Int', 'Int!', 'Boolean!', 'Float', '[ID!]!', '[ID!]', '[ID]!', '[String!]!'],
  ...[
    '[[ID!]!]!',
    'Cursor',
    'DateTime',
    'DeliveryStatus',
    'MarkInput',
    'MarkInput!',
    'User',
    'Node',
    'Nothing',
    '__Type',
  ],
] as const;

/**
 * Names that fields may be given: some are keywords, some are names of other fields. None is `__typename`: graphql-js does not
 * compare its type with that of a field of the same name on another type, as 5.3.2 wants.
 */
export const ALIASES = [
  'a',
  'b',
  'id',
  'handle',
  'status',
  'viewer',
  'true',
  'null',
  'on',
  'fragment',
  'query',
] as const;

/** Small introspection, whose answer leaves no choice. */
export const INTROSPECTION = [
  '__schema { queryType { name kind } }',
  '__type ( name : "User" ) { kind name fields { name type { kind ofType { name } } } }',
  '__type ( name : "Nothing" ) { name }',
] as const;

export const MISTAKEN_DIRECTIVES = [
  ...['@ skip', '@ include ( if : null )', '@ skip ( if : "true" )', '@ skip ( if : true unless : true )', '@ nothing'],
  ...[
    '@ skip ( if : true ) @ skip ( if : false )',
    '@ specifiedBy ( url : "x" )',
    '@ deprecated',
    '@ include ( if : 1 )',
  ],
  ...['@ skip ( if : $undefined )', '@ include ( if : [true] )', '@', '@ include ( if : true if : true )'],
] as const;
