/** Who is kept out by a page: what axe finds. */

import axe from 'axe-core';
import type { Page } from 'playwright-core';

/** A rule of axe's that something by others breaks, and where: a selector. */
export interface Known {
  rule: string;
  within: string;
}

/** What axe finds wrong that keeps people out, or against WCAG 2.2 at the levels A and AA, and where. */
export async function faults(page: Page, known: Known[] = []): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async (known) => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({
      elementRef: true,
      rules: { 'target-size': { enabled: true } }, // of WCAG 2.2, and not looked at unless it is asked for
    });
    return violations
      .filter(({ impact, tags }) => impact === 'serious' || impact === 'critical' || tags.some((tag) => tag.startsWith('wcag')))
      .flatMap(({ id, nodes }) =>
        nodes
          .filter(({ element }) => !known.some(({ rule, within }) => rule === id && element?.closest(within)))
          .map(({ html, failureSummary }) => `${id}: ${failureSummary}\n${html}`),
      );
  }, known);
}
