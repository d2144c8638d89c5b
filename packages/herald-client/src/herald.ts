/** What one viewer sees of herald: a snapshot, everything that happens, and what the viewer sends and marks. */

import { Epoch, follow } from 'resumable-graphql';
import { Outbox } from 'resumable-graphql-outbox';

import { type Asking, asking } from './ask.ts';
import { EVENTS, mark, MORE, MOST_MARKED, PAGE, SEND, SNAPSHOT, UNREAD } from './documents.ts';
import { type Draft, Known, type Message } from './known.ts';
import { Marks } from './marks.ts';
import type { ConversationList, OpenConversation, State, Unread, User } from './model.ts';
import type { HeraldOptions } from './options.ts';
import { type Source, view, type View } from './view.ts';

/** Of one viewer. Make it outside of what is mounted and unmounted, and close it when they sign out. */
export class Herald {
  readonly #over = new AbortController();
  readonly #epoch = new Epoch();
  readonly #ask: Asking;
  readonly #outbox: Outbox<Draft>;
  readonly #marks: Marks;
  readonly #known = new Map<string, Known>();
  readonly #open = new Map<string, Source<OpenConversation>>();
  readonly #options: HeraldOptions;
  #renewal: Promise<unknown> | undefined;
  #viewer: User = { id: '', handle: '', displayName: '' };
  #end: string | null | undefined;
  #state: State = { connection: 'connecting' };
  #unread: Unread = { messages: 0, conversations: 0 };
  #counting: 'no' | 'once' | 'again' = 'no';

