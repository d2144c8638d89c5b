/**
 * What earlier operations of this page answered, for later ones: `{{Start.startConversation.conversation.id}}` among
 * variables and headers stands for that part of the last answer of the operation Start. It is in memory only, because
 * there are tokens in it. What the page keeps has the names.
 */

import type { ExecutionResult } from 'graphql';

const answers = new Map<string, unknown>();

const REFERENCE = /\{\{\s*([\w.]+)\s*\}\}/g;

/** Notes the answer of an operation that has a name. */
export function remember(operation: string | null | undefined, { data }: ExecutionResult): void {
  if (operation && data) answers.set(operation, data);
}

function partOf(path: string): string {
  const [operation = '', ...fields] = path.split('.');
  const part = fields.reduce<any>((part, field) => part?.[field], answers.get(operation));
  if (part === undefined || part === null) {
    throw new Error(`Nothing is known of {{${path}}} yet: run ${operation} first, or write a value in its place.`);
  }
  return String(part);
}

/** The same with the answers in the place of their names. Throws where there is none. */
export function filledIn<T>(value: T): T {
  const fill = (_key: string, value: unknown) =>
    typeof value === 'string' ? value.replace(REFERENCE, (_all, path: string) => partOf(path)) : value;
  return value === undefined ? value : JSON.parse(JSON.stringify(value, fill));
}
