/** Mistakes that somebody could make in the core. Each names what the runs see then. */

export interface Mistake {
  file: string;
  says: string;
  instead: string;
  /** How it shows. */
  sees: RegExp;
  /** Whether it shows only where credentials expire. */
  isExpiring?: boolean;
}

export const PLANTED: Record<string, Mistake> = {
  'cursor-kept-before-the-event-is-dealt-with': {
    file: 'resumable.ts',
    says: 'else yield event;',
    instead: 'else { await store.set((after = cursor)); yield event; }',
    sees: /lost/,
  },
  'repeats-not-known': {
    file: 'resumable.ts',
    says: 'if (recent.has(cursor)) continue;',
    instead: '',
    sees: /told twice/,
  },
  'previous-not-checked': {
    file: 'resumable.ts',
    says: 'if (previous !== undefined && previous !== after && !(previous === null && isFirst)) {',
    instead: 'if (false) {',
    sees: /lost/,
  },
  'gap-seen-and-stepped-over': {
    file: 'resumable.ts',
    says: "cause = new Lost('something between dropped or moved an event');\n          break;",
    instead: '',
    sees: /lost|told/,
  },
  'gap-resumed-behind-it': {
    file: 'resumable.ts',
    says: "cause = new Lost('something between dropped or moved an event');",
    instead: "cause = new Lost(''); after = cursor;",
    sees: /lost/,
  },
  'checkpoint-told-as-an-event': {
    file: 'resumable.ts',
    says: 'if (isCheckpoint) onCheckpoint?.(event);\n        else yield event;',
    instead: 'yield event;',
    sees: /told/,
  },
  'silence-not-noticed': {
    file: 'resumable.ts',
    says: 'if (silence)',
    instead: 'if (false)',
    sees: /lost|shows|epoch/,
  },
  'expired-cursor-tried-again': {
    file: 'judge.ts',
    says: "return 'reset';",
    instead: "return 'again';",
    sees: /epoch/,
  },
  'app-not-told-of-the-reset': {
    file: 'resumable.ts',
    says: 'await options.onReset?.();',
    instead: '',
    sees: /back|shows/,
  },
  'no-new-snapshot-after-the-reset': {
    file: 'resumable.ts',
    says: "if (verdict === 'reset') {\n      after = undefined;",
    instead: "if (verdict === 'reset') {\n      after = 'e' + (1 + Number(/\\d+/.exec(after!)![0])) + 'p0';",
    sees: /epoch|shows|lost/,
  },
  'passing-refusal-taken-for-final': {
    file: 'judge.ts',
    says: "codes.every((code) => code === 'UNAVAILABLE') ? 'again' : 'end'",
    instead: "'end'",
    sees: /gave up/,
  },
  'lost-connection-taken-for-the-end': {
    file: 'resumable.ts',
    says: 'if (!next.ok) {',
    instead: 'if (!next.ok) return; else if (!next.ok) {',
    sees: /ended/,
  },
  'expired-credential-taken-for-final': {
    file: 'judge.ts',
    says: "return 'renew';",
    instead: "return 'end';",
    sees: /gave up/,
    isExpiring: true,
  },
  'expired-credential-tried-again': {
    file: 'resumable.ts',
    says: 'if (refusal && isOwn) renewals.set(renew!, (async () => renew!())());',
    instead: 'if (refusal && isOwn) renewals.set(renew!, Promise.resolve());',
    sees: /gave up/,
    isExpiring: true,
  },
  'lost-renewal-taken-for-final': {
    file: 'resumable.ts',
    says: 'if (!renewed.ok) ({ cause } = renewed);',
    instead: 'if (!renewed.ok) throw renewed.cause;',
    sees: /gave up/,
    isExpiring: true,
  },
  'renewed-once-and-not-again': {
    file: 'resumable.ts',
    says: 'if (refusal && isOwn)',
    instead: 'if (refusal && isOwn && !renewal)',
    sees: /gave up|lost/,
    isExpiring: true,
  },
  'second-expiry-taken-for-a-refusal': {
    file: 'resumable.ts',
    says: '(isRenewed && now() - begun < LET_IN)',
    instead: 'renewal',
    sees: /gave up/,
    isExpiring: true,
  },
  'older-status-believed': {
    file: 'epoch.ts',
    says: 'known !== undefined && rank(known as T) > rank(value) ? (known as T) : value',
    instead: 'value',
    sees: /goes back|shows/,
  },
  'answers-of-the-epoch-before-believed': {
    file: 'epoch.ts',
    says: "ending.abort(new Lost('The epoch that this was asked of has ended'));",
    instead: 'void ending;',
    sees: /shows/,
  },
  'asked-before-there-is-a-snapshot': {
    file: 'epoch.ts',
    says: 'return this.#begun;',
    instead: 'return Promise.resolve();',
    sees: /shows|back/,
  },
};
