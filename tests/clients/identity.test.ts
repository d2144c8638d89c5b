/** A company's own users, with the tokens of its own identity provider. */

import { createClient } from 'graphql-ws';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, onTestFinished } from 'vitest';
import WebSocket from 'ws';

import { followRenewing } from '../../examples/plain/renewing.ts';
import { type Close, Connection } from './connection.ts';
import { test as base } from './fixtures.ts';
import { Herald } from './herald.ts';
import { Employee } from './identity/employee.ts';
import { forge, signedWithPublicKey, unsigned } from './identity/forge.ts';
import { refusal, Stream, STREAMS } from './identity/http.ts';
import { type Algorithm, AUDIENCE, ELSEWHERE, IdentityProvider } from './identity/provider.ts';
import { claimsOf, headOf, Visitor } from './identity/visitor.ts';
import { bodies, Reader, says } from './reader.ts';
import { LOGIN, MESSAGE_SENT, type MessageSent, post, User } from './user.ts';

const VIEWER = /* GraphQL */ `query Viewer { viewer { id handle displayName externalId } }`;

interface Viewer {
  viewer: { id: string; handle: string; displayName: string; externalId: string } | null;
}

const trusting = ({ jwks, issuer }: IdentityProvider) =>
  ['--jwt-jwks', jwks, '--jwt-issuer', issuer, '--jwt-audience', AUDIENCE];

/** A provider and a herald of the test's own, for what would disturb others. */
async function pair(...flags: string[]): Promise<{ provider: IdentityProvider; herald: Herald }> {
  const provider = await IdentityProvider.start();
  onTestFinished(() => provider.goAway());
  const herald = await Herald.create(...trusting(provider), ...flags);
  onTestFinished(() => herald.remove());
  return { provider, herald };
}

const test = base
  .extend('provider', { scope: 'file' }, async ({}, { onCleanup }) => {
    const provider = await IdentityProvider.start();
    onCleanup(() => provider.goAway());
    return provider;
  })
  .extend('herald', { scope: 'file' }, async ({ provider }, { onCleanup }) => {
    const herald = await Herald.create(...trusting(provider));
    onCleanup(() => herald.remove());
    return herald;
  })
  /** Has an account, and a token, with which herald was not asked anything yet. */
  .extend('erin', ({ herald, provider }) => Employee.signIn(herald, provider, 'erin'));

describe('somebody whom herald has never seen arrives with their first token', () => {
  test('by POST, under what the token says', async ({ erin }) => {
    const { viewer } = await erin.user.request<Viewer>(VIEWER);
    expect(viewer).toMatchObject({ handle: erin.account.login, displayName: 'erin', externalId: erin.account.sub });
    // Who comes again is the same.
    await erin.renew();
    expect((await erin.user.request<Viewer>(VIEWER)).viewer).toEqual(viewer);
  });

  test('by GET', async ({ herald, erin }) => {
    const answer = await fetch(`${herald.http}?query=${encodeURIComponent(VIEWER)}`, {
      headers: { authorization: `Bearer ${erin.token}`, accept: 'application/json' },
    });
    expect(await answer.json()).toMatchObject({ data: { viewer: { handle: erin.account.login } } });
  });

  test.for(Object.keys(STREAMS) as (keyof typeof STREAMS)[])('by %s', async (kind, { herald, alice, erin }) => {
    const stream = await Stream.open(herald, kind, erin.token, `subscription { messageSent { message { body } } }`);
    await alice.send(await alice.converse(erin.user), 'Welcome');
    await stream.says('Welcome');
  });

  test('by WebSocket, with connection_init', async ({ alice, erin }) => {
    const desk = await erin.user.connect();
    const inbox = desk.subscribe<MessageSent>(MESSAGE_SENT);
    const { id } = await alice.send(await alice.converse(erin.user), 'Welcome');
    expect((await inbox.next()).message.id).toBe(id);
  });

  test('by WebSocket, with a header of the upgrade', async ({ herald, alice, erin }) => {
    const headers = { authorization: `Bearer ${erin.token}` };
    class WithHeader extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { headers });
      }
    }
    const desk = await Connection.open({ url: herald.socket, webSocketImpl: WithHeader });
    const inbox = desk.subscribe<MessageSent>(MESSAGE_SENT);
    const { id } = await alice.send(await alice.converse(erin.user), 'Welcome');
    expect((await inbox.next()).message.id).toBe(id);
  });

  test('many times at once, and is one user', async ({ erin }) => {
    const asked = await Promise.all(Array.from({ length: 20 }, () => erin.user.request<Viewer>(VIEWER)));
    expect(new Set(asked.map(({ viewer }) => viewer!.id)).size).toBe(1);
  });

  test('under another handle, when theirs is taken', async ({ herald, provider, alice }) => {
    const namesake = await Employee.signIn(herald, provider, 'Namesake', alice.handle);
    const { viewer } = await namesake.user.request<Viewer>(VIEWER);
    expect(viewer!.handle).not.toBe(alice.handle);
    expect(viewer!.handle).toMatch(new RegExp(`^${alice.handle}.`));
    expect(viewer!.externalId).toBe(namesake.account.sub);
    // Neither became the other.
    expect((await alice.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: alice.handle, displayName: 'alice' });
  });
});

