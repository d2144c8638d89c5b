/** Signing in at a login of the company's own: an OpenID Connect provider that others wrote. */

import type { Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

import { Herald } from '../clients/herald.ts';
import { type Account, AUDIENCE, CLIENT_ID, IdentityProvider } from '../clients/identity/provider.ts';
import { faults } from './accessibility.ts';
import type { Chat } from './chat.ts';
import { test as base } from './fixtures.ts';
import { unique } from './person.ts';

const flags = ({ issuer, jwks }: IdentityProvider) => [
  ...['--jwt-jwks', jwks, '--jwt-issuer', issuer, '--jwt-audience', AUDIENCE],
  ...['--oidc-issuer', issuer, '--oidc-client-id', CLIENT_ID],
];

const test = base
  .extend('provider', { scope: 'file' }, async ({}, { onCleanup }) => {
    const provider = await IdentityProvider.start();
    onCleanup(() => provider.goAway());
    return provider;
  })
  .extend('herald', { scope: 'file' }, async ({ provider }, { onCleanup }) => {
    const herald = await Herald.create(...flags(provider));
    onCleanup(() => herald.remove());
    return herald;
  })
  /** Has an account at the company's login. */
  .extend('erin', ({ provider }) => {
    const handle = unique('Erin');
    return provider.addAccount(handle, { preferred_username: handle, name: 'Erin' });
  })
  /** A device of nobody's yet, which may go to the company's login. */
  .extend('laptop', async ({ device, provider }) => {
    const laptop = await device();
    laptop.provokes(new RegExp(`^request: ${provider.issuer}/`), new RegExp(`^404: ${provider.issuer}/favicon.ico`),
      new RegExp(`404 .*\\(${provider.issuer}/favicon.ico`));
    return laptop;
  });

const button = (page: Page) => page.getByRole('button', { name: "Sign in with your company's login" });

/** Goes to the company's login, and comes back signed in. */
async function signIn(chat: Chat, { login, password }: Account): Promise<void> {
  await button(chat.page).click();
  await chat.page.getByLabel('Login').fill(login);
  await chat.page.getByLabel('Password').fill(password);
  await chat.page.getByRole('button', { name: 'Continue' }).click();
  await chat.is('connected');
}

/** What a page keeps, in whatever way. */
const kept = ({ page }: Chat) =>
  page.evaluate(() => JSON.stringify({ local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie }));

test('somebody signs in there, is found here, and talks', async ({ device, laptop, erin, bob }) => {
  const chat = await laptop.chat();
  await button(chat.page).waitFor();
  expect(await faults(chat.page)).toEqual([]);
  await signIn(chat, erin);
  expect(new URL(chat.page.url()).search).toBe('');
  expect(await chat.page.getByText(`@${erin.login}`).count()).toBe(1);

  const bobs = await (await device(bob)).chat();
  await bobs.start(erin.login);
  await bobs.write('Welcome');
  await chat.open(bob.name);
  await chat.says('Welcome');
  await chat.write('Thank you');
  await bobs.says('Welcome', 'Thank you');
  await bobs.showsTicks('Read');
  // No cookie of herald's stands for them, and nothing that stands for them is where others could find it.
  expect(await kept(chat)).not.toMatch(/ey[\w-]+\.ey|refresh|departure/i);
  expect((await laptop.cookies()).map(({ name }) => name)).not.toContain('herald_session');
});

test('a page that is loaded again is still signed in, and shows what was open', async ({ laptop, erin, bob, herald }) => {
  const chat = await laptop.chat();
  await signIn(chat, erin);
  const conversationId = await bob.converse([{ handle: erin.login }]);
  await bob.send(conversationId, 'one');
  await chat.open(bob.name);
  await chat.says('one');

  await chat.page.reload();
  await chat.is('connected');
  await chat.says('one');
  await bob.send(conversationId, 'two');
  await chat.says('one', 'two');
  expect(new URL(chat.page.url()).origin).toBe(new URL(herald.http).origin);
});

test('tokens are renewed as they expire, and nothing is lost or comes twice', async ({ laptop, provider, erin, bob }) => {
  const { tokenSeconds } = provider;
  provider.tokenSeconds = 3;
  onTestFinished(() => void (provider.tokenSeconds = tokenSeconds));
  const chat = await laptop.chat();
  await signIn(chat, erin);
  const conversationId = await bob.converse([{ handle: erin.login }]);
  await chat.open(bob.name);

  const said: string[] = [];
  while (chat.sockets.length < 4) {
    said.push(`message ${said.length + 1}`);
    await bob.send(conversationId, said.at(-1)!);
    await chat.page.waitForTimeout(100);
  }
  await chat.write('still here');

  await chat.says(...said, 'still here');
  const cursors = chat.events.map(({ cursor }) => cursor);
  expect(new Set(cursors).size).toBe(cursors.length);
  // It is not told what it said itself, under whichever token.
  expect(chat.events.filter(({ message }) => message?.body === 'still here')).toEqual([]);
});

test('a token that herald refuses before its time is renewed, and the request is made again', async ({
  laptop, erin, bob,
}) => {
  laptop.provokes(/^401: /, /status of 401/);
  const chat = await laptop.chat();
  await signIn(chat, erin);
  const conversationId = await bob.converse([{ handle: erin.login }]);
  await chat.open(bob.name);
  const refused = { errors: [{ message: 'The token has expired.', extensions: { code: 'UNAUTHENTICATED' } }] };
  await chat.page.route(({ pathname }) => pathname === '/graphql', (route) => route.fulfill({ status: 401, json: refused }), {
    times: 1,
  });
  const renewed = chat.page.waitForResponse((response) => new URL(response.url()).pathname === '/token');

  await chat.write('hello');
  expect((await renewed).status()).toBe(200);
  await chat.showsTicks('Sent');
  expect((await bob.messages(conversationId)).map(({ body }) => body)).toEqual(['hello']);
});

test('to sign out is to sign out there, too', async ({ laptop, erin }) => {
  const chat = await laptop.chat();
  await signIn(chat, erin);
  await chat.signOut();
  await chat.page.getByRole('button', { name: 'Sign out here, too' }).click();

  await button(chat.page).waitFor();
  await chat.page.reload();
  await button(chat.page).click();
  // Whoever comes next has to know the password.
  await chat.page.getByLabel('Password').waitFor();
});

test('whose account is closed there is shown the way in', async ({ laptop, provider, erin }) => {
  const { tokenSeconds } = provider;
  provider.tokenSeconds = 3;
  onTestFinished(() => void (provider.tokenSeconds = tokenSeconds));
  laptop.provokes(/^400: .*\/token/, /status of 400 .*\/token/);
  const chat = await laptop.chat();
  await signIn(chat, erin);
  provider.removeAccount(erin);
  await button(chat.page).waitFor();
});

test('whom a service shuts out is shown the way in, and why', async ({ herald, laptop, erin }) => {
  laptop.provokes(/^403: /, /status of 403/);
  const chat = await laptop.chat();
  await signIn(chat, erin);
  const key = await herald.key('crm', 'provision');
  const ask = async (query: string, variables: object) => {
    const response = await fetch(herald.http, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables }),
    });
    return (await response.json()).data;
  };
  const { upsertUsers } = await ask(
    `mutation ($externalId: String!) { upsertUsers(input: { users: [{ externalId: $externalId }] }) { users { id } } }`,
    { externalId: erin.sub },
  );
  await ask(`mutation ($id: ID!) { setUserDisabled(input: { userId: $id, disabled: true }) { user { id } } }`, {
    id: upsertUsers.users[0].id,
  });

  await button(chat.page).waitFor();
  await expect.poll(() => chat.alert.innerText()).toMatch(/disabled/i);
});