  /** Whether what is shown is so now, and who is signed in. */
  readonly state: View<State> = view(() => this.#state);
  /** All conversations that are loaded. */
  readonly conversations: View<ConversationList> = view(() => this.#list());
  /** Over all conversations, also those that are not loaded. */
  readonly unread: View<Unread> = view(() => this.#unread, () => this.#count());

  constructor(options: HeraldOptions) {
    const { execute, ask = execute, store, name, onFound } = options;
    const { signal } = this.#over;
    this.#options = options;
    this.#ask = asking(ask, this.#epoch, signal, this.#renew);
    this.#marks = new Marks((kind, messageId) => this.#ask.surely(mark(kind), { input: { messageId } }, () => {}));
    this.#outbox = new Outbox<Draft>({
      ...{ store, name, onFound, signal, renew: this.#renew, ready: () => this.#epoch.begun },
      // By `clientKey`, a page knows its own message also where an event tells of it before the answer.
      send: ({ id, key, variables: { metadata, ...draft } }, signal) => this.#ask.once(
        SEND,
        { input: { ...draft, metadata: { ...metadata, clientKey: id }, idempotencyKey: key } },
        ({ sendMessage: { message } }) => this.#take(draft.conversationId, [message]),
        signal,
      ),
    });
    this.#outbox.subscribe(() => this.#touch());
    void this.#follow();
  }

  /** A conversation, which is loaded as soon as somebody looks. The same view for the same id. */
  conversation(id: string): View<OpenConversation> {
    let source = this.#open.get(id);
    if (!source) this.#open.set(id, (source = view(() => this.#shown(id), () => this.#need(id))));
    return source;
  }

  /** Loads more conversations. */
  async more(): Promise<void> {
    const after = this.#end;
    if (after) await this.#ask.surely(MORE, { after }, (data) => after === this.#end && this.#listed(data.conversations));
  }

  /** Loads earlier messages of a conversation. */
  async earlier(id: string): Promise<void> {
    const known = this.#of(id);
    if (known.hasEarlier && !known.isLoading) await this.#load(id, known.start);
  }

  /** Sends as soon as it can be, in order. Returns the `key` of its line. */
  send(conversationId: string, body: string, metadata?: object): string {
    return this.#outbox.add(conversationId, { conversationId, body, metadata }).id;
  }

  /** Sends a message that failed again. */
  retry(key: string): void {
    this.#outbox.retry(key);
  }

  /** Sends another text in the place of a message that failed. */
  edit(key: string, body: string): void {
    const draft = this.#outbox.entries.find(({ id }) => id === key)?.variables;
    if (draft) this.#outbox.edit(key, { ...draft, body });
  }

  /** Forgets a message that failed. */
  discard(key: string): void {
    this.#outbox.discard(key);
  }

  /** Says that the viewer has seen a message and all before it. Only what is new is sent. */
  seen(conversationId: string, messageId: string): void {
    const { messages } = this.#of(conversationId);
    const until = messages.get(messageId)?.sentAt ?? '';
    this.#mark('markRead', conversationId, [...messages.values()].filter(({ sentAt }) => sentAt <= until));
  }

  /** Ends it. What is not sent stays in the store. */
  close(): void {
    this.#over.abort();
  }

  async #follow(): Promise<void> {
    const { execute, silence = 90_000 } = this.#options;
    try {
      const events = follow<any>(execute, {
        ...{ events: EVENTS, snapshot: SNAPSHOT, silence, signal: this.#over.signal },
        ...(this.#options.renew && { renew: this.#renew }),
        onSnapshot: (data) => this.#begin(data),
        onReset: () => this.#forget(),
        onLost: () => this.#become({ connection: 'lost' }),
        onCheckpoint: ({ caughtUp }) => caughtUp && this.#become({ connection: 'live' }),
      });
      for await (const event of events) this.#happen(event);
    } catch (failure) {
      this.#become({ connection: 'failed', failure });
    }
  }

  #begin({ viewer, conversations }: any): void {
    this.#viewer = viewer;
    this.#become({ viewer });
    this.#listed(conversations);
    this.#epoch.begin();
    for (const id of this.#open.keys()) this.#need(id);
    this.#count();
  }

  #forget(): void {
    this.#epoch.end();
    this.#known.clear();
    this.#marks.clear();
    this.#touch();
  }

  #happen(event: any): void {
    const { __typename: type, at, conversation, message, messages } = event;
    const { id } = conversation;
    const me = this.#viewer.id;
    const isMe = [...(event.users ?? []), event.user, event.recipient].some((user) => user?.id === me);
    // Whoever comes back has missed what was told to others.
    if (isMe && type === 'ParticipantsJoined') this.#known.delete(id);
    const known = this.#of(id);
    known.know(conversation);
    if (isMe && type === 'StatusChanged') this.#marks.know(event.status === 'READ' ? 'markRead' : 'markDelivered', id, message.sentAt);
    if (isMe && /Left|Removed/.test(type)) known.isMissing = true;
    this.#need(id);
    if (type === 'MessageSent' || type === 'ParticipantsJoined') known.active(at);
    // There may be more than it names.
    if (messages?.length === MOST_MARKED && known.isLoaded) void this.#load(id);
    this.#take(id, messages ?? (message ? [message] : []));
    if (isMe || type === 'MessageSent') this.#count();
    // What comes after a lost connection shows that there is one.
    if (this.#state.connection === 'lost') this.#become({ connection: 'connecting' });
  }

  /** Takes messages, says that they are received, and shows them. */
  #take(id: string, news: any[]): void {
    const known = this.#of(id);
    known.take(this.#epoch, news);
    this.#mark('markDelivered', id, news.filter(({ sentAt }) => sentAt));
    this.#touch();
  }

  #mark(kind: 'markDelivered' | 'markRead', id: string, messages: Message[]): void {
    const theirs = messages.filter(({ sender }) => sender.id !== this.#viewer.id).sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1));
    const newest = theirs.at(-1);
    if (newest) this.#marks.mark(kind, id, newest);
  }

  #listed({ nodes, pageInfo }: any): void {
    this.#end = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    for (const { lastMessage, ...facts } of nodes) {
      const known = this.#of(facts.id);
      // What an event said is newer.
      known.know({ ...facts, ...known.facts });
      known.active(lastMessage?.sentAt);
      if (lastMessage && !facts.unreadCount) this.#marks.know('markRead', facts.id, lastMessage.sentAt);
      this.#take(facts.id, lastMessage ? [lastMessage] : []);
    }
    this.#touch();
  }

  /** Loads a conversation that somebody looks at. */
  #need(id: string): void {
    const { isLoaded, isLoading, isMissing } = this.#of(id);
    const isWanted = this.#open.get(id)?.isUsed && this.#epoch.hasBegun;
    if (isWanted && !isLoaded && !isLoading && !isMissing) void this.#load(id);
  }

  /** Loads the newest page, and all that was loaded before; or the page before a place. */
  async #load(id: string, before?: string): Promise<void> {
    const known = this.#of(id);
    const until = before ? undefined : known.oldest;
    known.isLoading = true;
    try {
      for (let place: string | undefined = before, isMore = true; isMore; place = known.start) isMore = await this.#page(known, place, until);
    } catch {
      known.isMissing ||= !known.isLoaded;
    }
    known.isLoading = false;
    this.#touch();
  }

  /** Returns whether what was loaded before goes back further. */
  #page(known: Known, before: string | undefined, until: string | undefined): Promise<boolean> {
    return this.#ask.surely(PAGE, { id: known.id, before }, ({ conversation }) => {
      known.isMissing = !conversation;
      if (!conversation) return false;
      const { messages, ...facts } = conversation;
      const { nodes, pageInfo } = messages;
      known.know({ ...facts, ...known.facts });
      known.isLoaded = true;
      known.start = pageInfo.startCursor ?? known.start;
      known.hasEarlier = pageInfo.hasPreviousPage;
      this.#take(known.id, nodes);
      return pageInfo.hasPreviousPage && !!until && nodes[0].sentAt > until;
    });
  }

  /** Asks how much is unread, and again where something has happened meanwhile. */
  #count(): void {
    if (this.#counting !== 'no') return void (this.#counting = 'again');
    if (!(this.unread as Source<Unread>).isUsed) return;
    this.#counting = 'once';
    const counted = this.#ask.surely(UNREAD, {}, ({ unread }) => {
      this.#unread = unread;
      (this.unread as Source<Unread>).touch();
    });
    void counted.catch(() => {}).then(() => {
      const isDue = this.#counting === 'again';
      this.#counting = 'no';
      if (isDue) this.#count();
    });
  }

  #of(id: string): Known {
    let known = this.#known.get(id);
    if (!known) this.#known.set(id, (known = new Known(id)));
    return known;
  }

  #shown(id: string): OpenConversation {
    const known = this.#of(id);
    const lines = known.lines(this.#viewer, this.#outbox.entries);
    const { hasEarlier, isLoaded, isMissing } = known;
    return { ...known.shown(lines), lines, hasEarlier, isLoaded, isMissing };
  }

  #list(): ConversationList {
    const known = [...this.#known.values()].filter(({ facts, isMissing }) => facts?.createdAt && !isMissing);
    const sorted = known.sort((a, b) => (a.activeAt > b.activeAt ? -1 : 1));
    const conversations = sorted.map((known) => known.shown(known.lines(this.#viewer, this.#outbox.entries)));
    return { conversations, hasMore: !!this.#end, isLoaded: this.#epoch.hasBegun };
  }

  #touch(): void {
    (this.conversations as Source<ConversationList>).touch();
    for (const source of this.#open.values()) source.touch();
  }

  #become(news: Partial<State>): void {
    this.#state = { ...this.#state, ...news };
    (this.state as Source<State>).touch();
  }

  /** Whoever needs another credential meanwhile waits for the same. */
  readonly #renew = (): Promise<unknown> => {
    const { renew = () => false } = this.#options;
    return (this.#renewal ??= Promise.resolve().then(renew).finally(() => (this.#renewal = undefined)));
  };
}
