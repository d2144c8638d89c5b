/** Two small services beside herald, which refer to its types by their keys, and the supergraph of all three. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { composeServices } from '@apollo/composition';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { type GraphQLSchema, parse } from 'graphql';
import { createHandler } from 'graphql-http/lib/use/http';

const LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])';

/** Adds a field to herald's users, and has bookmarks of what is in herald. */
const AVATARS = /* GraphQL */ `
  ${LINK}
  type User @key(fields: "id") {
    id: ID!
    avatarUrl: String!
  }
  type Conversation @key(fields: "id", resolvable: false) { id: ID! }
  type Message @key(fields: "id", resolvable: false) { id: ID! }
  union Thing = User | Conversation | Message
  type Bookmarks { nodes: [Thing]! pageInfo: PageInfo! }
  type PageInfo @shareable {
    hasPreviousPage: Boolean!
    hasNextPage: Boolean!
    startCursor: String
    endCursor: String
  }
  type Query { bookmarks(ids: [ID!]!): Bookmarks! }
`;

const TYPES: Record<string, string> = { usr: 'User', cnv: 'Conversation', msg: 'Message' };

const avatars = {
  User: { avatarUrl: ({ id }: { id: string }) => `https://avatars.example/${id}.png` },
  Thing: { __resolveType: ({ id }: { id: string }) => TYPES[id.slice(0, 3)] },
  Query: {
    bookmarks: (_: unknown, { ids }: { ids: string[] }) => ({
      nodes: ids.map((id) => ({ id })),
      pageInfo: { hasPreviousPage: false, hasNextPage: false },
    }),
  },
};

/** Knows herald's users by the ids that it gave them itself. */
const SHOP = /* GraphQL */ `
  ${LINK}
  type User @key(fields: "externalId", resolvable: false) { externalId: String }
  type Order { number: Int! customer: User }
  type Query { order(customer: String!): Order! }
`;

const shop = {
  Query: {
    order: (_: unknown, { customer }: { customer: string }) => ({ number: 7, customer: { externalId: customer } }),
  },
};

/** What composition says about herald's subgraph and the two others. */
export function compose(sdl: string, urls: { herald: string; avatars: string; shop: string }) {
  return composeServices([
    { name: 'herald', url: urls.herald, typeDefs: parse(sdl) },
    { name: 'avatars', url: urls.avatars, typeDefs: parse(AVATARS) },
    { name: 'shop', url: urls.shop, typeDefs: parse(SHOP) },
  ]);
}

export interface Subgraphs {
  supergraph: string;
  close(): void;
}

/** Serves the two, beside the herald with this subgraph at this address. */
export async function serve(sdl: string, herald: string): Promise<Subgraphs> {
  const servers = await Promise.all([listen(AVATARS, avatars), listen(SHOP, shop)]);
  const [avatarsUrl, shopUrl] = servers.map(({ url }) => url) as [string, string];
  const { supergraphSdl, errors } = compose(sdl, { herald, avatars: avatarsUrl, shop: shopUrl });
  if (!supergraphSdl) throw new Error(errors?.join('\n'));
  return { supergraph: supergraphSdl, close: () => servers.forEach(({ close }) => close()) };
}

async function listen(typeDefs: string, resolvers: object) {
  const module = { typeDefs: parse(typeDefs), resolvers } as Parameters<typeof buildSubgraphSchema>[0];
  const schema: GraphQLSchema = buildSubgraphSchema(module);
  const server = createServer(createHandler({ schema }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}/`, close };
}
