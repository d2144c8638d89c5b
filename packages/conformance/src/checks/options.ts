/** The three options: sections 7, 8 and 9. */

import { setTimeout as pause } from 'node:timers/promises';

import { type Check, expect, same, type World } from '../check.ts';
import type { Stream } from '../stream.ts';

const noOrigin: Check['unless'] = ({ options }) => !options?.origin && 'the server has no origin';
const noCheckpoints: Check['unless'] = ({ options }) => !options?.checkpoints && 'the server has no checkpoints';
const noPrevious: Check['unless'] = ({ options }) => !options?.previous && 'the server has no previous';

const checkpointsOf = (stream: Stream, { server }: World) => stream.told.filter(({ type }) => type === server.names.checkpoint);

const origin: Check[] = [
  {
    name: 'an event is not told to the connection that caused it',
    rule: 'O1',
    async run(world) {
      const stream = await world.followNow({ origin: 'one' });
      await world.say('own', { by: world.guest, origin: 'one' });
      await world.say('other');
      same(await stream.textsUntil('other'), ['other'], 'live');
    },
  },
  {
    name: 'other connections of the viewer are told',
    rule: 'O1',
    async run(world) {
      const stream = await world.followNow({ origin: 'one' });
      await world.say('own', { by: world.guest, origin: 'two' });
      await world.say('other');
      same(await stream.textsUntil('other'), ['own', 'other'], 'live');
    },
  },
  {
    name: 'a name silences nobody else',
    rule: 'O1',
    async run(world) {
      const after = await world.cursor();
      const stream = world.follow({ after, origin: 'one' });
      await world.say('same name', { by: world.owner, origin: 'one' });
      await world.say('other');
      same(await stream.textsUntil('other'), ['same name', 'other'], 'live');
      same(await world.follow({ after, origin: 'one' }).textsUntil('other'), ['same name', 'other'], 'on replay');
    },
  },
  {
    name: 'on replay its own events are left out, too',
    rule: 'O2',
    async run(world) {
      const after = await world.cursor();
      await world.say('own', { by: world.guest, origin: 'one' });
      await world.say('other');
      same(await world.follow({ after, origin: 'one' }).textsUntil('other'), ['other'], 'on replay');
    },
  },
  {
    name: 'its own events are left out after it came back',
    rule: 'O2',
    async run(world) {
      const before = await world.followNow({ origin: 'one' });
      await world.say('first');
      await before.textsUntil('first');
      await world.say('own', { by: world.guest, origin: 'one' });
      before.close();
      const stream = world.follow({ after: before.told.at(-1)!.cursor, origin: 'one' });
      await world.say('other');
      same(await stream.textsUntil('other'), ['other'], 'under the same name');
    },
  },
  {
    name: 'what was left out moves the place on',
    rule: 'O3',
    async run(world) {
      const stream = await world.followNow({ origin: 'one' });
      await world.say('own', { by: world.guest, origin: 'one' });
      await world.say('other');
      await stream.textsUntil('other');
      const after = stream.told.find(({ text }) => text === 'other')!.cursor;
      await world.say('behind');
      same(await world.follow({ after }).textsUntil('behind'), ['behind'], 'without a name, behind the next event');
    },
  },
  {
    name: 'includeOwn leaves nothing out',
    rule: 'O4',
    async run(world) {
      const after = await world.cursor();
      const live = world.follow({ after, origin: 'one', includeOwn: true });
      await world.say('own', { by: world.guest, origin: 'one' });
      await world.say('other');
      same(await live.textsUntil('other'), ['own', 'other'], 'live');
      same(await world.follow({ after, origin: 'one', includeOwn: true }).textsUntil('other'), ['own', 'other'], 'on replay');
    },
  },
];

