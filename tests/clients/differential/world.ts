/** A small world: three people, what they said to each other, and everything that one of them sees of it. */

import type { Herald } from '../herald.ts';
import { User } from '../user.ts';
import { follow } from './ask.ts';

type Status = 'SENT' | 'DELIVERED' | 'READ';

type Role = 'OWNER' | 'MEMBER';

export interface Ref {
  id: string;
}

export interface Person extends Ref {
  handle: string;
  displayName: string;
  createdAt: string;
  shareDelivered: boolean | null;
  shareRead: boolean | null;
}

export interface Receipt {
  recipient: Ref;
  isShared: boolean;
  status: Status;
  deliveredAt: string | null;
  readAt: string | null;
}

export interface Message extends Ref {
  body: string;
  conversation: Ref;
  sender: Ref;
  cursor: string;
  sentAt: string;
  metadata: unknown;
  redactedAt: string | null;
  status: Status;
  recipientCount: number;
  sharingCount: number;
  deliveredCount: number;
  readCount: number;
  receipts: List<Receipt>;
}

export interface Participant {
  user: Ref;
  joinedAt: string;
  role: Role;
  deliveredThrough: Ref | null;
  readThrough: Ref | null;
}

export interface Conversation extends Ref {
  title: string | null;
  createdAt: string;
  myRole: Role;
  metadata: unknown;
  unreadCount: number;
  firstUnread: Ref | null;
  own: { mutedUntil: string | null; metadata: unknown; shareDelivered: boolean; shareRead: boolean };
  lastMessage: Ref | null;
  messages: List<Message>;
  participants: List<Participant>;
}

export interface Event {
  __typename: string;
  cursor: string;
  previous: string | null;
  at: string;
  conversation: Ref;
  message?: Ref;
  messages?: Ref[];
  recipient?: Ref;
  status?: Status;
  startedBy?: Ref;
}

export interface Session extends Ref {
  createdAt: string;
  lastUsedAt: string;
  expiresAt: string;
  isCurrent: boolean;
}

/** A connection with everything in it. */
export interface List<T> {
  edges: { cursor: string; node: T }[];
}

export interface World {
  /** Before everything that happened. */
  start: string;
  /** After everything that happened. */
  cursor: string;
  viewer: Ref;
  people: Person[];
  conversations: List<Conversation>;
  sessions: List<Session>;
  blockedUsers: List<Ref>;
  /** What happened, in order, as far as the viewer saw it. */
  events: Event[];
  /** Messages that the viewer has read: to mark them again changes nothing. */
  read: string[];
  /** Things that exist, and that the viewer does not see. */
  hidden: string[];
}

const RECEIPT = `recipient { id } isShared status deliveredAt readAt`;

const MESSAGE = `id cursor body conversation { id } sender { id } sentAt metadata redactedAt status
  recipientCount sharingCount deliveredCount readCount
  receipts { edges { cursor node { ${RECEIPT} } } }`;

const PARTICIPANT = `user { id handle displayName createdAt shareDelivered shareRead } joinedAt role
  deliveredThrough { id } readThrough { id }`;

const CONVERSATION = `id title createdAt myRole metadata unreadCount firstUnread { id } lastMessage { id }
  own { mutedUntil metadata shareDelivered shareRead }
  messages { edges { cursor node { ${MESSAGE} } } }
  participants { edges { cursor node { ${PARTICIPANT} } } }`;

const SESSION = `id createdAt lastUsedAt expiresAt isCurrent`;

const EVERYTHING = `{ cursor viewer { id } conversations { edges { cursor node { ${CONVERSATION} } } }
  sessions { edges { cursor node { ${SESSION} } } } blockedUsers { edges { cursor node { id } } } }`;

/** How many events the viewer sees: two starts, seven messages, six marks. */
const HAPPENED = 15;

const EVENTS = `subscription ($after: Cursor!) { events(after: $after) {
  __typename cursor previous at conversation { id }
  ... on MessageSent { message { id } }
  ... on StatusChanged { status recipient { id } message { id } messages { id } }
  ... on ConversationStarted { startedBy { id } }
} }`;

/** Brings the world about, and looks at it through plain queries. The viewer comes with it. */
export async function create(herald: Herald): Promise<{ world: World; viewer: User }> {
  const [ada, ben, cy] = [
    await User.register(herald, 'ada'),
    await User.register(herald, 'ben'),
    await User.register(herald, 'cy'),
  ];
  const start = await ada.cursor();
  const pair = await ada.converse(ben);
  await ben.send(pair, 'Hello, Ada.');
  await ada.markRead((await ben.send(pair, 'Are you there?\nSay "yes" \\ \u0009 or no.')).id);
  await ben.markRead((await ada.send(pair, 'Yes 👩‍👩‍👧‍👦 — e\u0301 \u2028')).id);
  await ben.send(pair, '</script>');
  const group = await entitled(ada, 'All of us', ben, cy);
  const first = await ada.send(group, 'one');
  const second = await ada.send(group, 'two');
  await ada.markDelivered((await cy.send(group, 'three')).id);
  await ada.send(group, 'four');
  await ben.markRead(second.id);
  await cy.markDelivered(second.id);
  await cy.markRead(first.id);
  const apart = await ben.converse(cy);
  const secret = await ben.send(apart, 'Not for Ada.');

  const { user } = await ada.request<{ user: Ref }>(`query ($handle: String!) { user(handle: $handle) { id } }`, {
    handle: cy.handle,
  });
  await ada.request(`mutation ($id: ID!) { blockUser(input: { userId: $id }) { user { id } } }`, { id: user.id });

  const { cursor, viewer, conversations, sessions, blockedUsers } = await ada.request<Omit<World, 'viewer'> & { viewer: Ref }>(EVERYTHING);
  const messages = conversations.edges.flatMap(({ node }) => node.messages.edges).map(({ node }) => node);
  const request = JSON.stringify({ query: EVENTS, variables: { after: start } });
  const happened = await follow(herald, request, ada.token, HAPPENED);
  const events = happened.answers.map((answer) => (JSON.parse(answer) as { data: { events: Event } }).data.events);
  const people = new Map<string, Person>();
  for (const { node } of conversations.edges) {
    for (const participant of node.participants.edges) {
      people.set(participant.node.user.id, participant.node.user as Person);
    }
  }
  const isRead = ({ receipts }: Message) =>
    receipts.edges.some(({ node }) => node.recipient.id === viewer.id && node.status === 'READ');
  const world = {
    ...{ start, cursor, viewer, conversations, sessions, blockedUsers, events, people: [...people.values()] },
    ...{ read: messages.filter(isRead).map(({ id }) => id), hidden: [apart, secret.id] },
  };
  return { world, viewer: ada };
}

/** Starts a conversation that has a title: its id. */
async function entitled(starter: User, title: string, ...others: User[]): Promise<string> {
  const { startConversation } = await starter.request<{ startConversation: { conversation: Ref } }>(
    `mutation ($input: StartConversationInput!) { startConversation(input: $input) { conversation { id } } }`,
    { input: { title, participantHandles: others.map(({ handle }) => handle) } },
  );
  return startConversation.conversation.id;
}
