/** What is told, in what order, and how often: sections 3, 4 and 5. */

import { setTimeout as pause } from 'node:timers/promises';

import { type Check, expect, same } from '../check.ts';
import { describe } from '../stream.ts';

export const delivery: Check[] = [
  {
    name: 'what happens is told',
    rule: 'D1',
    async run(world) {
      const stream = await world.followNow();
      const said = await world.sayAll('live', 10);
      same(await stream.textsUntil('live 9'), said, 'live');
    },
  },
  {
    name: 'what happened before is told',
    rule: 'D1',
    async run(world) {
      const after = await world.cursor();
      const said = await world.sayAll('past', 30);
      const stream = world.follow({ after });
      same(await stream.textsUntil('past 29'), said, 'replay');
      // What is told twice comes before what is said later.
      const later = await world.sayAll('later', 1);
      same(await stream.textsUntil('later 0'), [...said, ...later], 'replay, and what follows');
    },
  },
  {
    name: 'a long replay is told whole',
    rule: 'D1',
    // Others would fill a bounded history meanwhile.
    isAlone: true,
    async run(world) {
      const after = await world.cursor();
      const said = await world.sayAll('past', 150);
      same(await world.follow({ after }).textsUntil('past 149'), said, 'replay');
    },
    unless: ({ keeps }) => keeps !== undefined && keeps < 150 && 'fewer events are kept',
  },
  {
    name: 'several followers are told the same',
    rule: 'D1',
    async run(world) {
      const after = await world.cursor();
      const streams = Array.from({ length: 5 }, () => world.follow({ after }));
      const said = await world.sayAll('live', 20);
      for (const stream of streams) same(await stream.textsUntil('live 19'), said, 'one of five');
    },
  },
  {
    name: 'nothing is lost or repeated where replay meets live',
    rule: 'D4',
    async run(world) {
      const after = await world.cursor();
      const said: string[] = [];
      const streams = [];
      // Each begins amid what is said.
      for (let n = 0; n < 60; n++) {
        const answer = world.say(`seam ${n}`);
        said.push(`seam ${n}`);
        if (n % 3 === 0) streams.push(world.follow({ after }));
        await answer;
      }
      for (const stream of streams) same(await stream.textsUntil('seam 59'), said, 'at the seam');
    },
  },
  {
    name: 'the order is the same live and on replay',
    rule: 'D2',
    async run(world) {
      const after = await world.cursor();
      const live = world.follow({ after });
      const speakers = [world.owner, world.guest, world.owner, world.guest];
      const said = (await Promise.all(speakers.map((by, n) => world.sayAll(`speaker ${n}`, 10, { by })))).flat();
      await live.until('all is told', () => said.every((text) => live.texts().includes(text)));
      const replay = world.follow({ after });
      await replay.until('all is told again', () => said.every((text) => replay.texts().includes(text)));
      same(replay.texts(), live.texts(), 'on replay');
    },
  },
  {
    name: 'cursors differ',
    rule: 'C2',
    async run(world) {
      const after = await world.cursor();
      await Promise.all([world.sayAll('one', 10), world.sayAll('two', 10), world.sayAll('three', 10)]);
      const stream = world.follow({ after });
      await stream.until('all is told', () => stream.texts().length >= 30);
      expect(new Set(stream.told.map(({ cursor }) => cursor)).size === stream.told.length, 'two events have the same cursor');
    },
  },
  {
    name: 'an event has the same cursor live and on replay',
    rule: 'C2',
    async run(world) {
      const after = await world.cursor();
      const live = world.follow({ after });
      await world.sayAll('one', 5);
      await live.textsUntil('one 4');
      const replay = world.follow({ after });
      await replay.textsUntil('one 4');
      const cursors = (of: typeof live) => of.told.map(({ cursor }) => cursor);
      same(cursors(replay), cursors(live), 'cursors on replay');
    },
  },
  {
    name: 'after excludes its own event',
    rule: 'D3',
    async run(world) {
      const first = world.follow({ after: await world.cursor() });
      const said = await world.sayAll('one', 6);
      await first.textsUntil('one 5');
      const cursors = first.told.filter(({ text }) => text).map(({ cursor }) => cursor);
      for (const n of [0, 2, 4]) same(await world.follow({ after: cursors[n]! }).textsUntil('one 5'), said.slice(n + 1), `after the event ${n}`);
    },
  },
  {
    name: 'a cut connection costs nothing',
    rule: 'D1',
    async run(world) {
      const through = await world.network();
      let after = await world.cursor();
      const told: string[] = [];
      const speaking = world.sayAll('cut', 60);
      for (let n = 0; told.length < 60; n++) {
        expect(n < 100, `after 100 cuts only ${told.length} of 60 are told`);
        const stream = world.follow({ after, through });
        const wanted = Math.min(60 - told.length, 7);
        await stream.until('some more is told', () => stream.texts().length >= wanted);
        through.cut();
        through.heal();
        told.push(...stream.texts());
        after = stream.told.at(-1)?.cursor ?? after;
      }
      same(told, await speaking, 'over all connections');
    },
  },
  {
    name: 'what a network lost without a word is told again',
    rule: 'D1',
    async run(world) {
      const through = await world.network();
      const after = await world.cursor();
      const before = world.follow({ after, through });
      await world.say('one');
      await before.textsUntil('one');
      through.lose();
      await world.sayAll('lost', 10);
      expect(before.texts().length === 1, 'the proxy lost nothing');
      const resumed = world.follow({ after: before.told.at(-1)!.cursor });
      same(await resumed.textsUntil('lost 9'), Array.from({ length: 10 }, (_, n) => `lost ${n}`), 'after the last cursor');
    },
  },
  {
    name: 'a slow client loses nothing',
    rule: 'D4',
    async run(world) {
      const through = await world.network();
      const stream = world.follow({ after: await world.cursor(), through });
      await world.say('begin');
      await stream.textsUntil('begin');
      through.stall();
      // More than sockets hold, and less than a bounded history does.
      const count = Math.min(150, (world.server.mapping.keeps ?? 300) / 2);
      const said = await world.sayAll('slow', count, { padding: '…'.repeat(9_000) });
      await pause(200);
      through.flow();
      await stream.until('all is told', () => Boolean(stream.ended) || stream.texts().includes(said.at(-1)!));
      const texts = stream.texts();
      same(texts, ['begin', ...said].slice(0, texts.length), 'a client that was slow');
      if (texts.length > said.length) return;
      // A server may cut off who takes nothing, and then tells the rest.
      expect(stream.ended?.how === 'lost', `it ends ${stream.ended && describe(stream.ended)}`);
      const after = stream.told.at(-1)!.cursor;
      same(await world.follow({ after }).textsUntil(said.at(-1)!), said.slice(texts.length - 1), 'the rest');
    },
  },
  {
    name: 'an event that was told survives a crash',
    rule: 'D5',
    isAlone: true,
    over: ['websocket'],
    unless: (_, { kill }) => !kill && 'nobody kills the server',
    async run(world) {
      const after = await world.cursor();
      for (let n = 0; n < 2; n++) {
        const stream = world.follow({ after });
        const told = stream.textsUntil(`one ${n}`);
        // Its answer may get lost.
        void world.say(`one ${n}`).catch(() => {});
        await told;
        await world.server.operator.kill!();
      }
      same(await world.follow({ after }).textsUntil('one 1'), ['one 0', 'one 1'], 'after two crashes');
    },
  },
  {
    name: 'a cursor is of use after a restart',
    rule: 'C4',
    isAlone: true,
    over: ['websocket'],
    unless: (_, { restart }) => !restart && 'nobody restarts the server',
    async run(world) {
      const after = await world.cursor();
      await world.say('before');
      await world.server.operator.restart!();
      await world.say('behind');
      same(await world.follow({ after }).textsUntil('behind'), ['before', 'behind'], 'after a restart');
    },
  },
  ...([['without after', undefined], ['with null as after', null]] as const).map(([how, after]): Check => ({
    name: `${how}, a subscription begins now`,
    rule: 'D6',
    async run(world) {
      const before = await world.sayAll('before', 3);
      const stream = world.follow({ ...(after === null && { after }) });
      // It begins at some instant: say until it is there.
      let n = 0;
      for (; !stream.texts().length && n < 200; n++) {
        await world.say(`now ${n}`);
        await pause(20);
      }
      const said = Array.from({ length: n }, (_, n) => `now ${n}`);
      await stream.textsUntil(`now ${n - 1}`);
      expect(!stream.texts().some((text) => before.includes(text)), 'what happened before is told');
      same(stream.texts(), said.slice(n - stream.texts().length), 'from its beginning');
    },
  })),
  {
    name: 'a subscription completes when nothing more will be told',
    rule: 'D8',
    unless: ({ operations }) => !operations.leave && 'nobody leaves a room',
    async run(world) {
      const stream = await world.followNow();
      const said = await world.sayAll('before', 3);
      await world.server.ask(world.guest, world.server.mapping.operations.leave!, { room: world.room });
      const end = await stream.ending();
      same(stream.texts(), said, 'before the end');
      expect(end.how === 'complete', `the viewer left, and the subscription is ${end.how} ${end.codes}`);
    },
  },
  {
    name: 'a server that stops completes nothing',
    rule: 'D8',
    isAlone: true,
    unless: (_, { restart }) => !restart && 'nobody restarts the server',
    async run(world) {
      const stream = await world.followNow();
      await world.say('one');
      await stream.textsUntil('one');
      await world.server.operator.restart!();
      const end = await stream.ending();
      expect(end.how !== 'complete', 'the subscription is completed');
    },
  },
  {
    name: 'what was before the end is told before it, also on replay',
    rule: 'D9',
    unless: ({ operations }) => !operations.leave && 'nobody leaves a room',
    async run(world) {
      const after = await world.cursor();
      const said = await world.sayAll('before', 3);
      await world.server.ask(world.guest, world.server.mapping.operations.leave!, { room: world.room });
      await world.say('behind');
      const stream = world.follow({ after });
      const { how, codes } = await stream.ending();
      const mayNot = how === 'refused' && ['FORBIDDEN', 'NOT_FOUND'].includes(String(codes[0]));
      expect(how === 'complete' || mayNot, `it ends ${how} ${codes}`);
      same(stream.texts(), said, 'before the end');
    },
  },
  {
    name: 'the snapshot includes what is before its cursor',
    rule: 'N1',
    async run(world) {
      const begin = await world.cursor();
      const snapshots: { cursor: string; texts: string[] }[] = [];
      let isOver = false;
      const looking = (async () => {
        while (!isOver) snapshots.push(await world.snapshot());
      })();
      const said = (await Promise.all([world.sayAll('one', 20), world.sayAll('two', 20)])).flat();
      isOver = true;
      await looking;
      const all = world.follow({ after: begin });
      await all.until('all is told', () => all.texts().length >= said.length);
      // Those at the ends, and some between.
      const some = snapshots.filter((_, n) => n % Math.ceil(snapshots.length / 12) === 0 || n === snapshots.length - 1);
      for (const { cursor, texts } of some) {
        const stream = world.follow({ after: cursor });
        const wanted = said.filter((text) => !texts.includes(text));
        const marker = `marker ${cursor}`;
        await world.say(marker);
        const told = await stream.textsUntil(marker);
        const lost = wanted.filter((text) => !told.includes(text));
        expect(!lost.length, `neither in the snapshot nor behind its cursor: ${lost}`);
        stream.close();
      }
    },
  },
  {
    name: 'nothing is lost between the snapshot and the subscription',
    rule: 'N4',
    async run(world) {
      await world.say('shown');
      const { cursor, texts } = await world.snapshot();
      expect(texts.includes('shown'), 'the snapshot does not show what was answered before');
      const said = await world.sayAll('between', 3);
      same(await world.follow({ after: cursor }).textsUntil('between 2'), said, 'behind the snapshot');
    },
  },
  {
    name: 'a cursor is of use with other arguments',
    rule: 'C5',
    unless: ({ operations }) => !operations.everywhere && 'there are no others',
    async run(world) {
      const room = await world.open(world.owner, world.guest);
      const inOne = world.follow({ after: await world.cursor() });
      await world.say('one');
      await inOne.textsUntil('one');
      const after = inOne.told.at(-1)!.cursor;
      await world.say('two');
      await world.say('elsewhere', { room });
      const everywhere = world.follow({ after, by: world.server.mapping.operations.everywhere! });
      same(await everywhere.textsUntil('elsewhere'), ['two', 'elsewhere'], 'with the cursor of one room, in all rooms');
    },
  },
  {
    name: 'a cursor is of use with another field',
    rule: 'C5',
    unless: ({ operations }) => !operations.another && 'there is no other',
    async run(world) {
      const stream = world.follow({ after: await world.cursor() });
      await world.sayAll('one', 3);
      await stream.textsUntil('one 2');
      const after = stream.told.find(({ text }) => text === 'one 0')!.cursor;
      const other = world.follow({ after, by: world.server.mapping.operations.another! });
      same(await other.textsUntil('one 2'), ['one 1', 'one 2'], 'with the cursor of one field, in another');
    },
  },
];
