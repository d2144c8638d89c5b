/** TAP version 14, and JSON. */

import type { Result } from './run.ts';

export function tapLine({ name, rule, transport, outcome, why, milliseconds }: Result, number: number): string {
  const isOk = outcome === 'ok' || outcome === 'skipped';
  // A hash would begin a directive.
  const text = `${isOk ? 'ok' : 'not ok'} ${number} - ${rule} ${name} (${transport})`.replaceAll('#', '\\#');
  if (outcome === 'skipped') return `${text} # SKIP ${why}`;
  const directive = outcome === 'advice' ? ' # TODO the rule says SHOULD' : '';
  const detail = isOk ? `duration_ms: ${milliseconds}` : `message: ${JSON.stringify(why)}\n  duration_ms: ${milliseconds}`;
  return `${text}${directive}\n  ---\n  ${detail}\n  ...`;
}

export function tap(results: Result[]): string {
  return ['TAP version 14', ...results.map((result, n) => tapLine(result, n + 1)), `1..${results.length}`].join('\n');
}

export function json(results: Result[]): string {
  return JSON.stringify({ conforms: conforms(results), ...counts(results), results }, null, 2);
}

export function counts(results: Result[]) {
  const count = (wanted: Result['outcome']) => results.filter(({ outcome }) => outcome === wanted).length;
  return { ok: count('ok'), failed: count('failed'), advice: count('advice'), skipped: count('skipped') };
}

/** Nothing failed, and something was asked. */
export function conforms(results: Result[]): boolean {
  return results.some(({ outcome }) => outcome === 'ok') && !results.some(({ outcome }) => outcome === 'failed');
}
