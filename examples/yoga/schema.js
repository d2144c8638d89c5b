/** The schema, and what it does. */

import { randomBytes } from 'node:crypto';

import { createSchema } from 'graphql-yoga';

import { subscribe } from './follow.js';
import { Refusal } from './log.js';

const typeDefs = /* GraphQL */ `
  "A place in the log. Opaque."
  scalar Cursor

  type Query {
    "A place that the whole answer includes."
    cursor: Cursor!
    room(id: ID!): Room
  }

  type Room {
    id: ID!
    "The newest, oldest first."
    messages(last: Int = 50): [Message!]!
  }

  type Message {
    id: ID!
    text: String!
  }

  type Mutation {
    "Makes a user, and signs them in."
    register(name: String!): Session!
    "Ends the session of this request."
    signOut: Boolean!
    open(guest: String!): RoomPayload!
    invite(room: ID!, guest: String!): RoomPayload!
    leave(room: ID!): RoomPayload!
    say(room: ID!, text: String!): RoomPayload!
  }

  type Session {
    token: String!
  }

  type RoomPayload {
    "A place that includes what was done."
    cursor: Cursor!
    room: Room!
  }

  """
  Resumable, as docs/spec/resumable-subscriptions.md says, with all options: origin (the header x-connection-id), checkpoints
  and previous.
  """
  type Subscription {
    """
    What happens in a room, or in all rooms of the viewer. after: the newest 1,000 events are kept, unless KEEPS says another
    number; an older cursor is refused with CURSOR_EXPIRED. checkpoints: one comes when replay has caught up, and each minute
    without an event, unless CHECKPOINT says otherwise. Whoever joins sees what was before in a snapshot of the room, taken at
    the event Joined.
    """
    events(
      "The cursor to go on behind. Of the newest 1,000 events, unless KEEPS says otherwise."
      after: Cursor
      room: ID
      checkpoints: Boolean = false
      includeOwn: Boolean = false
    ): Event!
    "What is said in a room."
    said(after: Cursor, room: ID!): Said!
  }

  interface Event {
    "Subscribe after it to go on from here."
    cursor: Cursor!
    "What this subscription was told before."
    previous: Cursor
  }

  type Said implements Event {
    cursor: Cursor!
    previous: Cursor
    room: ID!
    text: String!
  }

  type Joined implements Event {
    cursor: Cursor!
    previous: Cursor
    room: ID!
    user: String!
  }

  type Left implements Event {
    cursor: Cursor!
    previous: Cursor
    room: ID!
    user: String!
  }

  "Everything up to its cursor was told."
  type Checkpoint implements Event {
    cursor: Cursor!
    previous: Cursor
    caughtUp: Boolean!
  }
`;

export function viewerOf({ log, token }) {
  const session = token && log.get('SELECT user.id, user.name FROM session JOIN user ON user.id = session.user WHERE token = ?', token);
  if (!session) throw new Refusal('UNAUTHENTICATED', 'Nobody is signed in.');
  return session;
}

function memberOf({ log, ...context }, room) {
  const viewer = viewerOf({ log, ...context });
  if (!log.get('SELECT 1 FROM stay WHERE room = ? AND user = ? AND until IS NULL', room, viewer.id)) {
    throw new Refusal('NOT_FOUND', 'There is no such room, or you are not in it.');
  }
  return viewer;
}

const userCalled = (log, name) => {
  const user = log.get('SELECT id FROM user WHERE name = ?', name);
  if (!user) throw new Refusal('NOT_FOUND', `There is nobody called ${name}.`);
  return user;
};

const mutations = {
  register(_, { name }, { log }) {
    const token = randomBytes(16).toString('hex');
    log.db.transaction(() => log.run('INSERT INTO session VALUES (?, ?)', token, log.run('INSERT INTO user (name) VALUES (?)', name)))();
    return { token };
  },
  signOut(_, __, context) {
    viewerOf(context);
    context.log.run('DELETE FROM session WHERE token = ?', context.token);
    context.log.wake();
    return true;
  },
  open(_, { guest }, context) {
    const { log } = context;
    const [viewer, other] = [viewerOf(context), userCalled(log, guest)];
    const id = log.run('INSERT INTO room DEFAULT VALUES');
    const cursor = log.commit({ kind: 'Joined', room: id, user: viewer.id, text: guest }, (place) => {
      for (const { id: user } of [viewer, other]) log.run('INSERT INTO stay VALUES (?, ?, ?, NULL)', id, user, place);
    });
    return { cursor, room: { id } };
  },
  invite(_, { room, guest }, context) {
    const { log } = context;
    const [viewer, other] = [memberOf(context, room), userCalled(log, guest)];
    const cursor = log.commit({ kind: 'Joined', room, user: viewer.id, text: guest }, (place) =>
      log.run('INSERT INTO stay VALUES (?, ?, ?, NULL)', room, other.id, place));
    return { cursor, room: { id: room } };
  },
  leave(_, { room }, context) {
    const { log } = context;
    const viewer = memberOf(context, room);
    const cursor = log.commit({ kind: 'Left', room, user: viewer.id, text: viewer.name }, (place) =>
      log.run('UPDATE stay SET until = ? WHERE room = ? AND user = ? AND until IS NULL', place, room, viewer.id));
    return { cursor, room: { id: room } };
  },
  say(_, { room, text }, context) {
    const { log, token: session, connection } = context;
    const viewer = memberOf(context, room);
    const cursor = log.commit({ kind: 'Said', room, user: viewer.id, text, session, connection }, () =>
      log.run('INSERT INTO message (room, text) VALUES (?, ?)', room, text));
    return { cursor, room: { id: room } };
  },
};

export const schema = createSchema({
  typeDefs,
  resolvers: {
    Query: {
      // This runs before all other fields of the query, so the answer includes what is before it.
      cursor: (_, __, { log }) => log.cursorOf(log.end()),
      room: (_, { id }, context) => (memberOf(context, id), { id }),
    },
    Room: {
      messages: ({ id }, { last }, { log }) =>
        log.all('SELECT * FROM message WHERE room = ? ORDER BY id DESC LIMIT ?', id, Math.min(last, 200)).reverse(),
    },
    Mutation: mutations,
    Subscription: {
      events: { subscribe: (_, args, context) => subscribe(context, args), resolve: (event) => event },
      said: { subscribe: (_, args, context) => subscribe(context, { ...args, kind: 'Said' }), resolve: (event) => event },
    },
    Event: { __resolveType: ({ kind }) => kind },
    Joined: { user: ({ text }) => text },
    Left: { user: ({ text }) => text },
  },
});
