/** graphql-js over the published schema and the small world: what herald's answers are compared with. */

import { readFileSync } from 'node:fs';
import { buildSchema, GraphQLScalarType } from 'graphql';

import type { Conversation, Event, List, Message, Participant, Person, Receipt, Ref, World } from './world.ts';

export const SDL = readFileSync(new URL('../../../schema.graphql', import.meta.url), 'utf8');

export const schema = buildSchema(SDL);

// Custom scalars are each server's own: herald's are strings.
const cursor = schema.getType('Cursor') as GraphQLScalarType;
cursor.parseValue = (value) => {
  if (typeof value !== 'string') throw new TypeError('a cursor is a string');
  return value;
};

/** What herald allows to ask for in one page, and gives unasked. */
const MOST = 200;
const PAGE_SIZE = 50;

interface Page {
  after?: string | null;
  before?: string | null;
  first?: number | null;
  last?: number | null;
}

/** How far a message may have come, from the least on. */
const STATUSES = ['SENT', 'DELIVERED', 'READ'] as const;

/** The place of an element in its list, where text stands for positions and for people in the order of joining. */
type Key = bigint[];

/** Reads an element's cursor, which is of one number, or of a number and a person. */
function key(cursor: string, parts: number): Key {
  const text = Buffer.from(cursor, 'base64url').toString();
  const isCanonical = Buffer.from(text).toString('base64url') === cursor;
  const [, position, person] = /^(-?\d{1,18})(?::([0-9a-f]{32}))?$/.exec(text) ?? [];
  const key = [position, person && `0x${person}`].filter((part) => part !== undefined).map(BigInt);
  if (!isCanonical || key.length !== parts) throw new Error('not a cursor of this list');
  return key;
}

