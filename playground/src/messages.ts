/** How Graphcache answers for the messages of conversations: with the window of each one's `History`. */

import type { Cache, Resolver, UpdateResolver } from '@urql/exchange-graphcache';

import type { LineFragment, MessagesQuery } from '../generated/graphql';
import { History, type Line } from './history';

/** What Graphcache calls something: its type and its id. */
export type Key = string;

/**
 * Notes what came into a list (or, as null, went out of it) beside the list's pages and not in them. Pages and events
 * race: the answer with a page may be older than an event that arrived before it, and would undo a change to the page.
 */
export function note(cache: Cache, list: Key, id: string, member: Key | null): void {
  cache.link(list, 'noted', { id }, member);
}

type Connection = NonNullable<MessagesQuery['conversation']>['messages'];

interface PageArguments {
  first?: number | null;
  after?: string | null;
  before?: string | null;
}

const EMPTY = { __typename: 'MessageConnection', nodes: [] };

export class Messages {
  readonly #histories = new Map<string, History>();
  /** The newest message of each conversation that an event or an answer to its sender brought. */
  readonly #newest = new Map<Key, Line>();

  historyOf(conversationId: string): History {
    const known = this.#histories.get(conversationId) ?? new History();
    this.#histories.set(conversationId, known);
    return known;
  }

  /**
   * The newest page stands for the window. Of other pages only their place is answered: what is in them is in the
   * window, if it is shown.
   */
  readonly shown: Resolver = (parent, args, cache, { parentKey }) => {
    if ('before' in args || 'after' in args) {
      const page = cache.resolve(parentKey, 'messages', args) as Key | undefined;
      return page ? { ...EMPTY, pageInfo: cache.resolve(page, 'pageInfo') } : undefined;
    }
    const history = this.historyOf(parent['id'] as string);
    if (!history.isLoaded) return undefined;
    const { keys: nodes, hasOlder: hasPreviousPage, hasNewer: hasNextPage } = history.shown;
    const place = { hasPreviousPage, hasNextPage, startCursor: null, endCursor: null };
    return { ...EMPTY, nodes, pageInfo: { __typename: 'PageInfo', ...place } };
  };

  /** A page has come. What is linked stays in the cache. */
  readonly add: UpdateResolver = (parent, args, cache) => {
    const { id, messages } = parent as unknown as { id: string; messages: Connection };
    const { first, after = null, before = null } = args as PageArguments;
    const { hasPreviousPage, hasNextPage, startCursor, endCursor } = messages.pageInfo;
    const [start, end] = [startCursor ?? null, endCursor ?? null];
    const nodes = messages.nodes as unknown as LineFragment[];
    const lines = nodes.map(({ id, sentAt }) => ({ key: `Message:${id}`, sentAt }));
    this.historyOf(id).add({
      lines,
      after,
      before,
      start,
      end,
      hasOlder: first ? !!after : hasPreviousPage,
      hasNewer: first ? hasNextPage : !!before,
    });
    cache.link(`Conversation:${id}`, 'page', { start, end }, lines.map(({ key }) => key));
  };

  /** A message has come. */
  note(cache: Cache, { id, sentAt, conversation }: LineFragment): void {
    const [list, line] = [`Conversation:${conversation.id}`, { key: `Message:${id}`, sentAt }];
    this.historyOf(conversation.id).note(line);
    if (sentAt > (this.#newest.get(list)?.sentAt ?? '')) this.#newest.set(list, line);
    note(cache, list, id, line.key);
  }

  /** Forgets what is loaded of a conversation: what is shown is asked for again. */
  forget(cache: Cache, conversationId: string): void {
    this.historyOf(conversationId).clear();
    const list = `Conversation:${conversationId}`;
    for (const { fieldName, arguments: args } of cache.inspectFields(list)) {
      if (fieldName === 'messages') cache.invalidate(list, fieldName, args);
    }
  }

  lastOf(cache: Cache, conversation: Key): Key | null {
    const linked = (cache.resolve(conversation, 'lastMessage') ?? null) as Key | null;
    const newest = this.#newest.get(conversation);
    return newest && (!linked || newest.sentAt > (cache.resolve(linked, 'sentAt') as string)) ? newest.key : linked;
  }
}
