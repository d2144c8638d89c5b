/** Leaving and coming back a thousand times: whoever did so reads on, and so does everybody else. */

import { expect, test } from 'vitest';

import { Front, SEND, START } from './front.ts';
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

test('history is read by whoever left and returned 1,010 times, and by strangers at the same time', async () => {
  const front = await Front.open('--rate-limit', 'off');
  const names = ['owner', 'restless', 'stranger', 'friend'];
  const [owner, restless, stranger, friend] = await Promise.all(names.map((name) => front.register(name)));
  const conversation = async (with_: string): Promise<string> => {
    const { startConversation } = await owner!.caller.data<{ startConversation: { conversation: { id: string } } }>(START, {
      input: { participantHandles: [with_] },
    });
    return startConversation.conversation.id;
  };
  const conversationId = await conversation(restless!.handle);
  const other = await conversation(stranger!.handle);
  const another = await conversation(friend!.handle);
  for (const id of [conversationId, other, another]) {
    for (let said = 0; said < 20; said++) await owner!.caller.data(SEND, { input: { conversationId: id, body: `${said}` } });
  }
  await front.withstands(async () => {
    for (let stay = 0; stay < STAYS; stay++) {
      await restless!.caller.data(LEAVE, { input: { conversationId } });
      await owner!.caller.data(ADD, { input: { conversationId, handles: [restless!.handle] } });
    }
  });
  await owner!.caller.data(SEND, { input: { conversationId, body: 'the last' } });
  await front.withstands(async () => {
    const readers = [restless!, stranger!, owner!, friend!, restless!];
    const places = [conversationId, other, conversationId, another, conversationId];
    const answers = await times(200, 40, (index) => {
      const reader = readers[index % readers.length]!;
      return reader.caller.ask(HISTORY, { id: places[index % places.length]! });
    });
    for (const answer of answers) expect(codes(answer)).toEqual([]);
    for (const [index, answer] of answers.entries()) {
      const { data } = JSON.parse(answer.text) as { data: { conversation: { messages: { nodes: unknown[] } } } };
      expect(data.conversation.messages.nodes.length, `what reader ${index % readers.length} sees`).toBeGreaterThan(0);
    }
  });
});
