/** Somebody of the company: has an account at its login, and comes to herald with the tokens that they get there. */

import { randomBytes } from 'node:crypto';

import type { Herald } from '../herald.ts';
import { User } from '../user.ts';
import type { Account, IdentityProvider } from './provider.ts';
import { type Tokens, Visitor } from './visitor.ts';

export class Employee {
  readonly account: Account;
  readonly visitor: Visitor;
  readonly herald: Herald;
  #tokens: Tokens;

  private constructor(herald: Herald, account: Account, visitor: Visitor, tokens: Tokens) {
    this.herald = herald;
    this.account = account;
    this.visitor = visitor;
    this.#tokens = tokens;
  }

  /** Signs in at the provider. herald has not heard of them yet. Unless it is given, the handle is unique. */
  static async signIn(
    herald: Herald, provider: IdentityProvider, name: string, handle = `${name}-${randomBytes(4).toString('hex')}`,
  ): Promise<Employee> {
    const account = provider.addAccount(handle, { preferred_username: handle, name });
    const visitor = new Visitor(provider, account);
    return new Employee(herald, account, visitor, await visitor.signIn());
  }

  get token(): string {
    return this.#tokens.access;
  }

  /** As herald's user, with the token of now. */
  get user(): User {
    return User.of(this.herald, this.account.login, this.token);
  }

  /** Gets a fresh token from the provider. */
  async renew(): Promise<void> {
    this.#tokens = await this.visitor.refresh(this.#tokens);
  }
}