describe('a token that expires', () => {
  const test_ = test.extend('brief', async ({ provider }, { onCleanup }) => {
    const { tokenSeconds } = provider;
    provider.tokenSeconds = 2;
    onCleanup(() => void (provider.tokenSeconds = tokenSeconds));
    return provider;
  }).extend('erin', ({ herald, brief }) => Employee.signIn(herald, brief, 'erin'));

  test_('closes its sockets with 4403, and the client renews it and goes on, losing nothing', async ({
    herald, alice, erin,
  }) => {
    await erin.user.request(VIEWER);
    const conversationId = await alice.converse(erin.user);
    const client = createClient({
      url: herald.socket,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: () => ({ authorization: `Bearer ${erin.token}`, connectionId: 'desk' }),
    });
    onTestFinished(() => Promise.resolve(client.dispose()).catch(() => {}));
    const closes: number[] = [];
    client.on('closed', (event) => closes.push((event as Close).code));
    const variables = { after: await erin.user.cursor(), conversationId };
    const incoming = new Reader(
      followRenewing<MessageSent>(client, MESSAGE_SENT, variables, () => erin.renew()),
    );

    const said = [];
    for (let n = 1; closes.length < 3; n++) {
      await alice.send(conversationId, `message ${n}`);
      said.push(`message ${n}`);
      await pause(20);
    }
    await alice.send(conversationId, 'the end');

    expect(bodies(await incoming.until(says('the end')))).toEqual([...said, 'the end']);
    expect(new Set(closes)).toEqual(new Set([4403]));
  });

  test_('cannot be followed with when there is no other', async ({ herald, alice, erin }) => {
    const client = createClient({
      url: herald.socket,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: () => ({ authorization: `Bearer ${erin.token}` }),
    });
    const variables = { after: await alice.cursor() };
    const events = followRenewing<MessageSent>(client, MESSAGE_SENT, variables, async () => {});
    await expect(events.next()).rejects.toMatchObject({ code: 4403 });
  });

  for (const kind of Object.keys(STREAMS) as (keyof typeof STREAMS)[]) {
    test_(`ends its subscriptions over ${kind} with UNAUTHENTICATED`, async ({ herald, alice, erin }) => {
      const stream = await Stream.open(herald, kind, erin.token, `subscription { messageSent { message { body } } }`);
      await alice.send(await alice.converse(erin.user), 'Welcome');
      await stream.says('Welcome');
      expect(await stream.end()).toContain('UNAUTHENTICATED');
    });
  }

  test_('is refused afterwards, and its successor is not', async ({ herald, erin }) => {
    await expect.poll(() => refusal(herald, erin.token), { timeout: 20_000 }).toMatchObject({
      status: 401, code: 'UNAUTHENTICATED', message: expect.stringMatching(/expired/i),
    });
    await erin.renew();
    expect((await erin.user.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: erin.account.login });
  });
});

test('what a connection does under a renewed token is its own, live and on resuming', async ({
  provider, alice, erin,
}) => {
  await erin.user.request(VIEWER);
  const conversationId = await alice.converse(erin.user);
  const after = await erin.user.cursor();
  const follows = async (connectionId: string) =>
    (await erin.user.connect(connectionId)).subscribe<MessageSent>(MESSAGE_SENT, { after });
  const [desk, phone] = [await follows('desk'), await follows('phone')];
  const before = erin.token;
  await erin.renew();
  expect(erin.token).not.toBe(before);

  const own = await erin.user.send(conversationId, 'from the desk', { from: 'desk' });
  const others = await alice.send(conversationId, 'from Alice');

  expect((await desk.next()).message.id).toBe(others.id);
  expect((await phone.take(2)).map(({ message }) => message.id)).toEqual([own.id, others.id]);
  expect((await (await follows('desk')).next()).message.id).toBe(others.id);
  // In another sign-in it is another connection's, whatever it calls itself.
  const { access } = await new Visitor(provider, erin.account).signIn();
  const elsewhere = User.of(erin.herald, erin.account.login, access);
  const desk2 = (await elsewhere.connect('desk')).subscribe<MessageSent>(MESSAGE_SENT, { after });
  expect((await desk2.next()).message.id).toBe(own.id);
});

