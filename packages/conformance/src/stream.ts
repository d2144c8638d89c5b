/** What a subscription told, and how it ended. */

export interface Told {
  cursor: string;
  previous?: string | null;
  type?: string;
  text?: string;
  /** Of a server-sent event. */
  id?: string;
  caughtUp?: boolean;
}

/** `complete`: said so. `refused`: errors, with their codes or a status. `lost`: it broke off. */
export interface End {
  how: 'complete' | 'refused' | 'lost';
  codes: unknown[];
  /** Of HTTP, or with which a WebSocket was closed. */
  status?: number;
  /** A refusal that was not said as its transport wants it, in words. */
  flaw?: string;
}

/** How long a server may take for anything, in milliseconds. */
export const PATIENCE = 10_000;

export class Stream {
  readonly told: Told[] = [];
  ended: End | undefined;
  /** Comments and other signs of life. */
  signs = 0;
  /** With which an EventSource would come back. */
  lastEventId = '';
  #close: () => void;
  #wake = new Set<() => void>();

  constructor(close: () => void) {
    this.#close = close;
  }

  tell(event: Told): void {
    if (!this.ended) this.told.push(event);
    this.#changed();
  }

  sign(): void {
    this.signs++;
    this.#changed();
  }

  end(end: Partial<End> & Pick<End, 'how'>): void {
    this.ended ??= { codes: [], ...end };
    this.#changed();
  }

  close(): void {
    this.end({ how: 'lost' });
    this.#close();
  }

  /** Waits until something is so. Throws what it waited for when that takes too long, or when the stream ended before. */
  async until(what: string, isSo: () => boolean, patience = PATIENCE): Promise<void> {
    const deadline = Date.now() + patience;
    while (!isSo()) {
      if (this.ended) throw new Error(`${what}: the subscription ended (${describe(this.ended)}) after ${this.#summary()}`);
      await this.#change(deadline);
      if (!isSo() && Date.now() >= deadline) throw new Error(`${what}: not within ${patience} ms, after ${this.#summary()}`);
    }
  }

  /** The texts of all that was told until one of them came. */
  async textsUntil(last: string): Promise<string[]> {
    await this.until(`"${last.slice(0, 60)}" is told`, () => this.told.some(({ text }) => text === last));
    return this.texts();
  }

  texts(): string[] {
    return this.told.flatMap(({ text }) => text ?? []);
  }

  async ending(patience = PATIENCE): Promise<End> {
    const deadline = Date.now() + patience;
    while (!this.ended && Date.now() < deadline) await this.#change(deadline);
    if (!this.ended) throw new Error(`the subscription does not end within ${patience} ms, after ${this.#summary()}`);
    return this.ended;
  }

  #summary(): string {
    const texts = this.texts();
    return `${this.told.length} events${texts.length ? `, the last "${texts.at(-1)!.slice(0, 60)}"` : ''}`;
  }

  #changed(): void {
    this.#wake.forEach((wake) => wake());
    this.#wake.clear();
  }

  #change(deadline: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()));
      this.#wake.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

export function describe({ how, codes, status }: End): string {
  return [how, ...codes, ...(status ? [status] : [])].join(' ');
}
