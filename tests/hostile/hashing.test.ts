/** Memory of what is done seldom and takes much: hashing passwords. */

import { expect, test } from 'vitest';

import { Front, load } from './front.ts';
import { type Answer, codes, tally, times } from './http.ts';

const LOGIN = 'mutation($input:LoginInput!){login(input:$input){token}}';
const REGISTER = 'mutation($input:RegisterInput!){register(input:$input){token}}';

const open = Front.shared('--rate-limit', 'off');

/** How often each code comes; `data` where there is none. */
function outcomes(answers: Answer[]): Record<string, number> {
  return tally(answers.map((answer) => codes(answer)[0] ?? 'data'));
}

test('110 logins at once', async () => {
  const front = await open();
  const { handle, caller } = await front.register('mallory');
  await front.withstands(async () => {
    const right = { handle, password: `the password of ${handle}` };
    const answers = await times(110, 110, (index) =>
      caller.ask(LOGIN, { input: index % 2 ? right : { ...right, password: 'a wrong password' } }),
    );
    const found = outcomes(answers);
    expect(Object.keys(found)).toSatisfy((codes: string[]) =>
      codes.every((code) => ['data', 'INVALID_CREDENTIALS', 'UNAVAILABLE'].includes(code)),
    );
    expect(found['data'] ?? 0).toBeGreaterThan(0);
  });
});

test('logins to handles that there are not', async () => {
  const front = await open();
  const caller = front.caller();
  await front.withstands(async () => {
    const answers = await times(110, 110, (index) =>
      caller.ask(LOGIN, { input: { handle: `nobody-${index}`, password: 'a wrong password' } }),
    );
    for (const answer of answers) expect(['INVALID_CREDENTIALS', 'UNAVAILABLE']).toContain(codes(answer)[0]);
  });
});

test('50 logins in one document', async () => {
  const front = await open();
  const caller = front.caller();
  const document = `mutation{${Array.from({ length: 50 }, (_, index) => `a${index}:login(input:{handle:"nobody-${index}",password:"a wrong password"}){token}`).join(' ')}}`;
  await front.withstands(async () => {
    for (const answer of await times(load(20), 4, () => caller.ask(document))) {
      for (const code of codes(answer)) {
        expect(['INVALID_CREDENTIALS', 'UNAVAILABLE', 'LIMIT_EXCEEDED', 'RATE_LIMITED']).toContain(code);
      }
    }
  });
});

test('registrations without end', async () => {
  const front = await open();
  const caller = front.caller();
  let round = 0;
  await front.withstands(async () => {
    round += 1;
    const answers = await times(load(800), 50, (index) =>
      caller.ask(REGISTER, {
        input: { handle: `new-${round}-${index}`, displayName: 'new', password: 'a good password' },
      }),
    );
    const found = outcomes(answers);
    expect(Object.keys(found)).toSatisfy((codes: string[]) => codes.every((code) => ['data', 'UNAVAILABLE'].includes(code)));
  });
});

test('logins whose clients do not wait', async () => {
  const front = await open();
  await front.withstands(async () => {
    await times(load(1_000), 50, async (index) => {
      const caller = front.caller();
      const asked = caller.ask(LOGIN, { input: { handle: `nobody-${index}`, password: 'a wrong password' } });
      // Closing takes the request along: that is what is wanted.
      setImmediate(() => setImmediate(() => caller.close()));
      await asked.catch(() => {});
    });
  });
});

test('passwords of 200 KB', async () => {
  const front = await open();
  const caller = front.caller();
  await front.withstands(async () => {
    for (const answer of await times(load(1_000), 16, () => caller.ask(LOGIN, { input: { handle: 'nobody', password: 'x'.repeat(200_000) } }))) {
      expect(['INVALID_CREDENTIALS', 'BAD_INPUT', 'UNAVAILABLE']).toContain(codes(answer)[0]);
    }
  });
});
