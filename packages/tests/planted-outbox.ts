/** Mistakes that somebody could make in the outbox. Each names what the runs see then. */

import type { Mistake } from './planted.ts';

export const PLANTED_IN_OUTBOX: Record<string, Mistake & { tabs?: number }> = {
  'another-key-for-each-try': {
    file: 'outbox.ts',
    says: 'send(tried, attempt.signal)',
    instead: 'send({ ...tried, key: randomId() }, attempt.signal)',
    sees: /stored \d+ times/,
  },
  'gone-before-the-answer': {
    file: 'outbox.ts',
    says: '    // So that the next run knows.',
    instead: '    await this.#remove(entry.id);',
    sees: /lost|waits|disk|told/,
  },
  'gone-before-the-app-is-told': {
    file: 'outbox.ts',
    says: '        await onSent?.(tried, result);',
    instead: '        await this.#remove(entry.id); if (!this.#over.aborted) await onSent?.(tried, result);',
    sees: /not told/,
  },
  'a-lost-answer-is-final': {
    file: 'outbox.ts',
    says: "else if (verdict !== 'again') return",
    instead: 'else return',
    sees: /not told|stored \d+ times/,
  },
  'the-next-one-does-not-wait': {
    file: 'outbox.ts',
    says: 'return this.#entries.find((entry) => entry.lane === lane && !entry.failure);',
    instead: 'return this.#entries.findLast((entry) => entry.lane === lane && !entry.failure);',
    sees: /out of order/,
  },
  'new-ones-do-not-wait-for-those-of-before': {
    file: 'outbox.ts',
    says: 'if (!this.#isReady) return;',
    instead: '',
    sees: /out of order/,
  },
  'an-edited-one-keeps-its-key': {
    file: 'outbox.ts',
    says: 'key: randomId(), tries: 0',
    instead: 'tries: 0',
    sees: /waits in the end/,
  },
  'what-waits-is-not-kept': {
    file: 'outbox.ts',
    says: '      await this.#store.put(entry);\n',
    instead: '',
    sees: /lost|not told/,
  },
};
