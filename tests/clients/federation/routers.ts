/** The routers: Hive Gateway, over HTTP and WebSocket, and Apollo's gateway for Node, in the process of the test. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloGateway, RemoteGraphQLDataSource } from '@apollo/gateway';
import { createGatewayRuntime, type GatewayPlugin, getGraphQLWSOptions } from '@graphql-hive/gateway-runtime';
import http from '@graphql-mesh/transport-http';
import ws from '@graphql-mesh/transport-ws';
import { parse } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

import type { Variables } from '../connection.ts';

/**
 * What Hive Gateway passes on to herald. Its `context.headers` are those of a request and, over WebSocket, the payload
 * of `connection_init`.
 */
const HEADERS: [string, string][] = [
  ['authorization', '{context.headers.authorization}'],
  ['x-connection-id', '{context.headers.x-connection-id}'],
  ['x-act-as', '{context.headers.x-act-as}'],
];

const SOCKET = {
  kind: 'ws',
  options: {
    connectionParams: {
      authorization: '{context.headers.authorization}',
      connectionId: '{context.headers.x-connection-id}',
      actAs: '{context.headers.x-act-as}',
    },
  },
};

export interface Router {
  port: number;
  http: string;
  socket: string;
  close(): Promise<void>;
}

/** How the router follows herald. */
export type Upstream = 'websocket' | 'server-sent events';

/** Starts Hive Gateway, on a port if one is given. */
export async function hive(
  supergraph: string,
  upstream: Upstream,
  { port = 0, plugins = [] }: { port?: number; plugins?: GatewayPlugin[] } = {},
): Promise<Router> {
  const gateway = createGatewayRuntime({
    supergraph,
    transports: { http, ws },
    transportEntries: {
      herald: { headers: HEADERS, options: upstream === 'websocket' ? { subscriptions: SOCKET } : {} },
    },
    plugins: () => plugins,
    maskedErrors: false,
    logging: false,
  });
  // Otherwise it knows its schema only after the first request over HTTP.
  await gateway.getSchema();
  const server = createServer(gateway);
  const sockets = new WebSocketServer({ server, path: '/graphql' });
  useServer(getGraphQLWSOptions(gateway, ({ extra }) => ({ req: (extra as { request: object }).request })), sockets);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
  return {
    port: (server.address() as AddressInfo).port,
    http: `http://${address}`,
    socket: `ws://${address}`,
    async close() {
      sockets.clients.forEach((socket) => socket.terminate());
      sockets.close();
      server.close();
      server.closeAllConnections();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

/** Apollo's gateway, asked as Apollo Server asks it: what executes queries and mutations for somebody. */
export async function apollo(supergraphSdl: string) {
  const gateway = new ApolloGateway({
    supergraphSdl,
    buildService: ({ url }) =>
      new RemoteGraphQLDataSource<{ authorization?: string }>({
        url: url!,
        willSendRequest({ request, context }) {
          if (context.authorization) request.http?.headers.set('authorization', context.authorization);
        },
      }),
  });
  const { schema, executor } = await gateway.load();
  const ask = async (query: string, variables: Variables, authorization: string) => {
    const context = {
      ...{ schema, source: query, queryHash: query, document: parse(query), operationName: null },
      ...{ request: { query, variables }, context: { authorization }, cache: new Map() },
      ...{ metrics: {}, overallCachePolicy: {} },
    };
    // What else Apollo Server puts there serves its plugins and caches.
    const { data, errors } = await executor(context as unknown as Parameters<typeof executor>[0]);
    if (errors?.length) throw errors;
    return data;
  };
  return { ask, stop: () => gateway.stop() };
}
