/** A page in memory. To be imported before what expects one. */

// @ts-expect-error It comes without types.
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html>', { url: 'http://localhost/' });
for (const name of ['document', 'Element', 'HTMLElement', 'HTMLIFrameElement', 'MathMLElement', 'navigator', 'Node', 'SVGElement', 'sessionStorage']) {
  (globalThis as any)[name] ??= window[name];
}
(globalThis as any).window ??= window;
