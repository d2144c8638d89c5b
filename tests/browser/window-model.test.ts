/** The window on a conversation against a model: whatever is loaded in whichever order, it never has a gap. */

import { expect, test } from 'vitest';

import { CONTEXT, History, PAGE, type Page } from '../../playground/src/history.ts';

/** How many runs, how many steps each has, and how many messages there are in the beginning at most. */
const RUNS = 150;
const STEPS = 60;
const LONGEST = 900;

/** How many messages are shown at most. */
const SHOWN = 400;

/** Mulberry32. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const line = (n: number) => ({ key: `Message:${n}`, sentAt: String(n).padStart(6, '0') });
const numberOf = (key: string) => Number(key.slice('Message:'.length));

/** herald with one conversation, whose messages are numbers from 0 on, and a page that follows it. */
class World {
  readonly history = new History();
  /** How many messages there are, and of how many the page was told. */
  stored: number;
  told: number;
  /** How many there were when herald gave the newest answer that has come: its socket may be behind that. */
  known = 0;
  /** Answers that are under way, with how many messages there were. */
  readonly answers: { page: Page; stored: number }[] = [];

  constructor(stored: number) {
    this.stored = this.told = stored;
    this.ask({ last: 40, before: null });
  }

  /** herald answers now. When the page has it, is another matter. */
  ask(page: { last: number; before: string | null } | { first: number; after: string | null }): void {
    const isLast = 'last' in page;
    const next = isLast ? 0 : Number(page.after ?? -1) + 1;
    const to = isLast ? Number(page.before ?? this.stored) : Math.min(this.stored, next + page.first);
    const from = isLast ? Math.max(0, to - page.last) : next;
    const lines = Array.from({ length: to - from }, (_, n) => line(from + n));
    const answer = {
      lines,
      after: isLast ? null : page.after,
      before: isLast ? page.before : null,
      start: lines.length ? String(from) : null,
      end: lines.length ? String(to - 1) : null,
      hasOlder: isLast ? from > 0 : page.after !== null,
      hasNewer: isLast ? page.before !== null : to < this.stored,
    };
    this.answers.push({ page: answer, stored: this.stored });
  }

  arrive(): void {
    const answer = this.answers.shift();
    if (!answer) return;
    this.history.add(answer.page);
    this.known = Math.max(this.known, answer.stored);
  }

  /** Tells of some messages, in their order. */
  tell(count: number): void {
    for (const to = Math.min(this.stored, this.told + count); this.told < to; this.told++) this.history.note(line(this.told));
  }
}

/** What a page does, and what happens to it. */
function step(world: World, chance: () => number): void {
  const { history } = world;
  const some = Math.floor(chance() * 30);
  const [before, after] = [history.missingBefore, history.missingAfter];
  switch (Math.floor(chance() * 10)) {
    case 0:
      world.stored += some;
      return;
    case 1:
      return world.tell(some);
    case 2:
    case 3:
      return world.arrive();
    case 4:
      return before ? world.ask(before) : history.older();
    case 5:
      return after ? world.ask(after) : history.newer();
    case 6:
      return history.stay();
    case 7:
      return history.follow();
    case 8:
      return history.show(`Message:${Math.floor(chance() * world.stored)}`);
    case 9: {
      // As for a first unread message that is far away.
      const number = Math.floor(chance() * world.stored);
      world.ask({ last: CONTEXT, before: String(number) });
      world.ask({ first: PAGE, after: number ? String(number - 1) : null });
    }
  }
}

test('the window has no gap, begins and ends where it says, and comes to the newest message', () => {
  let gapless = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const chance = random(seed);
    const world = new World(Math.floor(chance() * LONGEST));
    const look = (at: string) => {
      const { keys, hasOlder, hasNewer } = world.history.shown;
      const numbers = keys.map(numberOf);
      const where = `seed ${seed}, ${at}`;
      expect(numbers, where).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(numbers.length, where).toBeLessThanOrEqual(SHOWN);
      if (!numbers.length || world.told < world.known) return;
      gapless++;
      expect(numbers, where).toEqual(numbers.map((_, n) => numbers[0]! + n));
      expect(hasOlder, where).toBe(numbers[0]! > 0);
      if (!hasNewer) expect(numbers.at(-1)!, where).toBeGreaterThanOrEqual(world.told - 1);
    };
    for (let n = 0; n < STEPS; n++) {
      step(world, chance);
      look(`step ${n}`);
    }
    while (world.answers.length) world.arrive();
    world.tell(Infinity);
    world.history.follow();
    look('the end');
    expect(world.history.shown.keys.at(-1), `seed ${seed}`).toBe(world.stored ? line(world.stored - 1).key : undefined);
    expect(world.history.shown.hasNewer).toBe(false);
  }
  expect(gapless).toBeGreaterThan((RUNS * STEPS) / 3);
});
