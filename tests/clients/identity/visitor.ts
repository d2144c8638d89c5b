/** Somebody who signs in at an identity provider as with a browser: follows redirections, keeps cookies, fills the form. */

import * as oauth from 'oauth4webapi';

import { type Account, CLIENT_ID, type IdentityProvider } from './provider.ts';

/** What a client has after a sign-in. */
export interface Tokens {
  access: string;
  refresh: string;
}

/** Where the provider sends people back to. Nobody listens there: the code is in the address. */
const REDIRECT = 'http://127.0.0.1:9/';

/** How many pages there may be on the way. */
const PATIENCE = 10;

const client: oauth.Client = { client_id: CLIENT_ID };
/** The provider is on this machine. */
const insecure = { [oauth.allowInsecureRequests]: true } as const;

export class Visitor {
  readonly #provider: IdentityProvider;
  readonly #account: Account;
  readonly #cookies = new Map<string, string>();

  constructor(provider: IdentityProvider, account: Account) {
    this.#provider = provider;
    this.#account = account;
  }

  /** The authorization code flow with PKCE. For the resource, if one is named; else for herald. */
  async signIn(resource?: string): Promise<Tokens> {
    const server = await this.#discover();
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const address = new URL(server.authorization_endpoint!);
    address.search = new URLSearchParams({
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT,
      response_type: 'code',
      scope: 'openid profile offline_access',
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(resource && { resource }),
    }).toString();
    const back = await this.#visit(address);
    const params = oauth.validateAuthResponse(server, client, back, state);
    const response = await oauth.authorizationCodeGrantRequest(
      server, client, oauth.None(), params, REDIRECT, verifier, insecure,
    );
    return tokens(await oauth.processAuthorizationCodeResponse(server, client, response));
  }

  /** Fresh tokens for the refresh token of before, which is then used up. */
  async refresh({ refresh }: Tokens): Promise<Tokens> {
    const server = await this.#discover();
    const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refresh, insecure);
    return tokens(await oauth.processRefreshTokenResponse(server, client, response));
  }

  async #discover(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(this.#provider.issuer);
    return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
  }

  /** Goes on from an address until the provider sends back to the client: the address to which it does. */
  async #visit(address: URL): Promise<URL> {
    let form: URLSearchParams | undefined;
    for (let steps = 0; !address.href.startsWith(REDIRECT); steps++) {
      if (steps === PATIENCE) throw new Error(`the provider sends from page to page, at last to ${address}`);
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(address, {
        redirect: 'manual', headers: { cookie }, ...(form && { method: 'POST', body: form }),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
        this.#cookies.set(name!, value!);
      }
      const location = response.headers.get('location');
      const page = await response.text();
      const action = /<form method="post" action="([^"]+)"/.exec(page)?.[1];
      if (!location && (!action || form)) throw new Error(`${response.status} at ${address}: ${page}`);
      form = location ? undefined : new URLSearchParams({ login: this.#account.login, password: this.#account.password });
      address = new URL(location ?? action!, address);
    }
    return address;
  }
}

function tokens({ access_token, refresh_token }: oauth.TokenEndpointResponse): Tokens {
  return { access: access_token, refresh: refresh_token! };
}

/** What a JWT says, unverified. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
}

/** What the head of a JWT says: its algorithm and its key. */
export function headOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
}