describe('keys', () => {
  const ALGORITHMS: Algorithm[] = ['ES256', 'EdDSA', 'PS256', 'RS256'];

  test.for(ALGORITHMS)('that are new (%s) are taken up when a token names them', async (algorithm) => {
    const { provider, herald } = await pair();
    const erin = await Employee.signIn(herald, provider, 'erin');
    const { viewer } = await erin.user.request<Viewer>(VIEWER);
    provider.rotateKeys(algorithm);
    await erin.renew();
    expect(headOf(erin.token)['alg']).toBe(algorithm);
    await expect.poll(() => refusal(herald, erin.token), { timeout: 50_000 }).toMatchObject({ status: 200 });
    expect((await erin.user.request<Viewer>(VIEWER)).viewer).toEqual(viewer);
  });

  test('that overlap are both good', async () => {
    const { provider, herald } = await pair();
    const [erin, finn] = [await Employee.signIn(herald, provider, 'erin'), await Employee.signIn(herald, provider, 'finn')];
    provider.rotateKeys('RS256', { overlap: true });
    await erin.renew();
    await expect.poll(() => refusal(herald, erin.token), { timeout: 50_000 }).toMatchObject({ status: 200 });
    for (const one of [erin, finn]) {
      expect((await one.user.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: one.account.login });
    }
  });

  test('that are known go on while the provider is away, and a token of an unknown one is refused', async () => {
    const { provider, herald } = await pair();
    const erin = await Employee.signIn(herald, provider, 'erin');
    const finn = await Employee.signIn(herald, provider, 'finn');
    const { viewer } = await erin.user.request<Viewer>(VIEWER);
    const known = provider.signingKey;
    provider.rotateKeys();
    const unknown = provider.signingKey;
    await provider.goAway();

    expect((await erin.user.request<Viewer>(VIEWER)).viewer).toEqual(viewer);
    // Somebody whom herald has never seen comes with a key that it knows.
    expect((await finn.user.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: finn.account.login });
    const token = forge(provider, erin.token, { head: { kid: unknown.id }, key: unknown.key });
    expect(known.id).not.toBe(unknown.id);
    const { status, code } = await refusal(herald, token);
    expect([[401, 'UNAUTHENTICATED'], [503, 'UNAVAILABLE']]).toContainEqual([status, code]);

    await provider.comeBack();
    await expect.poll(() => refusal(herald, token), { timeout: 50_000 }).toMatchObject({ status: 200 });
  });

  test('of a provider that is away when herald starts are taken up when it is there', async () => {
    const provider = await IdentityProvider.start();
    onTestFinished(() => provider.goAway());
    const erin = provider.addAccount('erin', { preferred_username: 'erin', name: 'Erin' });
    const { access } = await new Visitor(provider, erin).signIn();
    await provider.goAway();
    const herald = await Herald.create(...trusting(provider));
    onTestFinished(() => herald.remove());
    const alice = await User.register(herald, 'alice');
    expect((await alice.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: alice.handle });

    await provider.comeBack();
    await expect.poll(() => refusal(herald, access), { timeout: 50_000 }).toMatchObject({ status: 200 });
  });

  test('are not fetched anew for each token that names an unknown one', async () => {
    const { provider, herald } = await pair();
    const erin = await Employee.signIn(herald, provider, 'erin');
    await erin.user.request(VIEWER);
    const before = provider.keyRequests;
    for (let n = 0; n < 50; n++) {
      const token = forge(provider, erin.token, { head: { kid: `made up ${n}` } });
      expect(await refusal(herald, token)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    }
    expect(provider.keyRequests - before).toBeLessThan(10);
  });
});

/** What is wrong with a token, how it is made, and what the refusal names. */
const BAD: [string, RegExp, (erin: Employee, provider: IdentityProvider) => string | Promise<string>][] = [
  ['for another audience', /audience/i, async ({ visitor }) => (await visitor.signIn(ELSEWHERE)).access],
  ['of another issuer', /issuer/i, ({ token }, provider) => forge(provider, token, { claims: { iss: 'http://elsewhere' } })],
  ['that has expired', /expired/i, ({ token }, provider) => forge(provider, token, { claims: { exp: 1_600_000_000 } })],
  ['that is not yet valid', /nbf/, ({ token }, provider) =>
    forge(provider, token, { claims: { nbf: 4_000_000_000 } })],
  ['without an end', /exp/i, ({ token }, provider) => forge(provider, token, { claims: { exp: undefined } })],
  ['whose end is no number', /exp/i, ({ token }, provider) => forge(provider, token, { claims: { exp: '4000000000' } })],
  ['without a subject', /sub/i, ({ token }, provider) => forge(provider, token, { claims: { sub: undefined } })],
  ['of an unknown key', /key/i, ({ token }, provider) => forge(provider, token, { head: { kid: 'made up' } })],
  ['that is not signed', /algorithm|signed|alg/i, ({ token }) => unsigned(token)],
  ['that is signed with the public key as a secret', /algorithm|alg/i, ({ token }, provider) =>
    signedWithPublicKey(provider, token)],
  ['that was changed', /signature/i, ({ token }) => {
    const [head, , signature] = token.split('.');
    const claims = { ...claimsOf(token), sub: 'idp|somebody-else' };
    return `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
  }],
];

describe('a token is refused, and the message names what is wrong:', () => {
  test.for(BAD)('one %s', async ([, says, make], { herald, provider, erin }) => {
    const token = await make(erin, provider);
    expect(await refusal(herald, token)).toMatchObject({
      status: 401, code: 'UNAUTHENTICATED', message: expect.stringMatching(says),
    });
    const connectionParams = { authorization: `Bearer ${token}` };
    const { code, reason } = await erin.user.connect('desk', { connectionParams }).catch((close: Close) => close) as Close;
    expect([code, reason]).toEqual([4403, expect.stringMatching(says)]);
    expect(await herald.log()).not.toContain(token);
  });

  test('one of another provider', async ({ herald }) => {
    const other = await IdentityProvider.start();
    onTestFinished(() => other.goAway());
    const mallory = await Employee.signIn(herald, other, 'mallory');
    expect(await refusal(herald, mallory.token)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
  });
});

describe('the ways in', () => {
  const signIn = async (herald: Herald) => (await fetch(new URL('/sign-in', herald.http))).json();
  const REGISTER = /* GraphQL */ `mutation Register($input: RegisterInput!) { register(input: $input) { token } }`;
  const input = { handle: 'gina', displayName: 'Gina', password: 'the password of Gina' };

  test('are told to whoever asks', async ({ herald }) => {
    expect(await signIn(herald)).toEqual({ passwordLogin: true, registration: 'open', oidc: null });
  });

  test('of the provider are told to pages, with what they need to sign in there', async () => {
    const provider = await IdentityProvider.start();
    onTestFinished(() => provider.goAway());
    const flags = ['--oidc-issuer', provider.issuer, '--oidc-client-id', 'playground'];
    const herald = await Herald.create(...trusting(provider), ...flags);
    onTestFinished(() => herald.remove());
    expect(await signIn(herald)).toMatchObject({
      oidc: { issuer: provider.issuer, clientId: 'playground', scope: 'openid profile offline_access', resource: AUDIENCE },
    });
  });

  test('can leave registration out', async () => {
    const { herald, provider } = await pair('--registration', 'closed');
    expect(await signIn(herald)).toMatchObject({ registration: 'closed', passwordLogin: true });
    await expect(post(herald.http, REGISTER, { input })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    // Those of the provider arrive all the same.
    const erin = await Employee.signIn(herald, provider, 'erin');
    expect((await erin.user.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: erin.account.login });
  });

  test('can leave passwords out', async () => {
    const { herald, provider } = await pair('--password-login', 'off');
    expect(await signIn(herald)).toMatchObject({ passwordLogin: false });
    await expect(post(herald.http, LOGIN, { input: { handle: 'gina', password: 'x' } })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await expect(post(herald.http, REGISTER, { input })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const erin = await Employee.signIn(herald, provider, 'erin');
    expect((await erin.user.request<Viewer>(VIEWER)).viewer).toMatchObject({ handle: erin.account.login });
  });
});