const checkpoints: Check[] = [
  {
    name: 'a checkpoint says that replay has caught up',
    rule: 'K2',
    async run(world) {
      const after = await world.cursor();
      const said = await world.sayAll('past', 5);
      const stream = world.follow({ after, checkpoints: true });
      await stream.until('a checkpoint with caughtUp', () => checkpointsOf(stream, world).some(({ caughtUp }) => caughtUp));
      const first = stream.told.findIndex(({ type, caughtUp }) => type === world.server.names.checkpoint && caughtUp);
      same(stream.told.slice(0, first).flatMap(({ text }) => text ?? []), said, 'before it');
    },
  },
  {
    name: 'a checkpoint comes also where there is nothing to replay',
    rule: 'K2',
    async run(world) {
      const stream = await world.followNow({ checkpoints: true });
      await stream.until('a checkpoint with caughtUp', () => checkpointsOf(stream, world).some(({ caughtUp }) => caughtUp));
    },
  },
  {
    name: 'a checkpoint comes when nothing happens',
    rule: 'K2',
    async run(world) {
      const { seconds } = world.server.mapping.options!.checkpoints!;
      const stream = await world.followNow({ checkpoints: true });
      await stream.until('two checkpoints', () => checkpointsOf(stream, world).length >= 2, seconds * 2_000 + 3_000);
      await world.say('one');
      await stream.textsUntil('one');
    },
  },
  {
    name: 'no checkpoint comes where none is asked for',
    rule: 'K1',
    async run(world) {
      const stream = await world.followNow();
      await pause(world.server.mapping.options!.checkpoints!.seconds * 1_000 + 300);
      await world.say('one');
      await stream.textsUntil('one');
      expect(!checkpointsOf(stream, world).length, 'a checkpoint comes');
    },
  },
  {
    name: 'a checkpoint does not come before what it includes',
    rule: 'K3',
    async run(world) {
      const { seconds } = world.server.mapping.options!.checkpoints!;
      const after = await world.cursor();
      const said: string[] = [];
      const streams = [];
      // Quiet now and then, so that checkpoints come between.
      for (let n = 0; n < 3; n++) {
        said.push(...(await world.sayAll(`part ${n}`, 5)));
        for (let m = 0; m < 3; m++) {
          streams.push(world.follow({ after, checkpoints: true }));
          said.push(...(await world.sayAll(`part ${n} ${m}`, 2)));
        }
        if (n < 2) await pause(seconds * 1_000 + 100);
      }
      const last = said.at(-1)!;
      const seen = new Set<string>();
      for (const stream of streams) {
        await stream.textsUntil(last);
        for (const [n, { cursor, type }] of stream.told.entries()) {
          if (type !== world.server.names.checkpoint || seen.has(cursor)) continue;
          seen.add(cursor);
          const told = stream.told.slice(0, n).flatMap(({ text }) => text ?? []);
          const resumed = world.follow({ after: cursor });
          const wanted = said.slice(told.length);
          if (wanted.length) same(await resumed.textsUntil(last), wanted, 'after a checkpoint');
          resumed.close();
        }
      }
    },
  },
  {
    name: 'a checkpoint moves on with what is not told',
    rule: 'K1',
    async run(world) {
      const { seconds } = world.server.mapping.options!.checkpoints!;
      const stream = await world.followNow({ checkpoints: true });
      await stream.until('a checkpoint', () => checkpointsOf(stream, world).length > 0);
      const room = await world.open(world.owner, world.guest);
      await world.sayAll('elsewhere', 5, { room });
      const count = checkpointsOf(stream, world).length;
      await stream.until('another checkpoint', () => checkpointsOf(stream, world).length > count, seconds * 2_000 + 3_000);
      const { everywhere } = world.server.mapping.operations;
      if (!everywhere) return;
      await world.say('behind');
      const resumed = world.follow({ after: checkpointsOf(stream, world).at(-1)!.cursor });
      same(await resumed.textsUntil('behind'), ['behind'], 'after the checkpoint');
    },
  },
];

const previous: Check[] = [
  {
    name: 'previous is the cursor before',
    rule: 'P1',
    async run(world) {
      const after = await world.cursor();
      await world.sayAll('past', 5);
      const stream = world.follow({ after });
      await stream.textsUntil('past 4');
      await world.sayAll('live', 5);
      await stream.textsUntil('live 4');
      chained(stream, after);
    },
  },
  {
    name: 'previous begins with after, as it was written',
    rule: 'P2',
    isAdvice: true,
    async run(world) {
      const after = await world.cursor();
      await world.sayAll('past', 2);
      const [replay, live] = [world.follow({ after }), await world.followNow()];
      await world.say('live');
      await replay.textsUntil('live');
      await live.textsUntil('live');
      expect(replay.told[0]!.previous === after, `on replay it is ${replay.told[0]!.previous}, and not ${after}`);
      expect(live.told[0]!.previous, `live it is ${live.told[0]!.previous}`);
    },
  },
  {
    name: 'previous is null without after',
    rule: 'P2',
    isAdvice: true,
    async run(world) {
      const stream = world.follow();
      for (let n = 0; !stream.told.length && n < 200; n++) {
        await world.say(`now ${n}`);
        await pause(20);
      }
      const [first] = stream.told;
      expect(first && first.previous === null, `it is ${first?.previous}`);
    },
  },
  {
    name: 'previous leaves out what was not told',
    rule: 'P3',
    async run(world) {
      const room = await world.open(world.owner, world.guest);
      const after = await world.cursor();
      const live = world.follow({ after });
      for (let n = 0; n < 5; n++) {
        await world.say(`other ${n}`, { room });
        await world.say(`here ${n}`);
      }
      await live.textsUntil('here 4');
      chained(live, after);
      const replay = world.follow({ after });
      await replay.textsUntil('here 4');
      chained(replay, after);
    },
  },
  {
    name: 'previous leaves out the echo',
    rule: 'P3',
    unless: noOrigin,
    async run(world) {
      const after = await world.cursor();
      const stream = world.follow({ after, origin: 'one' });
      for (let n = 0; n < 3; n++) {
        await world.say(`own ${n}`, { by: world.guest, origin: 'one' });
        await world.say(`other ${n}`);
      }
      await stream.textsUntil('other 2');
      chained(stream, after);
    },
  },
  {
    name: 'previous counts checkpoints',
    rule: 'P1',
    unless: noCheckpoints,
    async run(world) {
      const after = await world.cursor();
      await world.sayAll('past', 3);
      const stream = world.follow({ after, checkpoints: true });
      await stream.until('a checkpoint', () => checkpointsOf(stream, world).length > 0);
      await world.sayAll('live', 3);
      await stream.textsUntil('live 2');
      chained(stream, after);
    },
  },
];

/** P2 lets the first be null. */
function chained({ told }: Stream, after: string): void {
  let before = told[0]?.previous === null ? null : after;
  for (const [n, { previous, cursor }] of told.entries()) {
    expect(previous === before, `previous of event ${n} is ${previous}, and not ${before}`);
    before = cursor;
  }
}

const each = (checks: Check[], missing: Check['unless']): Check[] =>
  checks.map((check) => ({ ...check, unless: (...given) => missing?.(...given) || check.unless?.(...given) }));

export const options: Check[] = [...each(origin, noOrigin), ...each(checkpoints, noCheckpoints), ...each(previous, noPrevious)];
