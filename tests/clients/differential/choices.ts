/**
 * What a generator decides by: numbers, one after the other. fast-check makes them and, once a case fails, leaves some out
 * and makes others smaller; so 0, and the end of the numbers, must always lead to the simplest case.
 */

import fc from 'fast-check';

/** Numbers for one case. A large document needs a few hundred. */
export const numbers: fc.Arbitrary<number[]> = fc.array(fc.nat(9_999), { maxLength: 600, size: 'max' });

export class Choices {
  readonly #numbers: readonly number[];
  #next = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** A number below `end`; 0 when nothing is left to decide by. */
  below(end: number): number {
    return (this.#numbers[this.#next++] ?? 0) % end;
  }

  /** Whether something happens that does so once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === n - 1;
  }

  /** One of these; the first is the simplest. */
  of<T>(options: readonly [T, ...T[]]): T;
  of<T>(options: readonly T[]): T | undefined;
  of<T>(options: readonly T[]): T | undefined {
    return options[this.below(Math.max(options.length, 1))];
  }
}
