/**
 * What Graphcache has to know of herald. Nearly everything follows from ids: an event or an answer that selects
 * `message { id status }` changes that message wherever it is shown. Here is the rest: how lists grow.
 */

import { type Cache, cacheExchange, type Resolver } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import type { Exchange } from '@urql/vue';

import type {
  EventsSubscription, LeaveMutationVariables, MarkReadMutationVariables, SendMutation, StartMutation,
} from '../generated/graphql';
import { type Key, type Messages, note } from './messages';
import generated from '../generated/possible-types';

/** As many as the operation asks for in `StatusChanged.messages`. */
const STATUSES_PER_EVENT = 200;

const EVENTS = generated.possibleTypes['Event']!;

/** Types without an id: they live in what they belong to. */
const EMBEDDED = [
  'Participant', 'OwnParticipation', 'Receipt', 'Undeliverable', 'ConversationPayload', 'LeaveConversationPayload',
  'SendMessagePayload', 'MarkPayload',
  'LogoutPayload', 'UnreadTotals', 'UserPayload', 'SessionPayload', 'EndSessionPayload', 'BlockPayload', ...EVENTS,
];

/** Bears the notes on the list of conversations. (Of the type Query, Graphcache watches single fields only.) */
const INBOX: Key = 'Inbox';

type Pages = { nodes: Key[] };

function changesOf(cache: Cache): { key: Key; isIn: boolean }[] {
  return cache
    .inspectFields(INBOX)
    .filter(({ fieldName }) => fieldName === 'noted')
    .map(({ fieldKey, arguments: args }) => ({
      key: `Conversation:${args?.['id']}`,
      isIn: cache.resolve(INBOX, fieldKey) !== null,
    }));
}

const pagesOf = relayPagination();

const conversations: Resolver = (parent, args, cache, info) => {
  const pages = pagesOf(parent, args, cache, info) as Pages | undefined;
  if (!pages) return undefined;
  const changes = changesOf(cache);
  const changed = new Set(changes.map(({ key }) => key));
  const joined = changes.filter(({ isIn }) => isIn).map(({ key }) => key);
  return { ...pages, nodes: [...joined, ...pages.nodes.filter((key) => !changed.has(key))] };
};

/** What only ever grows: of an answer and an event that race, the older one may come last. */
function growing<T>(rank: (value: T) => number): Resolver {
  const furthest = new Map<Key, T>();
  return (parent, _args, _cache, { parentKey, fieldName }) => {
    const [before, now] = [furthest.get(parentKey), parent[fieldName] as T];
    if (before !== undefined && rank(before) >= rank(now)) return before as never;
    furthest.set(parentKey, now);
    return now as never;
  };
}

/** The viewer takes part no more: what is shown of the conversation is what herald would answer. */
function close(cache: Cache, id: string): void {
  note(cache, INBOX, id, null);
  cache.link('Query', 'conversation', { id }, null);
}

/** The viewer takes part again. What happened meanwhile was told to others only, so all of it is asked for again. */
function reopen(cache: Cache, id: string, messages: Messages): void {
  messages.forget(cache, id);
  cache.invalidate('Query', 'conversation', { id });
}

/** Those that were looked at in a conversation. A mark may have changed more of them than its event names. */
function forgetReceipts(cache: Cache, conversation: Key): void {
  for (const { fieldName, arguments: args } of cache.inspectFields('Query')) {
    const message = `Message:${args?.['id']}`;
    if (fieldName !== 'message' || cache.resolve(message, 'conversation') !== conversation) continue;
    cache.invalidate(message, 'receipts', { first: 100 });
  }
}

function onEvent({ events: event }: EventsSubscription, cache: Cache, messages: Messages): void {
  // Nobody asked for these.
  if (event.__typename === 'Checkpoint') return;
  const conversation = event.conversation.id;
  const [list, viewer] = [`Conversation:${conversation}`, cache.resolve('Query', 'viewer')];
  switch (event.__typename) {
    case 'MessageSent':
      messages.note(cache, event.message);
      return void note(cache, INBOX, conversation, list);
    case 'StatusChanged':
      forgetReceipts(cache, list);
      // The mark may cover more than the event names: the rest is asked for when it is shown.
      if (event.messages.length === STATUSES_PER_EVENT) messages.forget(cache, conversation);
      return;
    case 'ParticipantsJoined':
      if (event.users.some(({ id }) => viewer === `User:${id}`)) reopen(cache, conversation, messages);
      return void note(cache, INBOX, conversation, list);
    case 'ConversationStarted':
    case 'ConversationRenamed':
    case 'ConversationUpdated':
      return void note(cache, INBOX, conversation, list);
    case 'MessageUndeliverable':
      return cache.invalidate(`Message:${event.message.id}`, 'receipts', { first: 100 });
    case 'ParticipantLeft':
      if (viewer === `User:${event.user.id}`) close(cache, conversation);
      return;
    // Graphcache knows the message by its id.
    case 'MessageRedacted':
      return;
    case 'ParticipantsRemoved':
      if (event.users.some(({ id }) => viewer === `User:${id}`)) close(cache, conversation);
  }
}

export function createCache(messages: Messages): Exchange {
  return cacheExchange({
    possibleTypes: generated.possibleTypes,
    logger(severity, message) {
      // Graphcache tries the fragments of all events on each of them, and misses the fields of the others.
      if (severity !== 'debug' && !message.startsWith('Invalid undefined')) console[severity](message);
    },
    keys: Object.fromEntries(EMBEDDED.map((type) => [type, () => null])),
    resolvers: {
      Query: { conversations },
      Conversation: {
        messages: messages.shown,
        lastMessage: (_parent, _args, cache, { parentKey }) => messages.lastOf(cache, parentKey),
      },
      Message: {
        status: growing((status: string) => ['SENT', 'DELIVERED', 'READ'].indexOf(status)),
        deliveredCount: growing(Number),
        readCount: growing(Number),
        redactedAt: growing((at: string | null) => (at ? 1 : 0)),
      },
    },
    optimistic: {
      // When the mark covers the newest message, nothing is unread. Of other marks the answer says how many are.
      markRead({ input: { messageId: id } }: MarkReadMutationVariables, cache) {
        const list = cache.resolve(`Message:${id}`, 'conversation') as Key;
        if (!id || messages.lastOf(cache, list) !== `Message:${id}`) return null;
        const conversation = cache.resolve(list, 'id') as string;
        const read = { __typename: 'Conversation', id: conversation, unreadCount: 0 };
        return { __typename: 'MarkPayload', message: { __typename: 'Message', id, conversation: read } };
      },
    },
    updates: {
      Mutation: {
        sendMessage: ({ sendMessage }: SendMutation, _args, cache) => messages.note(cache, sendMessage.message),
        startConversation: ({ startConversation: { conversation } }: StartMutation, _args, cache) =>
          note(cache, INBOX, conversation.id, `Conversation:${conversation.id}`),
        leaveConversation: (_result, { input }: LeaveMutationVariables, cache) => close(cache, input.conversationId),
      },
      Subscription: { events: (result: EventsSubscription, _args, cache) => onEvent(result, cache, messages) },
      Conversation: { messages: messages.add },
    },
  });
}
