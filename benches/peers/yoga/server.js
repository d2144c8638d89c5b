// A peer of `benches/run pairs`: the operations that pairs use, as herald's schema names them, on graphql-yoga,
// graphql-ws and better-sqlite3. Each change is one transaction that is on the disk (WAL, `synchronous=FULL`) before it
// is answered. News goes through memory. Started with a port and a database file.
//
// What herald does beyond this is absent: a log of events to resume from, rate limits, sessions that end, passwords.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import Database from "better-sqlite3";
import { GraphQLError } from "graphql";
import { createPubSub, createSchema, createYoga } from "graphql-yoga";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const [port, file] = process.argv.slice(2);
const beside = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

const database = new Database(file);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(beside("tables.sql"));

const USER = `SELECT id, handle, display_name AS displayName FROM users`;
const MESSAGE = `SELECT position, id, conversation, sender, body, sent_at AS sentAt FROM messages`;
const sql = {
  addUser: database.prepare(`INSERT INTO users (id, handle, display_name, token) VALUES (?, ?, ?, ?)`),
  userByHandle: database.prepare(`${USER} WHERE handle = ?`),
  userByToken: database.prepare(`${USER} WHERE token = ?`),
  addParticipant: database.prepare(`INSERT OR IGNORE INTO participants (conversation, user) VALUES (?, ?)`),
  participants: database.prepare(`SELECT user FROM participants WHERE conversation = ?`).pluck(),
  addMessage: database.prepare(
    `INSERT INTO messages (id, conversation, sender, body, sent_at, key) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (sender, key) DO NOTHING`,
  ),
  messageById: database.prepare(`${MESSAGE} WHERE id = ?`),
  messageByKey: database.prepare(`${MESSAGE} WHERE sender = ? AND key = ?`),
  mark: database.prepare(
    `UPDATE participants SET delivered = @position
     WHERE conversation = @conversation AND user = @user AND delivered < @position`,
  ),
  undelivered: database.prepare(
    `SELECT count(*) FROM participants
     WHERE conversation = @conversation AND user <> @sender AND delivered < @position`,
  ).pluck(),
};

const news = createPubSub();

const refuse = (code, text) => new GraphQLError(text, { extensions: { code } });

/** Who signed in with this header; undefined if nobody did. */
function signedIn(authorization) {
  return authorization && sql.userByToken.get(authorization.replace(/^Bearer /, ""));
}

/** The participants of a conversation, of whom the viewer has to be one. */
function participants(conversation, viewer) {
  const users = sql.participants.all(conversation);
  if (!viewer || !users.includes(viewer.id)) throw refuse("NOT_FOUND", "There is no such conversation.");
  return users;
}

const start = database.transaction((users) => {
  const id = `cnv_${randomUUID()}`;
  for (const user of users) sql.addParticipant.run(id, user);
  return id;
});

const Mutation = {
  register(_, { input: { handle, displayName } }) {
    const [id, token] = [`usr_${randomUUID()}`, randomUUID()];
    sql.addUser.run(id, handle, displayName, token);
    return { token, user: { id, handle, displayName } };
  },

  startConversation(_, { input }, { viewer }) {
    const others = input.participantHandles.map((handle) => sql.userByHandle.get(handle).id);
    return { conversation: { id: start([viewer.id, ...others]) } };
  },

  sendMessage(_, { input: { conversationId, body, idempotencyKey } }, { viewer }) {
    const users = participants(conversationId, viewer);
    const [id, sentAt] = [`msg_${randomUUID()}`, new Date().toISOString()];
    const stored = sql.addMessage.run(id, conversationId, viewer.id, body, sentAt, idempotencyKey);
    if (stored.changes === 0) {
      const message = sql.messageByKey.get(viewer.id, idempotencyKey);
      return { cursor: message.position, message: { ...message, sender: viewer } };
    }
    const position = stored.lastInsertRowid;
    const message = { position, id, conversation: conversationId, body, sentAt, sender: viewer };
    for (const user of users) {
      if (user !== viewer.id) news.publish("messageSent", user, { cursor: position, at: sentAt, message });
    }
    return { cursor: position, message };
  },

  markDelivered(_, { input: { messageId } }, { viewer }) {
    const message = sql.messageById.get(messageId);
    const users = participants(message?.conversation, viewer);
    if (message.sender === viewer.id) throw refuse("SENDER_CANNOT_MARK", "The message is the viewer's own.");
    const { conversation, position } = message;
    if (sql.mark.run({ conversation, position, user: viewer.id }).changes > 0) {
      const at = new Date().toISOString();
      const event = { cursor: position, at, status: "DELIVERED", recipient: viewer, message };
      for (const user of users) {
        if (user !== viewer.id) news.publish("statusChanged", user, event);
      }
    }
    return { cursor: position, message };
  },
};

/** A subscription to what is published to the viewer under this name. */
function follow(name) {
  return {
    subscribe: (_, __, { viewer }) => news.subscribe(name, viewer.id),
    resolve: (event) => event,
  };
}

const resolvers = {
  Query: { viewer: (_, __, { viewer }) => viewer },
  Mutation,
  Subscription: { messageSent: follow("messageSent"), statusChanged: follow("statusChanged") },
  Message: {
    status({ conversation, position, sender }) {
      const values = { conversation, position, sender: sender.id ?? sender };
      return sql.undelivered.get(values) === 0 ? "DELIVERED" : "SENT";
    },
  },
};

const yoga = createYoga({
  schema: createSchema({ typeDefs: beside("schema.graphql"), resolvers }),
  context: ({ request, extra }) => ({
    viewer: extra ? extra.viewer : signedIn(request.headers.get("authorization")),
  }),
  graphiql: false,
  landingPage: false,
  logging: "warn",
});

const server = createServer(yoga);
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint });

// As graphql-yoga's manual has it: https://the-guild.dev/graphql/yoga-server/docs/features/subscriptions
useServer(
  {
    onConnect(context) {
      context.extra.viewer = signedIn(context.connectionParams?.authorization);
      return Boolean(context.extra.viewer);
    },
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    async onSubscribe(context, _id, params) {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      });
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
      const errors = validate(args.schema, args.document);
      return errors.length > 0 ? errors : args;
    },
  },
  sockets,
);

server.listen(Number(port), "127.0.0.1");
