/** Who is kept out by a page: what axe finds. */

import axe from 'axe-core';
import type { Page } from 'playwright-core';

/** A rule of axe's that something by others breaks, and where: a selector. */
export interface Known {
  rule: string;
  within: string;
}

/** What axe finds wrong that keeps people out, and where. */
export async function faults(page: Page, known: Known[] = []): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async (known) => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ elementRef: true });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) =>
        nodes
          .filter(({ element }) => !known.some(({ rule, within }) => rule === id && element?.closest(within)))
          .map(({ html, failureSummary }) => `${id}: ${failureSummary}\n${html}`),
      );
  }, known);
}
