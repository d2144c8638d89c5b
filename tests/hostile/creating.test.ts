/** Creating in loops: whoever does so is told to wait, and nobody else is. */

import { expect, test } from 'vitest';

import { type Account, Front, START, load } from './front.ts';
import { type Answer, codes, tally, times } from './http.ts';

const LOGIN = 'mutation($input:LoginInput!){login(input:$input){token}}';
const ADD = 'mutation($input:ParticipantsInput!){addParticipants(input:$input){cursor}}';
const LEAVE = 'mutation($input:LeaveConversationInput!){leaveConversation(input:$input){cursor}}';

/** Somebody else, who did nothing. */
const STRANGER = '127.0.0.3';

const open = Front.shared();

/** Holds answers to this: some are refused with `RATE_LIMITED`, and none with anything else. */
function expectLimited(answers: Answer[], ...allowed: string[]): void {
  const found = tally(answers.flatMap((answer) => codes(answer)[0] ?? 'data'));
  expect(found['RATE_LIMITED'] ?? 0, JSON.stringify(found)).toBeGreaterThan(0);
  const others = Object.keys(found).filter((code) => !['data', 'RATE_LIMITED', ...allowed].includes(code));
  expect(others).toEqual([]);
}

async function start(account: Account, ...handles: string[]): Promise<string> {
  const { startConversation } = await account.caller.data<{ startConversation: { conversation: { id: string } } }>(START, {
    input: { participantHandles: handles },
  });
  return startConversation.conversation.id;
}

test('3,000 conversations with a victim', async () => {
  const front = await open();
  const [mallory, victim] = [await front.register('mallory'), await front.register('victim', STRANGER)];
  await front.withstands(async () => {
    const answers = await times(3_000, 16, () => mallory.caller.ask(START, { input: { participantHandles: [victim.handle] } }));
    expectLimited(answers);
    // The victim is free to start one.
    await start(victim, mallory.handle);
  });
});

test('50 conversations in one document', async () => {
  const front = await open();
  const [mallory, victim] = [await front.register('mallory'), await front.register('victim', STRANGER)];
  const document = `mutation{${Array.from({ length: 50 }, (_, index) => `a${index}:startConversation(input:{participantHandles:["${victim.handle}"]}){cursor}`).join(' ')}}`;
  await front.withstands(async () => {
    const answers = await times(60, 4, () => mallory.caller.ask(document));
    const found = tally(answers.flatMap(codes));
    expect(Object.keys(found)).toEqual(['RATE_LIMITED']);
  });
});

test('conversations of many people', async () => {
  const front = await open();
  const mallory = await front.register('mallory');
  // Registered from many addresses, since one may not register so many.
  const people = await times(load(500), 4, (index) => front.register(`crowd${index}`, `127.0.1.${1 + (index % 100)}`));
  const participantHandles = people.map(({ handle }) => handle);
  await front.withstands(async () => {
    expectLimited(await times(300, 8, () => mallory.caller.ask(START, { input: { participantHandles } })));
  });
});

test('200 times added again after leaving', async () => {
  const front = await open();
  const [mallory, victim] = [await front.register('mallory'), await front.register('victim', STRANGER)];
  const conversationId = await start(mallory, victim.handle);
  await front.withstands(async () => {
    const answers = [];
    for (let round = 0; round < 200; round++) {
      answers.push(await mallory.caller.ask(ADD, { input: { conversationId, handles: [victim.handle] } }));
      await victim.caller.ask(LEAVE, { input: { conversationId } });
    }
    expectLimited(answers);
  });
});

test('200 wrong logins at once, while somebody else signs in', async () => {
  const front = await open();
  const caller = front.caller();
  const victim = await front.register('victim', STRANGER);
  const stranger = front.caller(STRANGER);
  await front.withstands(async () => {
    const wrong = times(200, 200, (index) =>
      caller.ask(LOGIN, { input: { handle: `nobody-${index}`, password: 'a wrong password' } }),
    );
    const input = { handle: victim.handle, password: `the password of ${victim.handle}` };
    // Among them and after them.
    expect(codes(await stranger.ask(LOGIN, { input }))).toEqual([]);
    const answers = await wrong;
    expectLimited(answers, 'INVALID_CREDENTIALS', 'UNAVAILABLE');
    expect(codes(await stranger.ask(LOGIN, { input }))).toEqual([]);
  });
});

test('200 wrong logins of one user, who can still sign in elsewhere', async () => {
  const front = await open();
  const caller = front.caller();
  const victim = await front.register('victim', STRANGER);
  const stranger = front.caller(STRANGER);
  await front.withstands(async () => {
    const input = { handle: victim.handle, password: 'a wrong password' };
    expectLimited(await times(200, 50, () => caller.ask(LOGIN, { input })), 'INVALID_CREDENTIALS', 'UNAVAILABLE');
    expect(codes(await stranger.ask(LOGIN, { input: { ...input, password: `the password of ${victim.handle}` } }))).toEqual([]);
  });
});