function compare(a: Key, b: Key): number {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

/** A page of a list, as Relay's specification and herald's documentation have it. */
function page<T, N>(
  list: List<T>,
  { after, before, first, last }: Page,
  parts: number,
  order: 1 | -1,
  show: (node: T) => N,
) {
  if (first != null && last != null) throw new Error('first and last');
  const size = first ?? last ?? PAGE_SIZE;
  if (size < 0 || size > MOST) throw new Error('page size');
  const beyond = (cursor: string, side: 1 | -1) => {
    const edge = key(cursor, parts);
    return (other: { cursor: string }) => compare(key(other.cursor, parts), edge) * order === side;
  };
  const isAfter = after == null ? () => true : beyond(after, 1);
  const isBefore = before == null ? () => true : beyond(before, -1);
  const found = list.edges.filter((edge) => isAfter(edge) && isBefore(edge));
  const isMore = found.length > size;
  const taken = last == null ? found.slice(0, size) : found.slice(Math.max(found.length - size, 0));
  const edges = taken.map(({ cursor, node }) => ({ cursor, node: show(node) }));
  return {
    edges,
    nodes: edges.map(({ node }) => node),
    pageInfo: {
      hasPreviousPage: last == null ? after != null : isMore,
      hasNextPage: last == null ? isMore : before != null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

async function* iterate<T>(all: T[]): AsyncGenerator<T, void> {
  yield* all;
}

/** The roots of queries, mutations and subscriptions over a world, for its viewer or for nobody. */
export function roots(world: World, isSignedIn: boolean) {
  const conversations = world.conversations.edges.map(({ node }) => node);
  const messages = conversations.flatMap((conversation) => conversation.messages.edges.map(({ node }) => node));
  const byId = <T extends Ref>(all: T[], id: string) => all.find((one) => one.id === id);

  const person = (to: Person) => ({ __typename: 'User', ...to });
  const personBy = ({ id }: Ref) => person(byId(world.people, id)!);
  const message = (to: Message): object => ({
    __typename: 'Message',
    ...to,
    conversation: () => conversationBy(to.conversation),
    sender: () => personBy(to.sender),
    receipts: ({ notYet, ...args }: Page & { notYet?: Receipt['status'] | null }) => {
      const isWanted = ({ isShared, status }: Receipt) =>
        notYet == null || (isShared && STATUSES.indexOf(status) < STATUSES.indexOf(notYet));
      const edges = to.receipts.edges.filter(({ node }) => isWanted(node));
      return page({ edges }, args, 2, 1, receipt);
    },
  });
  const messageBy = (to: Ref | null) => to && message(byId(messages, to.id)!);
  const receipt = (to: Receipt) => ({ ...to, recipient: () => personBy(to.recipient) });
  const participant = (to: Participant) => ({
    ...to,
    user: () => personBy(to.user),
    deliveredThrough: () => messageBy(to.deliveredThrough),
    readThrough: () => messageBy(to.readThrough),
  });
  const conversation = (to: Conversation) => ({
    __typename: 'Conversation',
    ...to,
    lastMessage: () => messageBy(to.lastMessage),
    firstUnread: () => messageBy(to.firstUnread),
    messages: (args: Page) => page(to.messages, args, 1, 1, message),
    participants: (args: Page) => page(to.participants, args, 2, 1, participant),
  });
  const conversationBy = ({ id }: Ref) => conversation(byId(conversations, id)!);

  const signedIn = () => {
    if (!isSignedIn) throw new Error('nobody is signed in');
  };
  const node = ({ id }: Ref) => {
    signedIn();
    const [user, talk, said] = [byId(world.people, id), byId(conversations, id), byId(messages, id)];
    return (user && person(user)) ?? (talk && conversation(talk)) ?? (said && message(said)) ?? null;
  };
  const nodeOf = (type: string) => (args: Ref) => {
    const found = node(args) as { __typename?: string } | null;
    return found?.__typename === type ? found : null;
  };
  const mark = ({ input }: { input: { messageId: string } }) => {
    signedIn();
    if (!world.read.includes(input.messageId)) throw new Error('no such message, or to mark it would change something');
    const { conversation } = byId(messages, input.messageId)!;
    return {
      cursor: world.cursor,
      message: messageBy({ id: input.messageId }),
      conversation: () => conversationBy(conversation),
    };
  };
  const refuse = () => {
    throw new Error('nothing may change');
  };

  const event = (to: Event) => ({
    ...to,
    conversation: () => conversationBy(to.conversation),
    message: () => messageBy(to.message ?? null),
    messages: ({ first }: { first?: number | null }) => {
      const size = first ?? PAGE_SIZE;
      if (size < 0 || size > MOST) throw new Error('page size');
      return to.messages!.slice(0, size).map(messageBy);
    },
    recipient: () => personBy(to.recipient!),
    startedBy: () => personBy(to.startedBy!),
  });
  const follow =
    (...kinds: string[]) =>
    ({ after, conversationId }: { after?: string | null; conversationId?: string | null }) => {
      if (after != null && after !== world.start) throw new Error('not a cursor');
      if (conversationId != null && !byId(conversations, conversationId)) throw new Error('no such conversation');
      // Without a cursor it is what happens from now on: nothing.
      const seen = (after == null ? [] : world.events)
        .filter(({ __typename }) => kinds.length === 0 || kinds.includes(__typename))
        .filter(({ conversation }) => conversationId == null || conversation.id === conversationId)
        // What this subscription was told before, and not the one that the world was looked at through.
        .map((one, index, told) => event({ ...one, previous: told[index - 1]?.cursor ?? after ?? null }));
      return iterate(seen.map((one) => ({ events: one, messageSent: one, statusChanged: one })));
    };

  return {
    query: {
      cursor: world.cursor,
      viewer: () => (isSignedIn ? personBy(world.viewer) : null),
      conversations(args: Page) {
        const found = page(world.conversations, args, 1, -1, conversation);
        signedIn();
        return found;
      },
      conversation: nodeOf('Conversation'),
      message: nodeOf('Message'),
      user({ handle }: { handle: string }) {
        signedIn();
        const found = world.people.find((one) => one.handle === handle);
        return found ? person(found) : null;
      },
      sessions(args: Page) {
        const found = page(world.sessions, args, 2, -1, (session) => session);
        signedIn();
        return found;
      },
      blockedUsers(args: Page) {
        const found = page(world.blockedUsers, args, 2, 1, personBy);
        signedIn();
        return found;
      },
      node,
      nodes({ ids }: { ids: string[] }) {
        if (ids.length > MOST) throw new Error('too many');
        return ids.map((id) => node({ id }));
      },
    },
    mutation: {
      markDelivered: mark,
      markRead: mark,
      ...Object.fromEntries(
        ['sendMessage', 'leaveConversation', 'addParticipants', 'renameConversation'].map((name) => [name, refuse] as const),
      ),
    },
    subscription: { events: follow(), messageSent: follow('MessageSent'), statusChanged: follow('StatusChanged') },
  };
}
