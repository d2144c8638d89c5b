/** What is refused, and how: sections 6, 10, 11 and 14. */

import { setTimeout as pause } from 'node:timers/promises';

import { jsonOf, open } from '../http.ts';
import { type Check, expect, refused, same, type World } from '../check.ts';
import { describe } from '../stream.ts';

const INVALID = ['CURSOR_INVALID', 'CURSOR_EXPIRED'];

/** What is no cursor of any server. */
const MADE_UP: [string, string][] = [
  ['an empty text', ''],
  ['a word', 'nonsense'],
  ['a number', '1'],
  ['a large number', '99999999999999999999'],
  ['a negative number', '-1'],
  ['a path', '../../etc/passwd'],
  ['quotes', `' OR 1=1 --`],
  ['characters of other alphabets', '\u{1F41D}é\u0000\n'],
];

/** A subscription after a cursor of another place in time: nothing may come of it. */
async function isRefused(world: World, after: string, what: string, ...codes: string[]): Promise<void> {
  await refused(world.follow({ after }), what, ...codes);
}

export const refusals: Check[] = [
  ...MADE_UP.map(([what, after]): Check => ({
    name: `${what} is no cursor`,
    rule: 'R4',
    async run(world) {
      await world.say('one');
      await isRefused(world, after, what, ...INVALID);
    },
  })),
  {
    name: 'a mangled cursor is refused',
    rule: 'R4',
    async run(world) {
      await world.sayAll('one', 3);
      const cursor = await world.cursor();
      const [half, tail] = [cursor.slice(0, cursor.length / 2), cursor.slice(cursor.length / 2)];
      const mangled = [half, tail, `${cursor}0`, `0${cursor}`, [...cursor].reverse().join(''), cursor + cursor, `${cursor} `];
      // One that reads the same backwards is the same.
      for (const after of mangled.filter((text) => text !== cursor)) await isRefused(world, after, `${after} instead of ${cursor}`, ...INVALID);
    },
  },
  {
    name: 'a cursor with one character changed is refused',
    rule: 'R4',
    over: ['websocket'],
    async run(world) {
      await world.sayAll('one', 3);
      const cursor = await world.cursor();
      const places = [...cursor].map((_, n) => n).filter((n) => n % Math.ceil(cursor.length / 16) === 0 || n === cursor.length - 1);
      await Promise.all(places.map(async (place) => {
        const other = cursor[place] === '1' ? '2' : '1';
        const after = cursor.slice(0, place) + other + cursor.slice(place + 1);
        await isRefused(world, after, `${after} instead of ${cursor}`, ...INVALID);
      }));
    },
  },
  {
    name: 'a huge cursor is refused, and does no harm',
    rule: 'X3',
    async run(world) {
      const stream = world.follow({ after: 'x'.repeat(50_000) });
      const { how, codes } = await stream.ending();
      expect(how === 'refused', `it ends ${how}`);
      expect(!codes.some((code) => /INTERNAL/.test(String(code))), `the server failed: ${codes}`);
      const next = await world.followNow();
      await world.say('one');
      await next.textsUntil('one');
    },
  },
  {
    name: 'a mangled cursor is no error of the server',
    rule: 'X3',
    over: ['websocket'],
    async run(world) {
      for (const [what, after] of MADE_UP) {
        const { codes } = await world.follow({ after }).ending();
        expect(!codes.some((code) => code === undefined || /INTERNAL/.test(String(code))), `${what}: ${codes}`);
      }
    },
  },
  {
    name: 'a cursor that is no text is refused',
    rule: 'R1',
    async run(world) {
      const { how } = await world.follow({ after: { cursor: 1 } as never }).ending();
      expect(how === 'refused', `it ends ${how}`);
    },
  },
  {
    name: 'a refused cursor does not end the socket',
    rule: 'W2',
    over: ['websocket'],
    async run(world) {
      const on = world.keep(world.server.connect(world.guest));
      const other = world.follow({ on, after: await world.cursor() });
      const stream = world.follow({ on, after: 'nonsense' });
      const { flaw, how } = await stream.ending();
      expect(how === 'refused' && !flaw, `it is ${how}: ${flaw}`);
      await world.say('one');
      await other.textsUntil('one');
      await world.follow({ on, after: other.told[0]!.cursor }).until('begins', () => true);
    },
  },
  {
    name: 'whoever is not signed in is refused',
    rule: 'R2',
    async run(world) {
      const stream = world.keep(world.server.subscribe(world.transport, undefined, world.room, { after: await world.cursor() }));
      const { how, codes, status } = await stream.ending();
      expect(codes.includes('UNAUTHENTICATED') || status === 401 || status === 4403, `it ends ${how} ${codes} ${status}`);
      expect(!stream.told.length, 'it is told something');
    },
  },
  {
    name: 'whoever is not in a room is refused it',
    rule: 'R2',
    async run(world) {
      const stranger = await world.server.signIn('stranger');
      const after = await world.cursor();
      await world.say('secret');
      await refused(world.follow({ as: stranger, after }), 'a stranger', 'FORBIDDEN', 'NOT_FOUND');
    },
  },
  {
    name: 'a cursor grants nothing',
    rule: 'V3',
    unless: ({ operations }) => !operations.everywhere && 'there is no subscription to all rooms',
    async run(world) {
      const everywhere = world.server.mapping.operations.everywhere!;
      const stranger = await world.server.signIn('stranger');
      const own = await world.open(stranger, await world.server.signIn('other'));
      const after = await world.cursor();
      await world.say('secret');
      await world.say('own', { by: stranger, room: own });
      const live = world.follow({ as: stranger, after, by: everywhere });
      await live.textsUntil('own');
      await world.say('secret, too');
      await world.say('own, too', { by: stranger, room: own });
      same(await live.textsUntil('own, too'), ['own', 'own, too'], 'with the cursor of somebody else');
    },
  },
  {
    name: 'nothing of other rooms is told',
    rule: 'V1',
    async run(world) {
      const room = await world.open(world.owner, world.guest);
      const after = await world.cursor();
      const live = world.follow({ after });
      const said: string[] = [];
      for (let n = 0; n < 5; n++) {
        await world.say(`other ${n}`, { room });
        said.push(...(await world.sayAll(`here ${n}`, 2)));
      }
      same(await live.textsUntil('here 4 1'), said, 'live');
      same(await world.follow({ after }).textsUntil('here 4 1'), said, 'on replay');
    },
  },
  {
    name: 'whoever joins in the middle is told the same live and on replay',
    rule: 'V1',
    unless: ({ operations }) => !(operations.invite && operations.everywhere) && 'nobody joins a room',
    async run(world) {
      const by = world.server.mapping.operations.everywhere!;
      const third = await world.server.signIn('third');
      const after = await world.cursor();
      const live = world.follow({ as: third, after, by });
      await world.say('before');
      await world.server.ask(world.owner, world.server.mapping.operations.invite!, { room: world.room, guest: third.name });
      await world.say('behind');
      const told = await live.textsUntil('behind');
      same(await world.follow({ as: third, after, by }).textsUntil('behind'), told, 'on replay, as live');
    },
  },
  {
    name: 'whoever has left is told no more, live or on replay',
    rule: 'V1',
    unless: ({ operations }) => !(operations.leave && operations.everywhere) && 'nobody leaves a room',
    async run(world) {
      const { leave, everywhere } = world.server.mapping.operations;
      const other = await world.open(world.owner, world.guest);
      const after = await world.cursor();
      const live = world.follow({ after, by: everywhere! });
      await world.say('before');
      await world.server.ask(world.guest, leave!, { room: world.room });
      await world.say('behind');
      await world.say('elsewhere', { room: other });
      same(await live.textsUntil('elsewhere'), ['before', 'elsewhere'], 'live');
      same(await world.follow({ after, by: everywhere! }).textsUntil('elsewhere'), ['before', 'elsewhere'], 'on replay');
    },
  },
  {
    name: 'a session that ends, ends its subscriptions',
    rule: 'X5',
    unless: ({ operations }) => !operations.signOut && 'nobody signs out',
    async run(world) {
      const stream = await world.followNow();
      await world.say('one');
      await stream.textsUntil('one');
      await world.server.ask(world.guest, world.server.mapping.operations.signOut!);
      const end = await stream.ending();
      expect(end.codes.includes('UNAUTHENTICATED') || end.status === 4403, `it ends ${describe(end)}`);
    },
  },
  {
    name: 'an ended session is refused',
    rule: 'X5',
    unless: ({ operations }) => !operations.signOut && 'nobody signs out',
    async run(world) {
      const after = await world.cursor();
      await world.say('one');
      await world.server.ask(world.guest, world.server.mapping.operations.signOut!);
      const stream = world.follow({ after });
      const end = await stream.ending();
      expect(end.codes.includes('UNAUTHENTICATED') || end.status === 401 || end.status === 4403, `it ends ${describe(end)}`);
      expect(!stream.told.length, 'it is told something');
    },
  },
  {
    name: 'a snapshot is not for shared caches',
    rule: 'N3',
    over: ['websocket'],
    async run({ server, guest, room }) {
      const { query, variables = {} } = server.mapping.operations.snapshot;
      const { http, headers } = server.peer(guest);
      const filled = JSON.stringify(variables).replaceAll('"$room"', JSON.stringify(room));
      for (const method of ['GET', 'POST'] as const) {
        const url = method === 'GET' ? `${http}?${new URLSearchParams({ query, variables: filled })}` : http;
        const response = await open(url, {
          method, headers: { accept: 'application/json', ...headers }, ...(method === 'POST' && { body: { query, variables: JSON.parse(filled) } }),
        });
        const control = String(response.headers['cache-control'] ?? '');
        const { data } = await jsonOf(response);
        if (!data) continue;
        expect(!/public|s-maxage/.test(control) && (!/max-age=[1-9]/.test(control) || /private/.test(control)), `${method}: cache-control: ${control}`);
      }
    },
  },
  {
    name: 'a place that is not kept any more is refused',
    rule: 'T2',
    isAlone: true,
    unless: ({ keeps }) => keeps === undefined && 'everything is kept',
    async run(world) {
      const after = await world.cursor();
      await world.say('first');
      // Twice as much as is kept: a server may keep more.
      await fillHistory(world, 2);
      await isRefused(world, after, 'a cursor of before what is kept', 'CURSOR_EXPIRED');
    },
  },
  {
    name: 'what is kept is told from its beginning',
    rule: 'T3',
    isAlone: true,
    over: ['websocket'],
    unless: ({ keeps }) => keeps === undefined && 'everything is kept',
    async run(world) {
      await fillHistory(world, 1);
      const after = await world.cursor();
      const said = await fillHistory(world, 1);
      same(await world.follow({ after }).textsUntil(said.at(-1)!), said, 'as many as are kept');
    },
  },
  {
    name: 'a place with nothing behind it is not refused',
    rule: 'T2',
    async run(world) {
      const after = await world.cursor();
      const streams = [world.follow({ after }), world.follow({ after })];
      await pause(100);
      for (const { ended } of streams) expect(!ended, `the newest cursor is refused: ${ended?.codes}`);
      await world.say('one');
      for (const stream of streams) same(await stream.textsUntil('one'), ['one'], 'behind the newest cursor');
    },
  },
  {
    name: 'a slow client is told everything, or that it cannot be',
    rule: 'T4',
    isAlone: true,
    unless: ({ keeps }) => keeps === undefined && 'everything is kept',
    async run(world) {
      const through = await world.network();
      const stream = world.follow({ after: await world.cursor(), through });
      await world.say('begin');
      await stream.textsUntil('begin');
      through.stall();
      const said = await fillHistory(world, 3, ' '.repeat(5_000));
      through.flow();
      await stream.until('all is told', () => Boolean(stream.ended) || stream.texts().includes(said.at(-1)!));
      const texts = stream.texts();
      same(texts, ['begin', ...said].slice(0, texts.length), 'without a gap');
      const isWhole = texts.at(-1) === said.at(-1);
      expect(isWhole || stream.ended?.codes.includes('CURSOR_EXPIRED'), `it ends ${stream.ended && describe(stream.ended)}`);
    },
  },
  {
    name: 'a cursor of an epoch that has ended is refused',
    rule: 'C3',
    isAlone: true,
    unless: (_, { backUp }) => !backUp && 'nobody puts a backup back',
    async run(world) {
      const restore = await world.server.operator.backUp!();
      await world.sayAll('undone', 3);
      const after = await world.cursor();
      await restore();
      // There is a place of the same number again.
      await world.sayAll('again', 10);
      await isRefused(world, after, 'a cursor of before the backup was put back', 'CURSOR_EXPIRED');
      const stream = await world.followNow();
      await world.say('one');
      await stream.textsUntil('one');
    },
  },
  {
    name: 'a cursor of before the backup is refused, too',
    rule: 'C3',
    isAlone: true,
    over: ['websocket'],
    unless: (_, { backUp }) => !backUp && 'nobody puts a backup back',
    async run(world) {
      const after = await world.cursor();
      const restore = await world.server.operator.backUp!();
      await world.say('undone');
      await restore();
      await isRefused(world, after, 'a cursor of the epoch before', 'CURSOR_EXPIRED');
    },
  },
];

/** Says as many things as are kept at least, so many times. */
function fillHistory(world: World, times: number, padding = ''): Promise<string[]> {
  return world.sayAll(`fill ${times}`, times * world.server.mapping.keeps!, { padding });
}
