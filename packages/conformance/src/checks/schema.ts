/** What the schema says: sections 2 and 3. */

import { jsonOf, open } from '../http.ts';
import { type Check, expect, type World } from '../check.ts';

const INTROSPECTION = `{ __schema {
  queryType { name } subscriptionType { name }
  types { name kind fields { name description type { ...T } args { name description type { ...T } } } }
} }
fragment T on __Type { name kind ofType { name kind ofType { name kind } } }`;

async function schemaOf({ server, owner }: World): Promise<any> {
  const peer = server.peer(owner);
  const { data, errors } = await jsonOf(await open(peer.http, { headers: { accept: 'application/json', ...peer.headers }, body: { query: INTROSPECTION } }));
  expect(data, `introspection is refused: ${JSON.stringify(errors)}`);
  return data.__schema;
}

/** The field of the mapping's subscription, and the type that it tells. */
async function fieldOf(world: World): Promise<{ schema: any; field: any; type: any }> {
  const schema = await schemaOf(world);
  const name = /\{\s*(?:\w+\s*:\s*)?(\w+)/.exec(world.server.mapping.operations.events.query.replace(/\([^)]*\)\s*\{/, '{'))?.[1];
  const field = typeOf(schema, schema.subscriptionType.name).fields.find((field: any) => field.name === name);
  expect(field, `the subscription type has no field ${name}`);
  return { schema, field, type: typeOf(schema, inner(field.type).name) };
}

const typeOf = (schema: any, name: string) => schema.types.find((type: any) => type.name === name);
const inner = (type: any): any => (type.ofType ? inner(type.ofType) : type);

export const schema: Check[] = [
  {
    name: 'after is a nullable scalar',
    rule: 'S1',
    over: ['websocket'],
    async run(world) {
      const { field } = await fieldOf(world);
      const after = field.args.find(({ name }: any) => name === world.server.names.after);
      expect(after, `${field.name} has no argument ${world.server.names.after}`);
      expect(after.type.kind === 'SCALAR', `${world.server.names.after} is ${after.type.kind}, and not a nullable scalar`);
    },
  },
  {
    name: 'cursor is a non-null scalar of the type of after',
    rule: 'S2',
    over: ['websocket'],
    async run(world) {
      const { field, type } = await fieldOf(world);
      expect(['OBJECT', 'INTERFACE'].includes(type.kind), `${type.name} is ${type.kind}, and neither an object type nor an interface`);
      const cursor = type.fields.find(({ name }: any) => name === world.server.names.cursor);
      const after = field.args.find(({ name }: any) => name === world.server.names.after);
      expect(cursor, `${type.name} has no field ${world.server.names.cursor}`);
      expect(cursor.type.kind === 'NON_NULL', 'the cursor of an event may be null');
      expect(inner(cursor.type).name === inner(after.type).name, `cursor is ${inner(cursor.type).name}, and after is ${inner(after.type).name}`);
    },
  },
  {
    name: 'previous is a nullable field beside cursor',
    rule: 'P1',
    over: ['websocket'],
    unless: ({ options }) => !options?.previous && 'the server has no previous',
    async run(world) {
      const { type } = await fieldOf(world);
      const previous = type.fields.find(({ name }: any) => name === world.server.names.previous);
      expect(previous, `${type.name} has no field ${world.server.names.previous}`);
      expect(previous.type.kind === 'SCALAR', 'previous is not nullable');
    },
  },
  {
    name: 'the schema describes after and cursor',
    rule: 'section 1',
    over: ['websocket'],
    async run(world) {
      const { field, type } = await fieldOf(world);
      const cursor = type.fields.find(({ name }: any) => name === world.server.names.cursor);
      const after = field.args.find(({ name }: any) => name === world.server.names.after);
      expect(after.description || field.description, `neither ${field.name} nor its argument ${after.name} is described`);
      expect(cursor.description, `${type.name}.${cursor.name} is not described`);
    },
  },
  {
    name: 'a query gives a cursor',
    rule: 'S4',
    over: ['websocket'],
    async run(world) {
      expect(typeof (await world.cursor()) === 'string', 'the snapshot has no cursor');
    },
  },
  {
    name: 'the answer to a mutation has a cursor',
    rule: 'S5',
    isAdvice: true,
    over: ['websocket'],
    async run(world) {
      expect(typeof (await world.say('one')) === 'string', 'the payload has no cursor');
    },
  },
  {
    name: 'the cursor of a mutation includes what it did',
    rule: 'S5',
    unless: ({ operations }) => !operations.say.read?.['cursor'] && 'mutations have no cursor',
    async run(world) {
      const after = await world.say('one');
      const stream = world.follow({ after });
      await world.say('two');
      const texts = await stream.textsUntil('two');
      expect(texts.length === 1, `after the mutation's cursor, ${JSON.stringify(texts)} is told`);
    },
  },
  {
    name: 'a cursor is short and needs no escaping',
    rule: 'C6',
    isAdvice: true,
    over: ['websocket'],
    async run(world) {
      const stream = await world.followNow();
      await world.say('one');
      await stream.textsUntil('one');
      for (const cursor of [await world.cursor(), stream.told[0]!.cursor]) {
        expect(/^[\w.~-]{1,256}$/.test(cursor), `${cursor.slice(0, 300)} is too long, or needs escaping`);
      }
    },
  },
];
