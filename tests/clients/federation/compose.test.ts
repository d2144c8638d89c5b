/** herald's subgraph, held to the composition of Apollo Federation. */

import { buildSchema } from 'graphql';
import { expect } from 'vitest';

import { test } from './fixtures.ts';
import { compose } from './subgraphs.ts';
import { post } from '../user.ts';

const URLS = { herald: 'http://herald/graphql', avatars: 'http://avatars/', shop: 'http://shop/' };

test('the subgraph that is served composes with others, and is the one that the command prints', async ({
  herald, sdl,
}) => {
  const query = /* GraphQL */ `{ _service { sdl } }`;
  const { _service } = await post<{ _service: { sdl: string } }>(herald.http, query, {});
  expect(_service.sdl).toBe(sdl);

  const { supergraphSdl, errors, hints } = compose(sdl, URLS);
  expect(errors ?? []).toEqual([]);
  expect(hints?.map(({ message }) => message)).toEqual([]);
  for (const key of [
    'type User implements Node @join__implements(graph: HERALD, interface: "Node")',
    '@join__type(graph: HERALD, key: "id")',
    '@join__type(graph: HERALD, key: "externalId")',
  ]) {
    expect(supergraphSdl!.replaceAll(/\s+/g, ' ')).toContain(key);
  }
  // Those who ask see everything of herald, and nothing of the router's own questions.
  const fields = Object.keys(buildSchema(supergraphSdl!, { assumeValidSDL: true }).getSubscriptionType()!.getFields());
  expect(fields.sort()).toEqual(['events', 'log', 'messageSent', 'statusChanged']);
});
