/** What is shown. */

import type { Failure } from 'resumable-graphql-outbox';

export interface User {
  id: string;
  handle: string;
  displayName: string;
}

/** What a message's ticks say. `SENDING` and `FAILED` are this client's own. */
export type Ticks = 'FAILED' | 'SENDING' | 'SENT' | 'DELIVERED' | 'READ';

/** A message, stored or not yet. */
export interface Line {
  /** Stays the same when a message is stored. For lists. */
  key: string;
  /** herald's own id, once it is stored. */
  id?: string | undefined;
  body: string;
  metadata?: any;
  /** RFC 3339. Of what is not stored, by this device's clock. */
  sentAt: string;
  redactedAt?: string | null | undefined;
  status: Ticks;
  deliveredCount: number;
  readCount: number;
  recipientCount: number;
  sender: User;
  isMine: boolean;
  /** Why it is not sent. */
  failure?: Failure | undefined;
}

export interface Conversation {
  id: string;
  title: string | null;
  participants: { role: 'OWNER' | 'MEMBER'; user: User }[];
  unreadCount: number;
  /** The newest message that is known. */
  last?: Line | undefined;
}

export interface OpenConversation extends Conversation {
  /** The oldest first. What is not stored yet is at the end. */
  lines: Line[];
  /** Whether there are messages before the first line. */
  hasEarlier: boolean;
  /** Whether the newest messages are there. */
  isLoaded: boolean;
  /** Whether there is no such conversation, or the viewer takes no part in it any more. */
  isMissing: boolean;
}

export interface ConversationList {
  /** The one with the latest activity first. */
  conversations: Conversation[];
  hasMore: boolean;
  isLoaded: boolean;
}

export interface Unread {
  messages: number;
  conversations: number;
}

export interface State {
  /** `live` when everything up to now is shown, `failed` when herald refuses for good. */
  connection: 'connecting' | 'live' | 'lost' | 'failed';
  viewer?: User | undefined;
  failure?: unknown;
}