test('what is wrong is said: a login that refuses, and one that is away', async ({ laptop, provider }) => {
  const chat = await laptop.chat();
  await button(chat.page).click();
  await chat.page.getByRole('button', { name: 'Cancel' }).click();
  await expect.poll(() => chat.alert.innerText()).toMatch(/They gave up/);

  laptop.provokes(/ERR_CONNECTION_REFUSED/);
  await provider.goAway();
  onTestFinished(() => provider.comeBack());
  await chat.page.reload();
  await button(chat.page).click();
  await expect.poll(() => chat.alert.innerText()).toMatch(/cannot be reached/);
});

test('the form for passwords is there only where it is of use', async ({ provider, chromium }) => {
  const herald = await Herald.create(...flags(provider), '--password-login', 'off', '--registration', 'closed');
  onTestFinished(() => herald.remove());
  const page = await (await chromium.newContext()).newPage();
  onTestFinished(() => page.context().close());
  await page.goto(new URL('/', herald.http).href);
  await button(page).waitFor();
  expect(await page.getByRole('textbox').count()).toBe(0);
  expect(await page.getByRole('button').count()).toBe(1);

  await herald.remove();
  const closed = await Herald.create('--registration', 'closed');
  onTestFinished(() => closed.remove());
  await page.goto(new URL('/', closed.http).href);
  await page.getByLabel('Password').waitFor();
  expect(await page.getByRole('button', { name: 'Create account' }).count()).toBe(0);
  expect(await button(page).count()).toBe(0);
});
