/**
 * A company's own login: an OpenID Connect provider that others wrote, on a port of its own, with people, with keys that
 * change, and with access tokens that are JWTs for herald.
 */

import { createPrivateKey, generateKeyPairSync, type JsonWebKeyInput, type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

import type { Configuration, JWK, KoaContextWithOIDC } from 'oidc-provider';

import { freePort } from '../herald.ts';
import { InMemory, type Memory } from './memory.ts';

// Node.js has it since version 22, and the provider uses it.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
const { interactionPolicy, Provider } = await import('oidc-provider');

export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

/** Somebody who has an account there. */
export interface Account {
  /** Never the handle: other systems know people by it. */
  sub: string;
  login: string;
  password: string;
  /** What the tokens say: `preferred_username`, `name` and whatever else. */
  claims: Record<string, unknown>;
}

/** The one client, public as every web page is. */
export const CLIENT_ID = 'playground';

/** For whom tokens are when a client asks for no resource, and what a client asks for to get one for somebody else. */
export const AUDIENCE = 'herald';
export const ELSEWHERE = 'urn:elsewhere';

/** What the client is told when somebody does not want to sign in after all. */
const CANCELLED = { error: 'access_denied', error_description: 'They gave up' };

const RESOURCE = 'urn:herald';

export class IdentityProvider {
  readonly #port: number;
  readonly #accounts: Account[] = [];
  readonly #memory: Memory = new Map();
  #keys: JWK[];
  #server: Server | undefined;
  #handle: (request: IncomingMessage, response: ServerResponse) => unknown = () => {};
  /** How long the next access tokens are valid, in seconds. */
  tokenSeconds = 300;
  /** How often its keys were asked for. */
  keyRequests = 0;

  private constructor(port: number) {
    this.#port = port;
    this.#keys = [newKey('RS256')];
    this.#configure();
  }

  static async start(): Promise<IdentityProvider> {
    const provider = new IdentityProvider(await freePort());
    await provider.comeBack();
    return provider;
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get jwks(): string {
    return `${this.issuer}/jwks`;
  }

  /** Whoever has an account signs in with it and its password. */
  addAccount(login: string, claims: Record<string, unknown>): Account {
    const account = { sub: `idp|${randomUUID()}`, login, password: `the password of ${login}`, claims };
    this.#accounts.push(account);
    return account;
  }

  /** Closes an account: no more tokens. */
  removeAccount(account: Account): void {
    this.#accounts.splice(this.#accounts.indexOf(account), 1);
  }

  /** Signs with a new key from now on. The keys of before are not shown any more, unless they overlap. */
  rotateKeys(algorithm: Algorithm = 'RS256', { overlap = false } = {}): void {
    this.#keys = [newKey(algorithm), ...(overlap ? this.#keys : [])];
    this.#configure();
  }

  /** The key with which it signs now, and its name. No provider shows it to anybody; forgers wish that it did. */
  get signingKey(): { id: string; key: KeyObject } {
    const [key] = this.#keys;
    return { id: key!.kid!, key: createPrivateKey({ key: key as JsonWebKeyInput['key'], format: 'jwk' }) };
  }

  /** Ends it. Its sessions, grants and refresh tokens stay. */
  async goAway(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async comeBack(): Promise<void> {
    const server = createServer((request, response) => {
      if (request.url === '/jwks') this.keyRequests++;
      // It may go away at any time, which a connection that is kept open would not notice.
      response.setHeader('connection', 'close');
      void this.#handle(request, response);
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
  }

  #configure(): void {
    const provider = new Provider(this.issuer, this.#configuration());
    const handle = provider.callback();
    this.#handle = (request, response) =>
      request.url?.startsWith('/login/') ? this.#signIn(provider, request, response) : handle(request, response);
  }

  /** The form in which people sign in, and what happens when they do. */
  async #signIn(
    provider: InstanceType<typeof Provider>, request: IncomingMessage, response: ServerResponse,
  ): Promise<void> {
    let isWrong = false;
    if (request.method === 'POST') {
      const form = new URLSearchParams(await text(request));
      if (form.has('cancel')) return provider.interactionFinished(request, response, CANCELLED);
      const isMeant = ({ login, password }: Account) => login === form.get('login') && password === form.get('password');
      const account = this.#accounts.find(isMeant);
      if (account) return provider.interactionFinished(request, response, { login: { accountId: account.sub } });
      isWrong = true;
    }
    response.writeHead(isWrong ? 401 : 200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(page(`<form method="post" action="${request.url}">
      <label>Login <input name="login" autocomplete="username"></label>
      <label>Password <input name="password" type="password" autocomplete="current-password"></label>
      <button>Continue</button> <button name="cancel">Cancel</button>
    </form>`));
  }

  #configuration(): Configuration {
    return {
      adapter: (kind) => new InMemory(kind, this.#memory),
      clients: [{
        client_id: CLIENT_ID,
        // Of such a client a redirection may lead to any port of this machine.
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/'],
        post_logout_redirect_uris: ['http://127.0.0.1/'],
        id_token_signed_response_alg: this.#keys[0]!.alg as Algorithm,
      }],
      jwks: { keys: this.#keys },
      cookies: { keys: ['a key of the tests'] },
      scopes: ['openid', 'profile', 'offline_access'],
      claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
      findAccount: (_, sub) => {
        const account = this.#accounts.find((account) => account.sub === sub);
        return account && { accountId: sub, claims: () => ({ ...account.claims, sub }) };
      },
      extraTokenClaims: (_, token) => {
        if (!('accountId' in token)) return {};
        const account = this.#accounts.find(({ sub }) => sub === token.accountId);
        return { ...account?.claims, sid: token.sessionUid };
      },
      interactions: { url: (_, { uid }) => `/login/${uid}`, policy: withoutConsent() },
      loadExistingGrant: grantAll,
      issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
      clientBasedCORS: () => true,
      features: {
        devInteractions: { enabled: false },
        revocation: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
        rpInitiatedLogout: {
          enabled: true,
          // The form has all but its button.
          logoutSource: ({ response }, form) => {
            response.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes">Sign out here, too</button>`);
          },
        },
        resourceIndicators: {
          enabled: true,
          defaultResource: () => RESOURCE,
          useGrantedResource: () => true,
          getResourceServerInfo: (_, resource) => ({
            scope: '',
            audience: resource === RESOURCE ? AUDIENCE : resource,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: this.#keys[0]!.alg as Algorithm } },
          }),
        },
      },
      ttl: { AccessToken: () => this.tokenSeconds, Interaction: 600, Grant: 86_400, Session: 86_400, IdToken: 3_600, RefreshToken: 86_400 },
    };
  }
}

const page = (content: string) =>
  `<!doctype html><html lang="en"><title>The company's login</title><main><h1>The company's login</h1>${content}</main>`;

/** Nobody is asked whether herald may know them: it is the company's own. */
function withoutConsent() {
  const policy = interactionPolicy.base();
  policy.remove('consent');
  return policy;
}

async function grantAll({ oidc }: KoaContextWithOIDC) {
  const grant = new oidc.provider.Grant({ clientId: oidc.client!.clientId, accountId: oidc.session!.accountId! });
  grant.addOIDCScope('openid profile offline_access');
  for (const resource of [RESOURCE, ...Object.keys(oidc.resourceServers ?? {})]) grant.addResourceScope(resource, '');
  await grant.save();
  return grant;
}

function newKey(alg: Algorithm): JWK {
  const { privateKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : alg === 'EdDSA' ? generateKeyPairSync('ed25519')
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' } as JWK;
}
