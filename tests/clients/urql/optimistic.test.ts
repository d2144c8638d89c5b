/** The example with an optimistic update, as apps add them. */

import { expect, onTestFinished, vi } from 'vitest';
import WebSocket from 'ws';

import { createHeraldClient } from '../../../examples/urql/conversation.ts';
import { test } from '../fixtures.ts';
import { graphql } from './generated/gql.ts';

// Browsers have it, and so does Node from version 22 on.
vi.stubGlobal('WebSocket', WebSocket);

vi.mock(import('@urql/exchange-graphcache'), async (original) => {
  const graphcache = await original();
  const markRead = ({ input }: { input?: { messageId: string } }) => ({
    __typename: 'MarkPayload',
    message: { __typename: 'Message', id: input!.messageId, status: 'READ' },
  });
  return {
    ...graphcache,
    cacheExchange: (options) => graphcache.cacheExchange({ ...options, optimistic: { markRead } }),
  };
});

const MARK = graphql(`mutation MarkAhead($input: MarkInput!) { markRead(input: $input) { message { id status } } }`);
const STATUS = graphql(`query StatusById($id: ID!) { message(id: $id) { id status } }`);

test('a mark that is shown ahead, and then refused, leaves nothing behind', async ({
  herald, alice, conversationId,
}) => {
  const { id } = await alice.send(conversationId, 'mine');
  const client = createHeraldClient(herald.http, alice.token);
  const statuses: unknown[] = [];
  const { unsubscribe } = client.query(STATUS, { id }).subscribe(({ data }) => statuses.push(data?.message?.status));
  onTestFinished(unsubscribe);
  await vi.waitUntil(() => statuses.length);

  const { error } = await client.mutation(MARK, { input: { messageId: id } });
  expect(error?.graphQLErrors[0]?.extensions['code']).toBe('SENDER_CANNOT_MARK');
  await vi.waitUntil(() => statuses.at(-1) === 'SENT');
  expect(statuses).toEqual(['SENT', 'READ', 'SENT']);
});
