/** Requests over connections of their own, so that what one check breaks is not another's. */

import { type IncomingMessage, request } from 'node:http';
import { request as secureRequest } from 'node:https';

export interface Asked {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: unknown;
  signal?: AbortSignal;
}

export function open(url: string, { method = 'POST', headers = {}, body, signal }: Asked): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? secureRequest : request;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const json = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
    const asked = send(url, { method, agent: false, headers: { ...json, ...headers }, ...(signal && { signal }) }, resolve);
    asked.on('error', reject);
    asked.end(text);
  });
}

/** All of a response, as JSON. */
export async function jsonOf(response: IncomingMessage): Promise<any> {
  const text = await textOf(response);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`status ${response.statusCode}, and no JSON: ${text.slice(0, 200)}`);
  }
}

export async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
