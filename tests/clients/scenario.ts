/**
 * What every client library is held to, whatever its idiom and its transport: one conversation, from signing in to
 * coming back after an outage with everything that happened, in order and once.
 */

import { EventEmitter, once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';

import { Herald } from './herald.ts';
import { Proxy } from './proxy.ts';
import { type Status, User } from './user.ts';

/** A library as it is used over one transport. */
export interface Library {
  /** Reaches herald through this network, and signs in with the mutation `login`. */
  signIn(network: Proxy, credentials: { handle: string; password: string }): Promise<Person>;
}

/** Somebody signed in, who does everything through the library. */
export interface Person {
  /** What was said in a conversation, oldest first. Read in pages of this size, from the newest page back. */
  history(conversationId: string, size: number): Promise<string[]>;
  send(conversationId: string, body: string): Promise<{ id: string; status: Status }>;
  /** The message's status after it was marked. */
  markDelivered(messageId: string): Promise<Status>;
  markRead(messageId: string): Promise<Status>;
  /**
   * Takes a snapshot with its cursor and follows the conversation from there on, through lost connections, until
   * the person leaves. Resolves as soon as the snapshot is taken.
   */
  follow(conversationId: string, see: (seen: Seen) => void): Promise<void>;
  /** Ends everything that is open. */
  leave(): void | Promise<void>;
}

/** What a follower is told. */
export type Seen = { said: string } | { status: Status; messageId: string };

/** How long the network is gone, in milliseconds. */
const OUTAGE = 2_000;

/** Defines the test of one library over one transport. */
export function converses(name: string, library: Library): void {
  test(`${name}: signs in, pages, sends, marks, receives, is cut off, and misses nothing`, async () => {
    const herald = await Herald.create();
    onTestFinished(() => herald.remove());
    const network = await Proxy.to(herald.port);
    onTestFinished(() => network.close());
    const [alice, bob] = [await User.register(herald, 'alice'), await User.register(herald, 'bob')];
    const conversationId = await alice.converse(bob);

    const old = numbered('old', 25);
    for (const body of old) await bob.send(conversationId, body);
    const person = await library.signIn(network, alice);
    onTestFinished(() => person.leave());
    expect(await person.history(conversationId, 10)).toEqual(old);

    const seen = new Sightings();
    await person.follow(conversationId, seen.add);
    const expected: Seen[] = [];

    // Live, in both directions. What the person does itself is not among what it is told.
    const question = await person.send(conversationId, 'question');
    expect(question.status).toBe('SENT');
    await bob.markDelivered(question.id);
    expected.push({ status: 'DELIVERED', messageId: question.id });
    await seen.reaches(expected);
    const answer = await bob.send(conversationId, 'answer');
    expected.push({ said: 'answer' });
    await seen.reaches(expected);
    expect(await person.markDelivered(answer.id)).toBe('DELIVERED');
    expect(await person.markRead(answer.id)).toBe('READ');
    expect((await bob.message(answer.id)).status).toBe('READ');

    // Cut off, while more happens than a subscription's queue holds, of both kinds.
    await network.outage(OUTAGE, async () => {
      for (const body of numbered('missed', 80)) {
        await bob.send(conversationId, body);
        expected.push({ said: body });
      }
      await bob.markRead(question.id);
      expected.push({ status: 'READ', messageId: question.id });
    });
    await seen.reaches(expected);

    // Connections that break while events are under way in them, and once while nothing is.
    for (const round of [1, 2, 3]) {
      for (const body of numbered(`round ${round}`, 20)) {
        await bob.send(conversationId, body);
        expected.push({ said: body });
        if (body.endsWith(' 10')) {
          network.cut();
          network.heal();
        }
      }
    }
    await seen.reaches(expected);
    network.cut();
    network.heal();

    // And it goes on as before.
    const last = await person.send(conversationId, 'goodbye');
    await bob.markRead(last.id);
    expected.push({ status: 'READ', messageId: last.id });
    await bob.send(conversationId, 'the end');
    expected.push({ said: 'the end' });
    await seen.reaches(expected);
  });
}

/** What somebody was told, in the order in which they were. */
class Sightings {
  readonly #seen: Seen[] = [];
  readonly #arrivals = new EventEmitter();

  readonly add = (seen: Seen): void => {
    this.#seen.push(seen);
    this.#arrivals.emit('arrival');
  };

  /** Waits for as many sightings as are expected, which must be these, in this order. */
  async reaches(expected: Seen[]): Promise<void> {
    while (this.#seen.length < expected.length) await once(this.#arrivals, 'arrival');
    expect(this.#seen).toEqual(expected);
  }
}

function numbered(what: string, count: number): string[] {
  return [...Array(count).keys()].map((n) => `${what} ${n + 1}`);
}
