/** A text with its links. Nothing is fetched from where they lead, and who goes there does not say from where. */

import { h } from 'vue';

import { pieces } from './links';

export default function Linked({ text, tabindex }: { text: string; tabindex: number }) {
  return pieces(text).map(({ text, href }) =>
    // Always from left to right: the host of an address stands where people look for it.
    href ? h('a', { href, tabindex, title: href, dir: 'ltr', target: '_blank', rel: 'noopener noreferrer nofollow' }, text) : text,
  );
}
Linked.props = ['text', 'tabindex'];
