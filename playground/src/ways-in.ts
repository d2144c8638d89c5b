/** How people can sign in to this herald. */

/** The ways in that herald names at `/sign-in`. */
export interface WaysIn {
  passwordLogin: boolean;
  registration: 'open' | 'closed';
  oidc: Oidc | null;
}

export interface Oidc {
  issuer: string;
  clientId: string;
  scope: string;
  /** For whom the access token is to be; the `aud` in it. */
  resource: string | null;
}

/** Asks herald for the ways in. */
export async function askWaysIn(): Promise<WaysIn> {
  const answer = await fetch('/sign-in', { headers: { accept: 'application/json' } });
  if (!answer.ok) throw new Error(`herald answers with ${answer.status}`);
  return answer.json();
}
