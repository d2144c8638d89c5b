/**
 * Signing in at a login of the company's own, by OpenID Connect: the authorization code flow with PKCE. The access
 * token, which goes with each request, is in the memory of this page only. What it is renewed with outlives a reload
 * in the storage of the tab. With herald's own accounts nothing here is used: their session is a cookie.
 */

import type * as OAuth from 'oauth4webapi';

import type { Oidc } from './ways-in';

/** What was agreed with the login before the page left for it. */
interface Departure {
  state: string;
  nonce: string;
  verifier: string;
  /** Which conversation was open. */
  hash: string;
}

interface Tokens {
  access: string;
  /** When to renew the access token, in milliseconds since 1970. */
  renewAt: number;
  refresh?: string | undefined;
  /** Tells the login whom to sign out. */
  id?: string | undefined;
}

const DEPARTURE = 'departure';
const REFRESH_TOKEN = 'refreshToken';

/** An access token is renewed so long before its end, in seconds, or after four fifths of its life if that is later. */
const MARGIN = 30;

/** By how much a token's end comes earlier than it says, in seconds: its times are whole numbers. */
const ROUNDING = 1;

/** Hosts to which plain HTTP does not leave this machine. */
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** It is loaded where it is needed, and `discover` is what everything here begins with. */
let oauth: typeof OAuth;
let oidc: Oidc | undefined;
let server: OAuth.AuthorizationServer | undefined;
let renewing: Promise<void> | undefined;
let tokens: Tokens | undefined;

/** While the tab lives, the refresh token is not in its storage: "duplicate tab" copies that, and it works only once. */
addEventListener('pagehide', () => tokens?.refresh && sessionStorage.setItem(REFRESH_TOKEN, tokens.refresh));
addEventListener('pageshow', ({ persisted }) => persisted && sessionStorage.removeItem(REFRESH_TOKEN));

/** Takes up the sign-in that this page comes back with, or the one from before a reload. Rejects if it failed. */
export async function takeUp(settings: Oidc): Promise<void> {
  oidc = settings;
  const departure = JSON.parse(take(DEPARTURE) ?? 'null') as Departure | null;
  const refresh = take(REFRESH_TOKEN);
  const here = new URL(location.href);
  if (here.searchParams.has('state')) {
    // A code works once, and is no business of whoever looks at the address.
    history.replaceState(null, '', `/${departure?.hash ?? ''}`);
    if (departure) return arrive(here, departure);
  }
  if (refresh) tokens = { access: '', renewAt: 0, refresh };
}

/** Leaves for the login, which sends back to `/`. */
export async function leaveForLogin(): Promise<void> {
  // Of plain HTTP from another machine, browsers keep the functions away that this needs.
  if (!isSecureContext) throw new Error('This page must come by HTTPS for that.');
  const { clientId, scope, resource } = oidc!;
  const known = await discover();
  const departure: Departure = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    hash: location.hash,
  };
  const address = new URL(known.authorization_endpoint!);
  for (const [name, value] of Object.entries({
    client_id: clientId,
    redirect_uri: redirectUri(),
    response_type: 'code',
    scope,
    state: departure.state,
    nonce: departure.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(departure.verifier),
    code_challenge_method: 'S256',
    ...target(resource),
  })) address.searchParams.set(name, value);
  sessionStorage.setItem(DEPARTURE, JSON.stringify(departure));
  location.assign(address);
}

/** Nobody is signed in any more, as far as this page knows. */
export function forget(): void {
  tokens = undefined;
}

/** Whether this page has tokens of the login. */
export const isSignedIn = (): boolean => !!tokens;

/** What says to herald who asks: nothing, when it is said by the cookie or nobody is signed in. */
export async function authorization(): Promise<{ authorization?: string }> {
  if (tokens && Date.now() >= tokens.renewAt) await renew();
  return tokens ? { authorization: `Bearer ${tokens.access}` } : {};
}

/** Gets new tokens, also when herald refuses those that seem good. Without a way to, nobody is signed in any more. */
export function renew(): Promise<void> {
  // A refresh token works once, so two who need new tokens share them.
  renewing ??= exchange().finally(() => (renewing = undefined));
  return renewing;
}

/** Forgets the tokens, revokes what they come from, and goes to the login to sign out there, if it can. */
export async function signOut(): Promise<void> {
  const { refresh, id } = tokens ?? {};
  forget();
  const known = await discover().catch(() => undefined);
  if (refresh && known?.revocation_endpoint) {
    // If it cannot be revoked, it ends by itself.
    await oauth.revocationRequest(known, client(), oauth.None(), refresh, options()).catch(() => {});
  }
  if (!known?.end_session_endpoint) return;
  const address = new URL(known.end_session_endpoint);
  address.searchParams.set('client_id', oidc!.clientId);
  address.searchParams.set('post_logout_redirect_uri', redirectUri());
  if (id) address.searchParams.set('id_token_hint', id);
  location.assign(address);
}

async function arrive(here: URL, { state, nonce, verifier }: Departure): Promise<void> {
  const known = await discover();
  const params = oauth.validateAuthResponse(known, client(), here, state);
  const answer = await oauth.authorizationCodeGrantRequest(
    known, client(), oauth.None(), params, redirectUri(), verifier, { ...options(), additionalParameters: target(oidc!.resource) },
  );
  keep(await oauth.processAuthorizationCodeResponse(known, client(), answer, {
    expectedNonce: nonce, requireIdToken: true,
  }));
}

async function exchange(): Promise<void> {
  const refresh = tokens?.refresh;
  if (!refresh) return forget();
  try {
    const known = await discover();
    const answer = await oauth.refreshTokenGrantRequest(
      known, client(), oauth.None(), refresh, { ...options(), additionalParameters: target(oidc!.resource) },
    );
    keep(await oauth.processRefreshTokenResponse(known, client(), answer));
  } catch (cause) {
    // Anything else may pass.
    if (oauth && cause instanceof oauth.ResponseBodyError && [400, 401].includes(cause.status)) forget();
    else throw cause;
  }
}

function keep({ access_token, expires_in = 60, refresh_token, id_token }: OAuth.TokenEndpointResponse): void {
  tokens = {
    access: access_token,
    renewAt: Date.now() + Math.max(expires_in - MARGIN, expires_in * 0.8 - ROUNDING) * 1_000,
    // A login that does not change them gives none.
    refresh: refresh_token ?? tokens?.refresh,
    id: id_token ?? tokens?.id,
  };
}

async function discover(): Promise<OAuth.AuthorizationServer> {
  oauth ??= await import('oauth4webapi');
  const issuer = new URL(oidc!.issuer);
  server ??= await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options()));
  return server;
}

const client = (): OAuth.Client => ({ client_id: oidc!.clientId });
const options = () => ({ [oauth.allowInsecureRequests]: LOOPBACK.includes(new URL(oidc!.issuer).hostname) });
const redirectUri = () => `${location.origin}/`;

/** For whom the token is to be. RFC 8707 calls it `resource`, and wants a URI; Auth0 calls it `audience`. */
function target(resource: string | null): Record<string, string> {
  if (!resource) return {};
  return { ...(URL.canParse(resource) && { resource }), audience: resource };
}

function take(name: string): string | null {
  const value = sessionStorage.getItem(name);
  sessionStorage.removeItem(name);
  return value;
}
