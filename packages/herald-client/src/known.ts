/** What is known of conversations, whichever way and in whichever order it came. */

import type { Epoch, Rank } from 'resumable-graphql';
import type { Entry } from 'resumable-graphql-outbox';

import type { Conversation, Line, User } from './model.ts';

/** A message as herald tells of it. */
export interface Message extends Omit<Line, 'key' | 'id' | 'isMine' | 'failure'> {
  id: string;
}

/** What an unsent message is made of. */
export interface Draft {
  conversationId: string;
  body: string;
  metadata?: object | undefined;
}

const status: Rank = (value) => ['SENT', 'DELIVERED', 'READ'].indexOf(value);
const growing: Record<string, Rank> = { status, deliveredCount: Number, readCount: Number, redactedAt: (at) => (at ? 1 : 0) };

export class Known {
  readonly id: string;
  readonly messages = new Map<string, Message>();
  facts: any;
  /** When something last happened that brings it to the top. */
  activeAt = '';
  /** The cursor of the first message that is there; undefined until there is a page. */
  start: string | undefined;
  hasEarlier = false;
  isLoaded = false;
  isLoading = false;
  isMissing = false;

  constructor(id: string) {
    this.id = id;
  }

  get oldest(): string | undefined {
    return this.isLoaded ? [...this.messages.values()].map(({ sentAt }) => sentAt).sort()[0] : undefined;
  }

  /** Takes facts of a snapshot or an event. These come in order; answers do not. */
  know(facts: any): void {
    this.facts = { ...this.facts, ...facts };
    this.active(this.facts.createdAt);
  }

  active(at = ''): void {
    if (at > this.activeAt) this.activeAt = at;
  }

  /** Takes what is said of messages. Of what only grows, the furthest counts. */
  take(epoch: Epoch, news: any[]): void {
    for (const came of news) {
      const message = { ...this.messages.get(came.id), ...came };
      for (const [field, rank] of Object.entries(growing)) {
        if (field in came) message[field] = epoch.reach(`${came.id}.${field}`, came[field], rank);
      }
      if (message.redactedAt) Object.assign(message, { body: '', metadata: null });
      // Of a message that is not there, only how far it has come is of use, for when it comes.
      if (message.sentAt) this.messages.set(came.id, message);
    }
  }

  /** All messages, then what is not stored yet. */
  lines(viewer: User, unsent: readonly Entry<Draft>[]): Line[] {
    const keys = new Set<string>();
    const stored = [...this.messages.values()].sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1)).map((message) => {
      const isMine = message.sender.id === viewer.id;
      const own = isMine && message.metadata?.clientKey;
      const key = own && !keys.has(own) ? own : message.id;
      keys.add(key);
      return { ...message, key, isMine };
    });
    const waiting = unsent.filter(({ lane, id }) => lane === this.id && !keys.has(id)).map(({ id, variables, at, failure }): Line => ({
      ...{ key: id, body: variables.body, metadata: variables.metadata, sentAt: new Date(at).toISOString() },
      ...{ status: failure ? 'FAILED' : 'SENDING', failure, sender: viewer, isMine: true },
      ...{ deliveredCount: 0, readCount: 0, recipientCount: 0 },
    }));
    return [...stored, ...waiting];
  }

  shown(lines: Line[]): Conversation {
    const { title = null, participants, unreadCount = 0 } = this.facts ?? {};
    return { id: this.id, title, participants: participants?.nodes ?? [], unreadCount, last: lines.at(-1) };
  }
}
