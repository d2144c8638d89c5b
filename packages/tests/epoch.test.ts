import { Epoch } from 'resumable-graphql';
import { expect, test } from 'vitest';

test('of what grows, the furthest counts, and in the next epoch nothing of before', () => {
  const epoch = new Epoch();
  epoch.begin();
  expect(epoch.reach('a', 2, Number)).toBe(2);
  expect(epoch.reach('a', 1, Number)).toBe(2);
  expect(epoch.furthest('a', 3, Number)).toBe(3);
  expect(epoch.furthest('a', 1, Number)).toBe(2);

  const { signal, number } = epoch;
  epoch.end();
  expect(signal.aborted).toBe(true);
  expect(epoch.signal.aborted).toBe(false);
  expect(epoch.number).toBe(number + 1);
  // What was shown stays until there is a snapshot, which is compared with nothing of before.
  expect(epoch.furthest('a', 1, Number)).toBe(2);
  expect(epoch.reach('a', 1, Number)).toBe(1);
  expect(epoch.furthest('a', 0, Number)).toBe(1);
  epoch.begin();
  expect(epoch.furthest('b', 0, Number)).toBe(0);
});

test('it has begun when there is a snapshot, and waits for another one after its end', async () => {
  const epoch = new Epoch();
  const seen: string[] = [];
  const wait = (name: string) => epoch.begun.then(() => seen.push(name));
  void wait('first');
  epoch.end();
  const second = wait('second');
  expect(epoch.hasBegun).toBe(false);
  await Promise.resolve();
  expect(seen).toEqual([]);
  epoch.begin();
  await second;
  expect(epoch.hasBegun).toBe(true);
  expect(seen).toEqual(['first', 'second']);
});

test('of subscriptions that share it, the first that is told ends it', () => {
  const epoch = new Epoch();
  const [one, two] = [epoch.join(false), epoch.join(false)];
  one.taken();
  two.taken();
  const { number } = epoch;
  one.expired();
  expect(epoch.number).toBe(number + 1);
  two.expired();
  expect(epoch.number).toBe(number + 1);
  one.taken();
  two.taken();
  two.expired();
  expect(epoch.number).toBe(number + 2);
});

test('with nobody to notice its end, what comes is compared with nothing of before', () => {
  const epoch = new Epoch();
  const one = epoch.join(false);
  one.taken();
  epoch.reach('a', 2, Number);
  const { signal } = epoch;
  one.left();
  epoch.join(false).taken();
  expect(epoch.reach('a', 1, Number)).toBe(1);
  // Requests that are under way may be of this epoch or not, and are not called void.
  expect(signal.aborted).toBe(false);
});

test('a subscription that goes on from a cursor that was kept needs no snapshot', () => {
  const epoch = new Epoch();
  epoch.join(true);
  expect(epoch.hasBegun).toBe(true);
});

test('a subscription that is left before its snapshot holds up nobody', () => {
  const epoch = new Epoch();
  epoch.begin();
  const one = epoch.join(false);
  expect(epoch.hasBegun).toBe(false);
  one.left();
  expect(epoch.hasBegun).toBe(true);
});
