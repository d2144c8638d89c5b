/** Leaving and coming back a thousand times: whoever did so reads on, and so does everybody else. */

import { expect, test } from 'vitest';

import { type Account, Front, SEND, START, load } from './front.ts';
import { codes, times } from './http.ts';

const ADD = 'mutation($input:ParticipantsInput!){addParticipants(input:$input){cursor}}';
const LEAVE = 'mutation($input:LeaveConversationInput!){leaveConversation(input:$input){cursor}}';
const HISTORY = `query($id:ID!){
  conversation(id:$id){unreadCount lastMessage{id} participants{nodes{user{handle} deliveredThrough{id} readThrough{id}}}
    messages(last:50){nodes{body status recipientCount readCount receipts{nodes{status}}} pageInfo{hasPreviousPage}}}
  conversations(first:10){nodes{unreadCount lastMessage{body}}}
}`;

/** More stays than one statement can name, where it names each. */
const STAYS = 1_010;

const open = Front.shared('--rate-limit', 'off');
let met: Meeting | undefined;

/** Somebody who talks to everybody else, each in a conversation of their own. */
interface Meeting {
  front: Front;
  owner: Account;
  others: { account: Account; conversationId: string }[];
}

async function meet(): Promise<Meeting> {
  const front = await open();
  if (met?.front === front) return met;
  const names = ['owner', 'restless', 'stranger', 'friend'];
  const [owner, ...accounts] = await Promise.all(names.map((name) => front.register(name)));
  met = { front, owner: owner!, others: [] };
  for (const account of accounts) {
    const { startConversation } = await owner!.caller.data<{ startConversation: { conversation: { id: string } } }>(START, {
      input: { participantHandles: [account.handle] },
    });
    const conversationId = startConversation.conversation.id;
    for (let said = 0; said < 20; said++) await owner!.caller.data(SEND, { input: { conversationId, body: `${said}` } });
    met.others.push({ account, conversationId });
  }
  return met;
}

/** Has somebody leave and be added again, so often. */
async function leaveAndReturn({ owner, others }: Meeting, wanted: number): Promise<void> {
  const { account, conversationId } = others[0]!;
  let stays = 0;
  const leave = async (): Promise<void> => {
    // To leave twice in a row is refused, and makes no stay.
    if (codes(await account.caller.ask(LEAVE, { input: { conversationId } })).length === 0) stays += 1;
  };
  const add = async (): Promise<void> => {
    await owner.caller.data(ADD, { input: { conversationId, handles: [account.handle] } });
  };
  // Many of each at once, so that many are committed together.
  const lanes = Array.from({ length: 16 }, async (_, lane) => {
    while (stays < wanted) await (lane % 2 ? leave() : add());
  });
  await Promise.all(lanes);
  await add();
  await owner.caller.data(SEND, { input: { conversationId, body: 'the last' } });
}

test('to leave and return a thousand times costs no memory', async () => {
  const meeting = await meet();
  await meeting.front.withstands(() => leaveAndReturn(meeting, STAYS));
});

test('history is read by whoever has done so, and by strangers at the same time', async () => {
  const { front, owner, others } = await meet();
  const readers = others.flatMap(({ account, conversationId }) => [
    { account, conversationId },
    { account: owner, conversationId },
  ]);
  await front.withstands(async () => {
    const answers = await times(load(2_000), 40, (index) => {
      const { account, conversationId } = readers[index % readers.length]!;
      return account.caller.ask(HISTORY, { id: conversationId });
    });
    for (const [index, answer] of answers.entries()) {
      expect(codes(answer), `of reader ${index % readers.length}`).toEqual([]);
      const { data } = JSON.parse(answer.text) as { data: { conversation: { messages: { nodes: unknown[] } } } };
      expect(data.conversation.messages.nodes.length, `what reader ${index % readers.length} sees`).toBeGreaterThan(0);
    }
  });
});
