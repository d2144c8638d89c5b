/** Tokens as their signer did not mean them. */

import { createHmac, createPublicKey, type KeyObject, sign } from 'node:crypto';

import type { IdentityProvider } from './provider.ts';
import { claimsOf, headOf } from './visitor.ts';

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A token with other claims or another head, signed with the provider's own key (RS256) or with one that is given. */
export function forge(
  provider: IdentityProvider,
  token: string,
  { claims = {}, head = {}, key = provider.signingKey.key }: { claims?: object; head?: object; key?: KeyObject },
): string {
  const text = `${encode({ ...headOf(token), ...head })}.${encode({ ...claimsOf(token), ...claims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

/** A token that says it is not signed. */
export function unsigned(token: string): string {
  return `${encode({ ...headOf(token), alg: 'none' })}.${encode(claimsOf(token))}.`;
}

/** A token that is signed with what everybody knows: the public key, taken for a shared secret. */
export function signedWithPublicKey(provider: IdentityProvider, token: string): string {
  const secret = createPublicKey(provider.signingKey.key).export({ format: 'pem', type: 'spki' });
  const text = `${encode({ ...headOf(token), alg: 'HS256' })}.${encode(claimsOf(token))}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
