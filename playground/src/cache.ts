/**
 * What Graphcache has to know of herald. Nearly everything follows from ids: an event or an answer that selects
 * `message { id status }` changes that message wherever it is shown. Here is the rest: how lists grow.
 */

import { type Cache, cacheExchange, type Resolver } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import type { Exchange } from '@urql/vue';

import type {
  EventsSubscription, LeaveMutationVariables, LineFragment, MarkReadMutationVariables, SendMutation, StartMutation,
} from '../generated/graphql';
import generated from '../generated/possible-types';

/** As many as the operation asks for in `StatusChanged.messages`. */
const STATUSES_PER_EVENT = 200;

const EVENTS = generated.possibleTypes['Event']!;

/** Types without an id: they live in what they belong to. */
const EMBEDDED = [
  'Participant', 'OwnParticipation', 'Receipt', 'ConversationPayload', 'LeaveConversationPayload', 'SendMessagePayload', 'MarkPayload',
  'LogoutPayload', 'UnreadTotals', 'UserPayload', 'SessionPayload', 'EndSessionPayload', 'BlockPayload', ...EVENTS,
];

type Key = string;

/** Bears the notes on the list of conversations. (Of the type Query, Graphcache watches single fields only.) */
const INBOX: Key = 'Inbox';

type Pages = { nodes: Key[]; pageInfo: { hasPreviousPage: boolean } };

/**
 * Notes what came into a list (or, as null, went out of it) beside the list's pages and not in them. Pages and events
 * race: the answer with a page may be older than an event that arrived before it, and would undo a change to the page.
 */
const note = (cache: Cache, list: Key, id: string, member: Key | null) => cache.link(list, 'noted', { id }, member);

function noted(cache: Cache, list: Key): { key: Key; isIn: boolean }[] {
  const typename = list === INBOX ? 'Conversation' : 'Message';
  return cache
    .inspectFields(list)
    .filter(({ fieldName }) => fieldName === 'noted')
    .map(({ fieldKey, arguments: args }) => ({
      key: `${typename}:${args?.['id']}`,
      isIn: cache.resolve(list, fieldKey) !== null,
    }));
}

const addMessage = (cache: Cache, { id, conversation }: LineFragment) =>
  note(cache, `Conversation:${conversation.id}`, id, `Message:${id}`);

const pagesOf = relayPagination();

/** The pages, and what was noted beside them, once and in its place: `sentAt`, as text, has the order of the log. */
const messages: Resolver = (parent, args, cache, info) => {
  const pages = pagesOf(parent, args, cache, info) as Pages | undefined;
  if (!pages) return undefined;
  const sentAt = (key?: Key) => (key ? (cache.resolve(key, 'sentAt') as string) : '');
  const begin = pages.pageInfo.hasPreviousPage ? sentAt(pages.nodes[0]) : '';
  const nodes = [...pages.nodes];
  const isThere = new Set(nodes);
  for (const { key } of noted(cache, info.parentKey)) {
    if (isThere.has(key) || sentAt(key) < begin) continue;
    nodes.splice(nodes.findLastIndex((node) => sentAt(node) <= sentAt(key)) + 1, 0, key);
  }
  return { ...pages, nodes };
};

function lastOf(cache: Cache, conversation: Key): Key | null {
  const linked = cache.resolve(conversation, 'lastMessage') as Key | null | undefined;
  const candidates = [linked ?? null, ...noted(cache, conversation).map(({ key }) => key)];
  const sentAt = (key: Key) => cache.resolve(key, 'sentAt') as string;
  return candidates.reduce((last, key) => (!last || (key && sentAt(key) >= sentAt(last)) ? key : last), null);
}

const lastMessage: Resolver = (_parent, _args, cache, { parentKey }) => lastOf(cache, parentKey);

const conversations: Resolver = (parent, args, cache, info) => {
  const pages = pagesOf(parent, args, cache, info) as Pages | undefined;
  if (!pages) return undefined;
  const changes = noted(cache, INBOX);
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
function reopen(cache: Cache, id: string): void {
  const list = `Conversation:${id}`;
  for (const { fieldName, arguments: args } of cache.inspectFields(list)) {
    if (fieldName === 'messages') cache.invalidate(list, fieldName, args);
  }
  cache.invalidate('Query', 'conversation', { id });
}

function onEvent({ events: event }: EventsSubscription, cache: Cache): void {
  // Nobody asked for these.
  if (event.__typename === 'Checkpoint') return;
  const conversation = event.conversation.id;
  const [list, viewer] = [`Conversation:${conversation}`, cache.resolve('Query', 'viewer')];
  switch (event.__typename) {
    case 'MessageSent':
      addMessage(cache, event.message);
      return void note(cache, INBOX, conversation, list);
    case 'StatusChanged':
      for (const { id } of event.messages) cache.invalidate(`Message:${id}`, 'receipts', { first: 100 });
      // The mark may cover more than the event names: the rest is asked for when it is shown.
      if (event.messages.length === STATUSES_PER_EVENT) {
        for (const { fieldName, arguments: args } of cache.inspectFields(list)) {
          if (fieldName === 'messages') cache.invalidate(list, fieldName, args);
        }
      }
      return;
    case 'ParticipantsJoined':
      if (event.users.some(({ id }) => viewer === `User:${id}`)) reopen(cache, conversation);
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

export function createCache(): Exchange {
  return cacheExchange({
    possibleTypes: generated.possibleTypes,
    logger(severity, message) {
      // Graphcache tries the fragments of all events on each of them, and misses the fields of the others.
      if (severity !== 'debug' && !message.startsWith('Invalid undefined')) console[severity](message);
    },
    keys: Object.fromEntries(EMBEDDED.map((type) => [type, () => null])),
    resolvers: {
      Query: { conversations },
      Conversation: { messages, lastMessage },
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
        if (!id || lastOf(cache, list) !== `Message:${id}`) return null;
        const conversation = cache.resolve(list, 'id') as string;
        const read = { __typename: 'Conversation', id: conversation, unreadCount: 0 };
        return { __typename: 'MarkPayload', message: { __typename: 'Message', id, conversation: read } };
      },
    },
    updates: {
      Mutation: {
        sendMessage: ({ sendMessage }: SendMutation, _args, cache) => addMessage(cache, sendMessage.message),
        startConversation: ({ startConversation: { conversation } }: StartMutation, _args, cache) =>
          note(cache, INBOX, conversation.id, `Conversation:${conversation.id}`),
        leaveConversation: (_result, { input }: LeaveMutationVariables, cache) => close(cache, input.conversationId),
      },
      Subscription: { events: (result: EventsSubscription, _args, cache) => onEvent(result, cache) },
    },
  });
}
