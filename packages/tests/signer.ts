/** A company's own login, whose tokens herald accepts. */

import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Person, post } from './people.ts';

export class Signer {
  readonly #key = generateKeyPairSync('ed25519');
  readonly #directory = mkdtempSync(join(tmpdir(), 'signer-'));
  readonly #issuer = 'urn:company';

  /** For the server. */
  get flags(): string[] {
    const keys = join(this.#directory, 'keys.json');
    const key = { ...this.#key.publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'EdDSA', use: 'sig' };
    writeFileSync(keys, JSON.stringify({ keys: [key] }));
    return ['--jwt-jwks', keys, '--jwt-issuer', this.#issuer, '--jwt-audience', 'herald'];
  }

  /** Somebody who has an account there, with a token that expires soon. Renewing brings another. */
  async employ(url: string, isRenewed = true): Promise<Person & { renew(): void }> {
    const handle = `employee-${randomUUID()}`.slice(0, 20);
    const ask = (query: string, variables?: object) => post(url, query, variables, { authorization: `Bearer ${this.#token(handle, 300)}` });
    // The first valid token makes the user.
    await ask('{ viewer { id } }');
    const person = {
      handle, ask, token: this.#token(handle, 0.3),
      renew: () => {
        if (isRenewed) person.token = this.#token(handle, 1.3);
      },
    };
    return person;
  }

  /** What expires after so many seconds, at the end of a second. */
  #token(handle: string, seconds: number): string {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const claims = { iss: this.#issuer, aud: 'herald', sub: handle, preferred_username: handle, exp: Math.ceil(Date.now() / 1_000 + seconds) };
    const text = `${encode({ alg: 'EdDSA', kid: 'one' })}.${encode(claims)}`;
    return `${text}.${sign(null, Buffer.from(text), this.#key.privateKey).toString('base64url')}`;
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
