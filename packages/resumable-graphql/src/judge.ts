/** Why a subscription ended, and whether to try again. */

/**
 * `again`: it passes, so resume. `reset`: the cursor is of no use any more, so take a new snapshot. `renew`: nobody is signed
 * in, so get another credential; without a way to do so it is the end. `end`: trying again is in vain, so tell the app.
 */
export type Verdict = 'again' | 'reset' | 'renew' | 'end';

/** The connection is lost, or what it brings is incomplete. It passes. */
export class Lost extends Error {}

/** Nothing came for too long. The connection may still be there, and is of no use. */
export class Silent extends Lost {}

/** An answer over HTTP that is no event stream. */
export class Refused extends Error {
  readonly status: number;
  readonly errors: readonly unknown[];
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(status: number, errors: readonly unknown[] = [], retryAfter?: number) {
    super(`refused with ${[status, ...codesOf(errors)].join(' ')}`);
    this.status = status;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** Those with which a server closes a socket that it would close again, and those by which graphql-ws gives up itself. */
const FINAL_CLOSES = [4004, 4005, 4400, 4401, 4406, 4409, 4429];

/** Those below 500 that pass: a request that took too long, that came too early, or that was one too many. */
const PASSING_STATUSES = [408, 425, 429];

/** The `extensions.code` of each GraphQL error in a cause; empty where the cause is none. */
export function codesOf(cause: any): unknown[] {
  const errors = Array.isArray(cause) ? cause : (cause?.errors ?? cause?.graphQLErrors);
  return Array.isArray(errors) ? errors.map((error) => error?.extensions?.code) : [];
}

/**
 * Judges what the common clients reject with: GraphQL errors (an array, or an error that has them as `errors` or
 * `graphQLErrors`), close events (`code`), and answers over HTTP (`status`, `statusCode`, or `response.status`).
 */
export function judge(cause: any): Verdict {
  const codes = codesOf(cause);
  if (codes.some((code) => code === 'CURSOR_EXPIRED' || code === 'CURSOR_INVALID')) return 'reset';
  const status = cause?.status ?? cause?.statusCode ?? cause?.response?.status;
  if (codes.includes('UNAUTHENTICATED') || status === 401 || cause?.code === 4403) return 'renew';
  // 200 is that of an answer with errors in it.
  if (status >= 400) return status >= 500 || PASSING_STATUSES.includes(status) ? 'again' : 'end';
  if (codes.length) return codes.every((code) => code === 'UNAVAILABLE') ? 'again' : 'end';
  return FINAL_CLOSES.includes(cause?.code) ? 'end' : 'again';
}
