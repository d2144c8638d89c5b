/** What nests without end, wherever something can nest: refused by the parser's own limits, whoever sends it and how. */

import { expect, test } from 'vitest';

import { Front, load } from './front.ts';
import { type Answer, codes, times } from './http.ts';

/** The ways to say that a document is none of ours. */
const REFUSALS = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'LIMIT_EXCEEDED'];

/** Every place in which something can nest, as what repeats, what is inside, and what closes it. */
const PLACES: Record<string, (open: (text: string) => string, close: (text: string) => string) => string> = {
  lists: (open, close) => `{user(handle:${open('[')}"x"${close(']')}){id}}`,
  objects: (open, close) => `{user(handle:${open('{a:')}1${close('}')}){id}}`,
  'lists and objects': (open, close) => `{user(handle:${open('[{a:')}1${close('}]')}){id}}`,
  'a default': (open, close) => `query($a:[ID!]=${open('[')}1${close(']')}){nodes(ids:$a){id}}`,
  'a default of objects': (open, close) => `query($a:LoginInput=${open('{a:')}1${close('}')}){viewer{id}}`,
  'the type of a variable': (open, close) => `query($a:${open('[')}ID${close(']')}){nodes(ids:$a){id}}`,
  'the type of a variable, non-null': (open, close) => `query($a:${open('[')}ID!${close(']!')}){nodes(ids:$a){id}}`,
  'a directive of a field': (open, close) => `{viewer @include(if:${open('[')}1${close(']')}){id}}`,
  'a directive of a variable': (open, close) => `query($a:ID @a(b:${open('[')}1${close(']')})){node(id:$a){id}}`,
  'a directive of an operation': (open, close) => `query @a(b:${open('{a:')}1${close('}')}){viewer{id}}`,
  'a directive of a spread': (open, close) => `{...F @a(b:${open('[')}1${close(']')})}fragment F on Query{viewer{id}}`,
  'a fragment': (open, close) => `{...F}fragment F on Query{user(handle:${open('[')}1${close(']')}){id}}`,
  'a fragment that nothing uses': (open, close) => `{viewer{id}}fragment F on Query{a(b:${open('[')}1${close(']')})}`,
  selections: (open, close) => `${open('{node')}{id}${close('}')}`,
  'selections of the schema': (open, close) =>
    `{conversations${open('{nodes{lastMessage{conversation')}{id}${close('}}}')}}`,
  'inline fragments': (open, close) => `{${open('...{')}viewer{id}${close('}')}}`,
  'typed inline fragments': (open, close) => `{${open('...on Query{')}viewer{id}${close('}')}}`,
  'inline fragments with directives': (open, close) => `{${open('...@skip(if:true){')}viewer{id}${close('}')}}`,
  'an extension of the schema': (open, close) => `type A{a(b:Int=${open('[')}1${close(']')}):Int}{viewer{id}}`,
};

/** What tempts whatever looks at a document before the parser does to read it otherwise. */
const LURES: Record<string, string> = {
  nothing: '',
  'an unterminated block string': '"""x"',
  'an unterminated string': '"x',
  'a string that ends at the end of its line': '"x\n',
  'an empty block string and a quote': '"""""" "',
  'an escaped quote': '"\\"',
  'an escaped block quote': '"""\\"""',
  'a comment': '#{"\n',
  'a comment that only a carriage return ends': '#"""\r',
  commas: ',,,,',
  'a byte order mark': '\u{feff}',
  'a character that means nothing': '\u{0}',
};

const DEPTHS = [12, 60, 70, 130, 260, 510, 1_000, 1_700, 5_000, 14_000];

/** The longest document that is allowed. */
const MOST_BYTES = 32_768;

/** So deep a document may be good. */
const SHALLOW = 70;

interface Document {
  text: string;
  depth: number;
}

/** The input that once ended the process. */
const ONCE: Document = { text: `{a(b:["""x"${'['.repeat(1_700)}${']'.repeat(1_700)}])}`, depth: 1_700 };

/** Every document of the family that fits. */
function documents(): Document[] {
  const found = new Map<string, Document>([[ONCE.text, ONCE]]);
  for (const write of Object.values(PLACES)) {
    for (const depth of DEPTHS) {
      for (const lure of Object.values(LURES)) {
        const whole = write((text) => lure + text.repeat(depth), (text) => text.repeat(depth));
        const open = write((text) => lure + text.repeat(depth), () => '');
        const start = lure + write((text) => text.repeat(depth), (text) => text.repeat(depth));
        const closed = write(() => lure, (text) => text.repeat(depth));
        for (const text of [whole, open, start, closed]) {
          if (Buffer.byteLength(text) <= MOST_BYTES) found.set(text, { text, depth });
        }
      }
    }
  }
  return [...found.values()];
}

