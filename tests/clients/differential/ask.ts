/** herald, asked without a library in between: what it answers is taken as text. */

import type { Herald } from '../herald.ts';

/** What came of a request. */
export interface Answer {
  /** The codes of the errors, if there are any. */
  codes: string[];
  /** The paths of the errors, as JSON. */
  paths: string[];
  /** Whether anything was executed: then there is `data`. */
  hasData: boolean;
  /** The body, as it came. */
  text: string;
}

interface Body {
  data?: unknown;
  errors?: { path?: unknown[]; extensions?: { code?: string } }[];
}

export function read(text: string): Answer {
  const body = JSON.parse(text) as Body;
  const errors = body.errors ?? [];
  return {
    codes: errors.map(({ extensions }) => extensions?.code ?? 'none'),
    paths: errors.flatMap(({ path }) => (path ? [JSON.stringify(path)] : [])),
    hasData: 'data' in body,
    text,
  };
}

/** Asks with a request that is JSON already. Without a token nobody asks. */
export async function ask(herald: Herald, request: string, token: string | undefined): Promise<Answer> {
  const response = await send(herald, request, token, 'application/graphql-response+json');
  const answer = read(await response.text());
  const status = answer.hasData ? 200 : 400;
  if (response.status !== status) throw new Error(`status ${response.status} instead of ${status}: ${answer.text}`);
  return answer;
}

/** What came of following a subscription. */
export interface Followed {
  /** As text. */
  answers: string[];
  /** Whether herald accepted it. */
  isOpen: boolean;
}

/** Follows a subscription over server-sent events until so many answers have come, or herald has no more. */
export async function follow(herald: Herald, request: string, token: string, most: number): Promise<Followed> {
  const leaving = new AbortController();
  const response = await send(herald, request, token, 'text/event-stream', leaving.signal);
  const followed: Followed = { answers: [], isOpen: false };
  if (!response.headers.get('content-type')!.startsWith('text/event-stream')) {
    return { answers: [await response.text()], isOpen: false };
  }
  let text = '';
  try {
    for await (const bytes of response.body!.pipeThrough(new TextDecoderStream())) {
      text += bytes;
      for (let end: number; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const lines = text.slice(0, end).split('\n');
        const has = (field: string) => lines.some((line) => line.startsWith(field));
        // What comes before any answer says where an open subscription begins.
        if (has('id:') && !has('event:')) followed.isOpen = true;
        if (has('event: next')) followed.answers.push(lines.find((line) => line.startsWith('data: '))!.slice(6));
        const isEnough = followed.isOpen && followed.answers.length >= most;
        if (isEnough || has('event: complete')) return followed;
      }
    }
    throw new Error('the response broke off');
  } finally {
    leaving.abort();
  }
}

function send(herald: Herald, request: string, token: string | undefined, accept: string, signal?: AbortSignal) {
  return fetch(herald.http, {
    method: 'POST',
    headers: { accept, 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: request,
    ...(signal && { signal }),
  });
}
