/** `test`, with the small world: it is the same for all tests of a file, and none of them changes it. */

import { test as base } from 'vitest';

import { isSpecifiedScalarType } from 'graphql';

import { Herald } from '../herald.ts';
import type { Scene } from './compare.ts';
import { schema } from './schema.ts';
import type { Words } from './values.ts';
import { create } from './world.ts';

/** Limits that no generated document is meant to reach: what they do is tested elsewhere. */
const FLAGS = [
  '--max-complexity',
  '100000000',
  '--max-aliases',
  '2000',
  '--max-directives',
  '2000',
  '--max-depth',
  '40',
];

export const test = base.extend('scene', { scope: 'file' }, async ({}, { onCleanup }): Promise<Scene> => {
  const herald = await Herald.create(...FLAGS);
  onCleanup(() => herald.remove());
  const { world, viewer } = await create(herald);
  return { herald, world, token: viewer.token };
});

/** What a query about the world speaks of. */
export function words({ world }: Scene): Words {
  const conversations = world.conversations.edges.map(({ node }) => node);
  const messages = conversations.flatMap((conversation) => conversation.messages.edges);
  const lists = [
    world.conversations,
    ...conversations.flatMap(({ messages, participants }) => [messages, participants]),
  ];
  const receipts = messages.flatMap(({ node }) => node.receipts.edges);
  return {
    handles: ['nobody', ...world.people.map(({ handle }) => handle)],
    ids: [
      ...[...conversations, ...messages.map(({ node }) => node), ...world.people].map(({ id }) => id),
      ...[...world.hidden, 'msg_00000000000000000000000000000000', 'nothing'],
    ],
    cursors: ['!', ...lists.flatMap(({ edges }) => edges.map(({ cursor }) => cursor)), receipts[0]!.cursor],
    start: world.start,
  };
}

/** What a mutation speaks of that must not change the world: marks that were made before. */
export function harmless(scene: Scene): Words {
  return { ...words(scene), ids: [...scene.world.read, 'msg_00000000000000000000000000000000', 'nothing'] };
}

/** What a query about the schema speaks of. */
export function types(scene: Scene): Words {
  const names = Object.keys(schema.getTypeMap()).filter(
    (name) => !name.startsWith('__') && !isSpecifiedScalarType(schema.getType(name)!),
  );
  return { ...words(scene), handles: names, cursors: names };
}
