/** Tells herald how far messages have come. A mark covers what is before it, so of many only the newest is sent. */

export type Kind = 'markDelivered' | 'markRead';

/** A message of somebody else. */
export interface Markable {
  id: string;
  sentAt: string;
}

/** What comes within so many milliseconds is marked together. */
const TOGETHER = 50;

export class Marks {
  readonly #send: (kind: Kind, messageId: string) => Promise<unknown>;
  /** By kind and conversation: up to when everything is marked, or about to be, and what is to be marked. */
  readonly #through = new Map<string, string>();
  readonly #owed = new Map<string, Markable>();
  readonly #busy = new Set<string>();

  /** `send` rejects only where it is of no use to try again. */
  constructor(send: (kind: Kind, messageId: string) => Promise<unknown>) {
    this.#send = send;
  }

  /** herald has this mark. Returns whether that is news. */
  know(kind: Kind, conversation: string, sentAt: string): boolean {
    // What is read is delivered.
    if (kind === 'markRead') this.know('markDelivered', conversation, sentAt);
    const key = kind + conversation;
    if (sentAt <= (this.#through.get(key) ?? '')) return false;
    this.#through.set(key, sentAt);
    if (sentAt >= (this.#owed.get(key)?.sentAt ?? sentAt)) this.#owed.delete(key);
    return true;
  }

  mark(kind: Kind, conversation: string, message: Markable): void {
    if (!this.know(kind, conversation, message.sentAt)) return;
    const key = kind + conversation;
    this.#owed.set(key, message);
    if (!this.#busy.has(key)) void this.#run(kind, key);
  }

  /** Of a time that has ended, nothing holds. */
  clear(): void {
    this.#through.clear();
    this.#owed.clear();
  }

  async #run(kind: Kind, key: string): Promise<void> {
    this.#busy.add(key);
    await new Promise((resolve) => setTimeout(resolve, TOGETHER));
    for (let owed; (owed = this.#owed.get(key)); ) {
      this.#owed.delete(key);
      await this.#send(kind, owed.id).catch(() => {});
    }
    this.#busy.delete(key);
  }
}
