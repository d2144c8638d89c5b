/** Who is signed in, for as long as the tab lives. */

import { createClient } from 'graphql-ws';
import { Herald } from 'herald-client';
import { indexedDb } from 'resumable-graphql-outbox';
import { overSocket } from 'resumable-graphql-ws';

const KEY = 'herald session';

export const kept = () => JSON.parse(sessionStorage.getItem(KEY) ?? 'null');

export const keep = (session) => sessionStorage.setItem(KEY, JSON.stringify(session));

/** Asks herald once, and throws what it says. */
export async function ask(url, query, variables, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

/** Signs in, or registers first. */
export async function signIn(url, handle, password, isNew) {
  const [field, type] = isNew ? ['register', 'RegisterInput'] : ['login', 'LoginInput'];
  const input = isNew ? { handle, password, displayName: handle } : { handle, password };
  const data = await ask(url, `mutation ($input: ${type}!) { ${field}(input: $input) { token user { id } } }`, { input });
  const { token, user } = data[field];
  return { token, userId: user.id };
}

/** A client for whoever is signed in. */
export function connect(url, { userId, token }) {
  const socket = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: { authorization: `Bearer ${token}` },
    keepAlive: 15_000,
  });
  return new Herald({ execute: overSocket(socket), store: indexedDb(userId), name: `herald ${userId}` });
}
