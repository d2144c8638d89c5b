/** Lines for what happens to a conversation itself. herald tells of it once, so they last as long as the page does. */

import { reactive } from 'vue';

import type { PersonFragment } from '../generated/graphql';
import type { Event } from './live';
import { isolated } from './names';

export interface Notice {
  key: string;
  conversationId: string;
  text: string;
  /** After which messages it has its place: a `sentAt`, or the time of an event. */
  after: string;
}

export type Notices = ReturnType<typeof useNotices>;

export function useNotices(viewer: PersonFragment) {
  const all = reactive<Notice[]>([]);
  const name = ({ id, displayName }: PersonFragment) => (id === viewer.id ? 'you' : isolated(displayName));
  const names = (people: PersonFragment[]) => people.map(name).join(', ');

  function textOf(event: Event): string | undefined {
    switch (event.__typename) {
      case 'ParticipantsJoined':
        return `${name(event.addedBy)} added ${names(event.users)}`;
      case 'ParticipantLeft':
        return `${name(event.user)} left`;
      case 'ParticipantsRemoved':
        return `${name(event.removedBy)} removed ${names(event.users)}`;
      case 'ConversationRenamed':
        return `${name(event.renamedBy)} ${named(event.title)}`;
      case 'ConversationUpdated':
        return `${name(event.updatedBy)} changed the conversation`;
      case 'MessageSent':
      case 'StatusChanged':
      case 'ConversationStarted':
      case 'MessageRedacted':
      case 'MessageUndeliverable':
      case 'Checkpoint':
        return undefined;
    }
  }

  function add(conversationId: string, text: string, after: string): void {
    all.push({ key: `notice-${all.length}`, conversationId, text: text.charAt(0).toUpperCase() + text.slice(1), after });
  }

  return {
    all,
    /** What this window did itself, of which herald does not tell it. */
    add,
    onEvent(event: Event): void {
      const text = textOf(event);
      if (text && event.__typename !== 'Checkpoint') add(event.conversation.id, text, event.at);
    },
  };
}

/** What was done, when a conversation was given a title or lost it. */
export const named = (title: string | null | undefined): string =>
  title ? `named the conversation “${isolated(title)}”` : 'took away the title';
