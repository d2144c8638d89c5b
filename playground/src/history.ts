/**
 * What is loaded of a conversation, and which part of that is shown. Pages are joined to pieces without gaps: one ends
 * with the newest message and grows by events, others lie around where somebody read. A page that shows everything it
 * has pays for all of it at each event, so what is shown is a window on one piece.
 */

/** How many messages are shown at most, by how many the window moves, and how many a page has that is loaded. */
const SHOWN = 400;
const STEP = 50;
export const PAGE = 100;

/** How many are shown where somebody follows the newest message. */
const FOLLOWED = 200;

/** How many are shown before the first unread message. */
export const CONTEXT = 20;

export interface Line {
  key: string;
  /** As text it has the order of the log, and no two messages of a conversation have the same. */
  sentAt: string;
}

/** Messages without a gap. The cursors are those of its first and its last, where there is more. */
export interface Piece {
  lines: Line[];
  start: string | null;
  end: string | null;
  hasOlder: boolean;
  hasNewer: boolean;
}

/** An answer of herald: what follows a cursor, or comes before it, or begins or ends the conversation. */
export type Page = Piece & { after: string | null; before: string | null };

const first = ({ lines }: Piece) => lines[0]?.sentAt ?? '';
const last = ({ lines }: Piece) => lines.at(-1)?.sentAt ?? '';

function touches(page: Page, piece: Piece): boolean {
  const doOverlap = first(page) <= last(piece) && first(piece) <= last(page);
  const isAtCursor = (!!page.before && page.before === piece.start) || (!!page.after && page.after === piece.end);
  // Of two that end with the newest message, one may be ahead of the events. These fill what is missing between them.
  const isAtEnd = (!page.hasNewer && !piece.hasNewer) || (!page.hasOlder && !piece.hasOlder);
  return isAtEnd || isAtCursor || (page.lines.length > 0 && piece.lines.length > 0 && doOverlap);
}

function join(a: Piece, b: Piece): Piece {
  const lines = [...new Map([...a.lines, ...b.lines].map((line) => [line.key, line])).values()];
  const isFirst = !b.lines.length || (a.lines.length > 0 && first(a) <= first(b));
  const isLast = !b.lines.length || (a.lines.length > 0 && last(a) >= last(b));
  return {
    lines: lines.sort((one, other) => (one.sentAt < other.sentAt ? -1 : 1)),
    start: (isFirst ? a : b).start,
    end: (isLast ? a : b).end,
    hasOlder: a.hasOlder && b.hasOlder,
    hasNewer: a.hasNewer && b.hasNewer,
  };
}

export class History {
  #pieces: Piece[] = [];
  /** What events brought before a page with the newest message was loaded. */
  #noted: Line[] = [];
  /** Where the window begins: a `sentAt`. Without it, the window ends with the newest message. */
  #from: string | undefined;

  /** Takes in a page that was loaded. */
  add({ after, before, ...page }: Page): void {
    const apart = this.#pieces.filter((piece) => !touches({ after, before, ...page }, piece));
    const joined = this.#pieces.filter((piece) => !apart.includes(piece)).reduce(join, page);
    this.#pieces = [...apart, joined];
    if (!joined.hasNewer) this.#noted.splice(0).forEach((line) => this.note(line));
  }

  /** Takes in a message that an event brought, or an answer to whoever sent it. It may be there. */
  note(line: Line): void {
    const live = this.#live;
    if (!live) return void this.#noted.push(line);
    // It will come with the page that it is in.
    if (live.hasOlder && line.sentAt < first(live)) return;
    const before = live.lines.findLastIndex(({ sentAt }) => sentAt <= line.sentAt);
    if (live.lines[before]?.key !== line.key) live.lines.splice(before + 1, 0, line);
  }

  /** Forgets everything. */
  clear(): void {
    this.#pieces = [];
    this.#noted = [];
    this.#from = undefined;
  }

  get isLoaded(): boolean {
    return this.#pieces.length > 0;
  }

  has(key: string): boolean {
    return this.#pieces.some(({ lines }) => lines.some((line) => line.key === key));
  }

  /** The window: its keys, and whether there is more on both sides, loaded or not. */
  get shown(): { keys: string[]; hasOlder: boolean; hasNewer: boolean } {
    const { piece, start, end } = this.#window;
    return {
      keys: piece.lines.slice(start, end).map(({ key }) => key),
      hasOlder: start > 0 || piece.hasOlder,
      hasNewer: end < piece.lines.length || piece.hasNewer,
    };
  }

  /** What has to be loaded before older messages can be shown. */
  get missingBefore(): { last: number; before: string | null } | undefined {
    const { piece, start } = this.#window;
    return start === 0 && piece.hasOlder ? { last: PAGE, before: piece.start } : undefined;
  }

  /** What has to be loaded before newer messages can be shown. */
  get missingAfter(): { first: number; after: string | null } | undefined {
    const { piece, end } = this.#window;
    return end === piece.lines.length && piece.hasNewer ? { first: PAGE, after: piece.end } : undefined;
  }

  // ---- What moves the window

  older(): void {
    const { piece, start } = this.#window;
    this.#begin(piece, start - STEP);
  }

  newer(): void {
    const { piece, start, end } = this.#window;
    if (end < piece.lines.length) this.#begin(piece, start + Math.min(STEP, piece.lines.length - end));
  }

  /** Stays where it begins, whatever comes. */
  stay(): void {
    const { piece, start } = this.#window;
    this.#begin(piece, start);
  }

  /** Follows the newest message. */
  follow(): void {
    this.#from = undefined;
  }

  /** Shows a message that is loaded, and what is around it. */
  show(key: string): void {
    this.follow();
    if (this.shown.keys.includes(key)) return;
    for (const piece of this.#pieces) {
      const at = piece.lines.findIndex((line) => line.key === key);
      if (at >= 0) this.#begin(piece, at - CONTEXT);
    }
  }

  #begin({ lines }: Piece, index: number): void {
    this.#from = lines[Math.max(index, 0)]?.sentAt;
  }

  get #live(): Piece | undefined {
    return this.#pieces.find(({ hasNewer }) => !hasNewer);
  }

  get #window(): { piece: Piece; start: number; end: number } {
    const from = this.#from;
    const around = from && this.#pieces.find((piece) => first(piece) <= from && from <= last(piece));
    const piece = around || this.#live || { lines: [], start: null, end: null, hasOlder: false, hasNewer: false };
    const { length } = piece.lines;
    if (!around) return { piece, start: Math.max(length - FOLLOWED, 0), end: length };
    const start = piece.lines.findIndex(({ sentAt }) => sentAt >= from!);
    return { piece, start, end: Math.min(start + SHOWN, length) };
  }
}
