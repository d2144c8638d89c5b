/** What an identity provider keeps, in memory that outlives a change of its settings. */

import type { Adapter, AdapterPayload } from 'oidc-provider';

/** All that is kept: by kind and id. */
export type Memory = Map<string, AdapterPayload>;

/** The part of a memory that holds one kind. Nothing in it ends before the test does. */
export class InMemory implements Adapter {
  readonly #kind: string;
  readonly #memory: Memory;

  constructor(kind: string, memory: Memory) {
    this.#kind = kind;
    this.#memory = memory;
  }

  async upsert(id: string, payload: AdapterPayload): Promise<void> {
    this.#memory.set(this.#key(id), payload);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    return this.#memory.get(this.#key(id));
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#own().find(([, payload]) => payload.uid === uid)?.[1];
  }

  async findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#own().find(([, payload]) => payload.userCode === userCode)?.[1];
  }

  /** Notes that something was used, which works once. */
  async consume(id: string): Promise<void> {
    this.#memory.get(this.#key(id))!.consumed = Math.floor(Date.now() / 1_000);
  }

  async destroy(id: string): Promise<void> {
    this.#memory.delete(this.#key(id));
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, payload] of this.#own()) if (payload.grantId === grantId) this.#memory.delete(key);
  }

  #key(id: string): string {
    return `${this.#kind}:${id}`;
  }

  #own(): [string, AdapterPayload][] {
    return [...this.#memory].filter(([key]) => key.startsWith(`${this.#kind}:`));
  }
}
