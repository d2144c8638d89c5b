/** Requests with a token, as they are on the wire. */

import { onTestFinished } from 'vitest';

import type { Herald } from '../herald.ts';

/** What a client accepts that wants a subscription's response to stay open. */
export const STREAMS = {
  'server-sent events': 'text/event-stream',
  'multipart HTTP': 'multipart/mixed;subscriptionSpec="1.0",application/json',
} as const;

/** A response that stays open, until the test ends. */
export class Stream {
  readonly #chunks: AsyncIterator<string>;
  #text = '';

  private constructor(chunks: AsyncIterator<string>) {
    this.#chunks = chunks;
  }

  /** Subscribes. It is open when herald has answered, which is before the first event. */
  static async open(herald: Herald, kind: keyof typeof STREAMS, token: string, query: string): Promise<Stream> {
    const controller = new AbortController();
    onTestFinished(() => controller.abort());
    const response = await fetch(herald.http, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: STREAMS[kind], authorization: `Bearer ${token}` },
      body: JSON.stringify({ query }),
      signal: controller.signal,
    });
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    return new Stream(response.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]());
  }

  /** Waits until it has said something. */
  async says(what: string): Promise<void> {
    while (!this.#text.includes(what)) if (!(await this.#more())) throw new Error(`it ended without ${what}: ${this.#text}`);
  }

  /** Waits until it ends: all that it has said. */
  async end(): Promise<string> {
    while (await this.#more());
    return this.#text;
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    this.#text += value ?? '';
    return !done;
  }
}

/** The status with which herald answers a token, and the error if it refuses it. */
export async function refusal(herald: Herald, token: string): Promise<{ status: number; code: string; message: string }> {
  const response = await fetch(herald.http, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: '{ viewer { id } }' }),
  });
  const { errors } = (await response.json()) as { errors?: { message: string; extensions: { code: string } }[] };
  return { status: response.status, code: errors?.[0]?.extensions.code ?? '', message: errors?.[0]?.message ?? '' };
}
