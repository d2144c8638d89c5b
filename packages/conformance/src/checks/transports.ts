/** What each transport adds: section 13. */

import { setTimeout as pause } from 'node:timers/promises';

import { type Check, expect, refused, same } from '../check.ts';
import { describe } from '../stream.ts';

const noLeave: Check['unless'] = ({ operations }) => !operations.leave && 'nobody leaves a room';
const noRestart: Check['unless'] = (_, { restart }) => !restart && 'nobody restarts the server';

const websocket: Check[] = [
  {
    name: 'subscriptions of one socket do not mix',
    rule: 'W1',
    async run(world) {
      const on = world.keep(world.server.connect(world.guest));
      const room = await world.open(world.owner, world.guest);
      const after = await world.cursor();
      const [here, there] = [world.follow({ on, after }), world.follow({ on, after, in: room })];
      await world.say('here');
      await world.say('there', { room });
      same(await here.textsUntil('here'), ['here'], 'here');
      same(await there.textsUntil('there'), ['there'], 'there');
      here.close();
      await world.say('there again', { room });
      await there.textsUntil('there again');
    },
  },
  {
    name: 'complete is sent when nothing more will be told, and the socket stays',
    rule: 'W3',
    unless: noLeave,
    async run(world) {
      const on = world.keep(world.server.connect(world.guest));
      const room = await world.open(world.owner, world.guest);
      const after = await world.cursor();
      const [here, there] = [world.follow({ on, after }), world.follow({ on, after, in: room })];
      await world.say('here');
      await here.textsUntil('here');
      await world.server.ask(world.guest, world.server.mapping.operations.leave!, { room: world.room });
      expect((await here.ending()).how === 'complete', 'it is not completed');
      await world.say('there', { room });
      await there.textsUntil('there');
    },
  },
  {
    name: 'the cursor of connection_ack is of use',
    rule: 'W4',
    unless: ({ ackCursor }) => !ackCursor && 'there is none',
    async run(world) {
      const on = world.keep(world.server.connect(world.guest));
      const { [world.server.mapping.ackCursor!]: after } = (await on.ack) ?? {};
      expect(typeof after === 'string', 'connection_ack has no cursor');
      await world.sayAll('since', 3);
      const texts = await world.follow({ on, after }).textsUntil('since 2');
      same(texts, ['since 0', 'since 1', 'since 2'], 'since the connection was made');
    },
  },
  {
    name: 'a server that stops closes with 1001',
    rule: 'W5',
    isAlone: true,
    unless: noRestart,
    async run(world) {
      const on = world.keep(world.server.connect(world.guest));
      const stream = world.follow({ on, after: await world.cursor() });
      await world.say('one');
      await stream.textsUntil('one');
      await world.server.operator.restart!();
      const status = await on.closed;
      expect(status === 1001, `the socket is closed with ${status}`);
    },
  },
];

const sse: Check[] = [
  {
    name: 'id is the cursor',
    rule: 'E1',
    isAdvice: true,
    async run(world) {
      const stream = await world.followNow();
      await world.sayAll('one', 3);
      await stream.textsUntil('one 2');
      for (const { id, cursor } of stream.told) expect(id === cursor, `id is ${id}, and cursor is ${cursor}`);
    },
  },
  {
    name: 'Last-Event-ID counts before after',
    rule: 'E2',
    async run(world) {
      const after = await world.cursor();
      const first = world.follow({ after, eventSource: {} });
      await world.sayAll('one', 4);
      await first.textsUntil('one 3');
      const lastEventId = first.told.find(({ text }) => text === 'one 1')!.cursor;
      const back = world.follow({ after, eventSource: { lastEventId } });
      same(await back.textsUntil('one 3'), ['one 2', 'one 3'], 'an EventSource that comes back');
    },
  },
  {
    name: 'a Last-Event-ID that is no cursor is refused',
    rule: 'E2',
    async run(world) {
      const after = await world.cursor();
      await world.say('one');
      await refused(world.follow({ after, eventSource: { lastEventId: 'nonsense' } }), 'Last-Event-ID: nonsense', 'CURSOR_INVALID', 'CURSOR_EXPIRED');
    },
  },
  {
    name: 'an EventSource that comes back after complete gets 204',
    rule: 'E5',
    isAdvice: true,
    unless: noLeave,
    async run(world) {
      const after = await world.cursor();
      const stream = world.follow({ after, eventSource: {} });
      await world.say('one');
      await stream.textsUntil('one');
      await world.server.ask(world.guest, world.server.mapping.operations.leave!, { room: world.room });
      await stream.ending();
      const back = world.follow({ after, eventSource: { lastEventId: stream.lastEventId } });
      const end = await back.ending();
      expect(end.status === 204, `it is answered ${describe(end)}`);
    },
  },
  {
    name: 'comments keep a stream alive',
    rule: 'E6',
    unless: ({ heartbeat }) => heartbeat === undefined && 'the mapping does not say how often',
    async run(world) {
      const stream = await world.followNow();
      await stream.until('two comments', () => stream.signs >= 2, world.server.mapping.heartbeat! * 3_000 + 1_000);
    },
  },
];

const multipart: Check[] = [
  {
    name: 'a part is complete when it is sent',
    rule: 'M2',
    async run(world) {
      const stream = await world.followNow();
      // A part counts only when its delimiter is there: one that waits for the next is not seen in time.
      for (let n = 0; n < 3; n++) {
        await world.say(`part ${n}`);
        await stream.until(`"part ${n}" is whole`, () => stream.texts().includes(`part ${n}`), 2_000);
        await pause(50);
      }
    },
  },
  {
    name: 'the last delimiter comes when nothing more will be told',
    rule: 'M3',
    unless: noLeave,
    async run(world) {
      const stream = await world.followNow();
      await world.say('one');
      await stream.textsUntil('one');
      await world.server.ask(world.guest, world.server.mapping.operations.leave!, { room: world.room });
      expect((await stream.ending()).how === 'complete', 'the response ends without it');
    },
  },
];

const only = (over: Check['over'], checks: Check[]): Check[] => checks.map((check) => ({ ...check, over: over! }));

export const transports: Check[] = [
  ...only(['websocket'], websocket), ...only(['sse'], sse), ...only(['multipart'], multipart),
  {
    name: 'a stream that a crash ends completes nothing',
    rule: 'D8',
    isAlone: true,
    unless: (_, { kill }) => !kill && 'nobody kills the server',
    async run(world) {
      const stream = await world.followNow();
      await world.say('one');
      await stream.textsUntil('one');
      await world.server.operator.kill!();
      const { how } = await stream.ending();
      expect(how === 'lost', `it is ${how}`);
      const resumed = world.follow({ after: stream.told.at(-1)!.cursor });
      await world.say('two');
      same(await resumed.textsUntil('two'), ['two'], 'after the crash');
    },
  },
];
