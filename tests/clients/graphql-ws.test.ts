/** graphql-ws, as its users set it up: signing in over the socket, with its own retry, and with sessions that end. */

import { setTimeout as pause } from 'node:timers/promises';
import type { ClientOptions } from 'graphql-ws';
import { expect } from 'vitest';

import { follow, isFinal } from '../../examples/plain/resume.ts';
import { Connection, type Variables } from './connection.ts';
import { test } from './fixtures.ts';
import type { LoginMutation } from './generated/graphql.ts';
import { follow as followByRetry } from './own-retry.ts';
import { person } from './person.ts';
import { racer } from './racer.ts';
import { races } from './race.ts';
import { bodies, Reader, says } from './reader.ts';
import { converses } from './scenario.ts';
import { LOGIN, MESSAGE_SENT, type MessageSent } from './user.ts';

/** Everything over one socket. */
async function voice(url: string, token: string) {
  const laptop = await Connection.open({
    url, connectionParams: { authorization: `Bearer ${token}`, connectionId: 'laptop' },
  });
  return {
    async ask<D>(query: string, variables: object) {
      const { data, errors } = await laptop.ask<D>(query, variables as Variables);
      if (!data) throw errors;
      return data;
    },
    isLost: (cause: unknown) => !isFinal(cause),
    follow: <E extends { cursor: string }>(query: string, variables: { after: string; [name: string]: string }) =>
      follow<E>(laptop.client, query, variables),
    leave: () => laptop.client.dispose(),
  };
}

converses('graphql-ws', {
  async signIn({ socket: url }, { handle, password }) {
    const { data } = await (await Connection.open({ url })).ask<LoginMutation>(LOGIN, { input: { handle, password } });
    return person(await voice(url, data!.login.token));
  },
});

races('graphql-ws', async (network, { token }) => {
  const { ask, ...rest } = await voice(network.socket, token);
  return racer({
    ...rest,
    // Here answers and events come in the order in which they were sent. This is as if the page came to it later.
    async ask(query, variables) {
      const data = await ask(query, variables);
      await network.wait(query);
      return data;
    },
  });
});

/** The client's own retry. */
const RETRY: Partial<ClientOptions> = {
  retryAttempts: Infinity,
  retryWait: () => pause(50),
  // In Node a refused connection is an error and not a close event, which by default is not tried again.
  shouldRetry: () => true,
};

test("the client's own retry goes on as well, if what it repeats carries the newest cursor", async ({
  herald, network, alice, bob, conversationId,
}) => {
  const phone = await bob.connect('phone', { url: network.socket, ...RETRY });
  const incoming = new Reader(followByRetry<MessageSent>(phone.client, MESSAGE_SENT, { after: phone.ack.cursor }));
  const closes: unknown[] = [];
  phone.client.on('closed', (event) => closes.push((event as { code: number }).code));

  await alice.send(conversationId, 'one');
  await incoming.until(says('one'));
  network.cut();
  await alice.send(conversationId, 'two');
  await alice.send(conversationId, 'three');
  network.heal();
  await incoming.until(says('three'));
  await herald.kill();
  await herald.start();
  await alice.send(conversationId, 'four');
  await incoming.until(says('four'));
  expect(await herald.stop()).toBe(0);
  await herald.start();
  await alice.send(conversationId, 'five');

  expect(bodies(await incoming.until(says('five')))).toEqual(['one', 'two', 'three', 'four', 'five']);
  expect(closes).toContain(1001);
  const again = { connectionId: 'phone', wasRetry: true };
  expect(phone.acks).toMatchObject([{ connectionId: 'phone', wasRetry: false }, again, again, again]);
});

test('a client signs in again when its session has ended, and goes on where it was', async ({
  alice, bob, conversationId,
}) => {
  let session = bob;
  let hasEnded = false;
  const phone = await bob.connect('phone', {
    ...RETRY,
    // Asked for each time that the client connects.
    async connectionParams() {
      if (hasEnded) {
        await alice.send(conversationId, 'while nobody was signed in');
        session = await bob.signInAgain();
      }
      return { authorization: `Bearer ${session.token}`, connectionId: 'phone' };
    },
  });
  phone.client.on('closed', (event) => {
    hasEnded = (event as { code: number }).code === 4403;
  });
  const incoming = new Reader(followByRetry<MessageSent>(phone.client, MESSAGE_SENT, { after: phone.ack.cursor }));

  await alice.send(conversationId, 'before');
  await incoming.until(says('before'));
  await bob.logOut();
  await incoming.until(says('while nobody was signed in'));
  await alice.send(conversationId, 'after');

  const seen = await incoming.until(says('after'));
  expect(bodies(seen)).toEqual(['before', 'while nobody was signed in', 'after']);
  expect(await phone.closed).toMatchObject({ code: 4403 });
  expect(phone.acks).toHaveLength(2);
});
