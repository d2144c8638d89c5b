/** What the forms have in common. */

import { nextTick } from 'vue';

/** After a refusal: to the input that is at fault, or back to the button, which lost the focus while it was disabled. */
export async function refocus(event: Event): Promise<void> {
  await nextTick();
  const form = event.target as HTMLFormElement;
  const fault = form.querySelector<HTMLInputElement>('[aria-invalid="true"]');
  fault?.focus();
  fault?.select();
  if (document.activeElement === document.body) form.querySelector<HTMLElement>('button:not([type="button"])')?.focus();
}
