/** The links in what somebody wrote. They are shown as they were typed, and lead nowhere but to the web or a mailbox. */

/** A part of a text; with `href`, a link. */
export interface Piece {
  text: string;
  href?: string;
}

/** Something that may be a link. It ends at white space, quotes, angle brackets and characters that nobody sees. */
const CANDIDATE = /\b(?:https?:\/\/|mailto:)[^\s\p{Cc}\p{Cf}<>"“”„«»`]+/giu;

/** Ends the sentence around a link, more likely than the link. */
const PUNCTUATION = /[.,:;!?'’‘…*~。，、；：！？·،؛؟]$/u;

const BRACKETS: Record<string, string> = { ')': '(', ']': '[', '}': '{', '）': '（', '】': '【', '」': '「', '』': '『' };

/** Leaves out the punctuation after a link, and brackets that were opened before it. */
function trimmed(candidate: string): string {
  let text = candidate;
  for (;;) {
    const last = text.at(-1) ?? '';
    const opening = BRACKETS[last];
    const isLoose = opening ? text.split(last).length > text.split(opening).length : PUNCTUATION.test(last);
    if (!isLoose) return text;
    text = text.slice(0, -1);
  }
}

/** Where a text leads. A name or a password before the host makes one host look like another, so that is no link. */
function target(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, username, password, hostname, pathname, href } = new URL(text);
  if (protocol === 'mailto:') return pathname.includes('@') ? href : undefined;
  return ['http:', 'https:'].includes(protocol) && hostname && !username && !password ? href : undefined;
}

/** A text in pieces. Together they are the text. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(CANDIDATE)) {
    const link = trimmed(match[0]);
    const href = target(link);
    if (!href) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: link, href });
    end = match.index + link.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}
