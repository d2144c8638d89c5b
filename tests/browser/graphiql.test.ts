/** GraphiQL: the API by hand, signed in by the chat's cookie. */

import { expect } from 'vitest';

import { test } from './fixtures.ts';

test('a query is answered as the one who is signed in to the chat', async ({ device, alice, conversationId }) => {
  const laptop = await device();
  const chat = await laptop.chat();
  await chat.signIn(alice.handle, alice.password);
  await chat.is('connected');

  const graphiql = await laptop.graphiql();
  await graphiql.choose('Conversations');
  await graphiql.run();

  await graphiql.answers({
    data: { viewer: { handle: alice.handle }, conversations: { nodes: [{ id: conversationId, unreadCount: 0 }] } },
  });
});

test('a subscription shows what happens, the newest first, until it is stopped', async ({
  device, alice, bob, conversationId,
}) => {
  const graphiql = await (await device(alice)).graphiql();
  await graphiql.choose('Events');
  await graphiql.run();
  await graphiql.answers([{ connection_ack: { cursor: expect.any(String) } }]);

  await bob.send(conversationId, 'Tea at four?');
  const sent = { data: { events: { __typename: 'MessageSent', message: { body: 'Tea at four?', sender: { displayName: 'Bob' } } } } };
  await graphiql.answers([sent, { connection_ack: {} }]);
  await alice.markRead((await alice.messages(conversationId))[0]!.id);
  const read = { data: { events: { __typename: 'StatusChanged', status: 'READ', recipient: { displayName: 'Alice' } } } };
  await graphiql.answers([read, sent, { connection_ack: {} }]);

  await expect.poll(() => graphiql.isRunning()).toBe(true);
  await graphiql.run();
  await expect.poll(() => graphiql.isRunning()).toBe(false);
});

test('a subscription resumes from a cursor', async ({ device, alice, bob, conversationId }) => {
  await bob.send(conversationId, 'before');
  const graphiql = await (await device(alice)).graphiql();
  await graphiql.choose('Conversations');
  await graphiql.run();
  await graphiql.answers({ data: { cursor: expect.any(String) } });
  const { data } = (await graphiql.answer()) as { data: { cursor: string } };
  await bob.sendAll(conversationId, ['one', 'two']);

  await graphiql.choose('Resume');
  await graphiql.writeVariables({ after: data.cursor });
  await graphiql.run();

  const sent = (body: string) => ({ data: { events: { __typename: 'MessageSent', message: { body } } } });
  await graphiql.answers([sent('two'), sent('one'), { connection_ack: {} }]);
});

test('a token among the headers decides who asks, and is not kept', async ({ device, alice, bob, conversationId }) => {
  const graphiql = await (await device(alice)).graphiql();
  await graphiql.choose('Conversations');
  await graphiql.writeHeaders({ authorization: `Bearer ${bob.token}` });
  await graphiql.run();
  await graphiql.answers({ data: { viewer: { handle: bob.handle }, conversations: { nodes: [{ id: conversationId }] } } });

  // The history is written with the answer, and the tabs a moment after the last edit.
  const kept = () => graphiql.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  await expect.poll(kept).toContain('graphiql:queries');
  await graphiql.page.reload();
  await graphiql.ready();
  expect(await kept()).not.toContain(bob.token);
  expect(await kept()).not.toContain(alice.token);
});

test('what an operation does wrong is said', async ({ device, alice }) => {
  const laptop = await device(alice);
  laptop.provokes(/400/);
  const graphiql = await laptop.graphiql();
  await graphiql.write('query Wrong { nothing }');
  await graphiql.run();
  await graphiql.answers({ errors: [{ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }] });
});

test('the tour runs from its first tab to its last on a phone, and nothing is copied', async ({ device }) => {
  const laptop = await device(undefined, { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });
  const graphiql = await laptop.graphiql();
  const width = await graphiql.page.evaluate(() => document.documentElement.scrollWidth);
  expect(width).toBeLessThanOrEqual(390);
  for (const part of ['.graphiql-query-editor', '.graphiql-response']) {
    const { width, height } = (await graphiql.page.locator(part).boundingBox())!;
    expect(Math.min(width, height), part).toBeGreaterThan(150);
  }
  const status = { data: { message: { status: 'READ', recipientCount: 1, sharingCount: 1, receipts: { nodes: [{ isShared: true }] } } } };
  const stops: [string, object][] = [
    ['Register', { data: { alice: { user: { id: expect.any(String) } } } }],
    ['Login', { data: { login: { user: { displayName: 'Alice' } } } }],
    ['Start', { data: { startConversation: { conversation: { title: 'Tea' } } } }],
    ['Send', { data: { sendMessage: { message: { status: 'SENT' } } } }],
    ['Conversations', { data: { conversations: { nodes: [{ title: 'Tea', lastMessage: { body: 'Tea at four?' } }] } } }],
    ['MarkRead', { data: { markRead: { message: { status: 'READ' } } } }],
    ['Events', [{ connection_ack: { cursor: expect.any(String) } }]],
    ['Resume', [
      { data: { events: { __typename: 'StatusChanged', status: 'READ' } } },
      { data: { events: { __typename: 'MessageSent' } } },
      { connection_ack: {} },
    ]],
    ['Checkpoints', [
      { data: { events: { __typename: 'Checkpoint', caughtUp: true } } },
      { data: { events: { __typename: 'StatusChanged' } } },
      { data: { events: { __typename: 'MessageSent' } } },
      { connection_ack: {} },
    ]],
    ['Receipts', status],
    ['Unread', { data: { unread: { messages: 0 }, conversation: { unreadCount: 0, firstUnread: null } } }],
    ['Privacy', { data: { updateProfile: { user: { shareDelivered: true, shareRead: false } } } }],
    ['Own', { data: { updateOwnParticipation: { conversation: { own: { metadata: { pinned: true } } } } } }],
    ['Update', { data: { updateConversation: { conversation: { title: 'Tea at four', myRole: 'OWNER' } } } }],
    ['Redact', { data: { redactMessage: { message: { body: '', status: 'READ' } } } }],
    ['Node', { data: { node: { __typename: 'Conversation', title: 'Tea at four' } } }],
  ];
  expect(await graphiql.tabs.allInnerTexts()).toEqual(stops.map(([name]) => name));
  let token: string;
  for (const [name, answer] of stops) {
    await graphiql.choose(name);
    await graphiql.run();
    await graphiql.answers(answer);
    if (name === 'Register') token = ((await graphiql.answer()) as { data: { bob: { token: string } } }).data.bob.token;
  }
  // The names are kept, and no token that they stand for.
  const kept = await graphiql.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  expect(kept).toContain('{{Send.sendMessage.message.id}}');
  expect(kept).not.toContain(token!);
});

test('what no tab has answered yet is named', async ({ device, alice }) => {
  const graphiql = await (await device(alice)).graphiql();
  await graphiql.choose('Send');
  await graphiql.run();
  await graphiql.answers({ errors: [{ message: expect.stringMatching(/\{\{Start\..*run Start first/) }] });
});
