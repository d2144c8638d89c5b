/** Resumable subscriptions with GraphQL Yoga and SQLite. PORT, DATABASE (a file), KEEPS (events), CHECKPOINT (seconds). */

import { createServer } from 'node:http';

import { useServer } from 'graphql-ws/use/ws';
import { createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';

import { Log } from './log.js';
import { schema } from './schema.js';
import { eventStreams } from './sse.js';

const { PORT = '4000', DATABASE = 'yoga.db', KEEPS = '1000' } = process.env;
const log = new Log(DATABASE, Number(KEEPS));

// `node server.js restored`, after a backup was put back and before the server starts again.
if (process.argv[2] === 'restored') {
  log.beginEpoch();
  process.exit();
}

const tokenOf = (authorization) => /^Bearer (.+)$/.exec(authorization ?? '')?.[1];

const yoga = createYoga({
  schema,
  logging: 'warn',
  plugins: [eventStreams],
  context: ({ request }) => ({
    log,
    token: tokenOf(request.headers.get('authorization')),
    connection: request.headers.get('x-connection-id'),
    lastEventId: request.headers.get('last-event-id'),
    signal: request.signal,
  }),
});

const server = createServer(yoga);
const sockets = useServer(
  {
    schema,
    context: ({ connectionParams, extra }) => {
      const over = new AbortController();
      extra.socket.once('close', () => over.abort());
      const { authorization, connectionId } = connectionParams ?? {};
      return { log, token: tokenOf(authorization), connection: connectionId, signal: over.signal };
    },
    // A cursor that is of use for all that happens on this connection.
    onConnect: () => ({ cursor: log.cursorOf(log.end()) }),
  },
  new WebSocketServer({ server, path: '/graphql' }),
);

process.once('SIGTERM', async () => {
  // Sockets are closed with 1001, streams break off: both mean to come again.
  await sockets.dispose();
  server.closeAllConnections();
  process.exit();
});

server.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/graphql`));