/** As many of the documents, of all kinds, and always the first. */
function some(count: number): Document[] {
  const all = documents();
  const step = Math.max(1, Math.ceil(all.length / count));
  return all.filter((_, index) => index % step === 0);
}

/** What was answered otherwise than by refusing, to be read. */
function wrong(document: Document, { text }: Pick<Answer, 'text'>): string[] {
  const [code, ...more] = codes({ text });
  if (document.depth <= SHALLOW || (REFUSALS.includes(code ?? '') && more.length < 100)) return [];
  return [`${document.text.slice(0, 80)}: ${text.slice(0, 200)}`];
}

test('documents that nest are refused, sent by anybody', async () => {
  const front = await Front.open();
  const caller = front.caller();
  const sent = some(load(6_000));
  await front.withstands(async () => {
    const found = await times(sent.length, 16, async (index) => {
      const document = sent[index]!;
      return wrong(document, await caller.ask(document.text));
    });
    expect(found.flat()).toEqual([]);
  });
});

test('the same from a foreign page, whose browser asks by GET', async () => {
  const front = await Front.open();
  const caller = front.caller();
  const headers = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' };
  // A little less than the bytes that a request's head may have.
  const sent = some(load(2_000))
    .map((document) => ({ document, path: `/graphql?query=${encodeURIComponent(document.text)}` }))
    .filter(({ path }) => path.length < 32_000);
  await front.withstands(async () => {
    const found = await times(sent.length, 16, async (index) => {
      const { document, path } = sent[index]!;
      return wrong(document, await caller.raw({ method: 'GET', path, headers }));
    });
    expect(found.flat()).toEqual([]);
  });
});

test('the same on a socket, where each is the error of its operation and the socket goes on', async () => {
  const front = await Front.open();
  const sent = some(load(2_000));
  await front.withstands(async () => {
    const socket = await front.socket();
    for (const [index, document] of sent.entries()) {
      const { type, payload } = await socket.ask(`${index}`, document.text);
      const text = JSON.stringify(type === 'error' ? { errors: payload } : payload);
      expect(wrong(document, { text })).toEqual([]);
    }
    await socket.close();
  });
});

/** JSON that nests so deep. */
function deep(depth: number, open = '[', close = ']'): string {
  return open.repeat(depth) + '1' + close.repeat(depth);
}

test('JSON that nests is refused, in variables, in extensions and around them', async () => {
  const front = await Front.open();
  const caller = front.caller();
  const query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }';
  const bodies = [100, 126, 127, 128, 129, 200, 2_000, 20_000, 120_000].flatMap((depth) =>
    [deep(depth), deep(Math.min(depth, 40_000), '{"a":', '}'), '['.repeat(depth)].flatMap((json) => [
      `{"query":${JSON.stringify(query)},"variables":{"ids":${json}}}`,
      `{"query":${JSON.stringify(query)},"variables":${json}}`,
      `{"query":"{viewer{id}}","extensions":{"other":${json}},"variables":7}`,
      `{"query":${json}}`,
      `{"query":"{viewer{id}}","variables":null,"other":${json},"query":1}`,
      `{"a":${json}}`,
    ]),
  );
  await front.withstands(async () => {
    const wrong = await times(bodies.length, 16, async (index) => {
      const answer = await caller.raw({ body: bodies[index]! });
      const [code] = codes(answer);
      const refused = [400, 413].includes(answer.status) || (code === 'GRAPHQL_VALIDATION_FAILED' && answer.status === 200);
      return refused && code !== undefined ? [] : [`${bodies[index]!.slice(0, 80)}: ${answer.status} ${answer.text}`];
    });
    expect(wrong.flat()).toEqual([]);
    const inUrl = await times(20, 4, async (index) => {
      const name = index % 2 ? 'variables' : 'extensions';
      const path = `/graphql?query={viewer{id}}&${name}=${encodeURIComponent(deep(150 * (index + 1)))}`;
      return caller.raw({ method: 'GET', path });
    });
    for (const answer of inUrl) expect([400, 431]).toContain(answer.status);
  });
});
