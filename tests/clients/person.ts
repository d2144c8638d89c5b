/** The person of the scenario, where the library takes documents as they are and gives what herald answers. */

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import type { Variables } from './connection.ts';
import type {
  EventsSubscription,
  HistoryQuery,
  MarkDeliveredMutation,
  MarkReadMutation,
  SendMutation,
} from './generated/graphql.ts';
import type { Person } from './scenario.ts';
import { MARK_DELIVERED, MARK_READ, SEND } from './user.ts';

/** What the person does with the library. */
export interface Voice {
  /** A query or a mutation: its data. */
  ask<D>(query: string, variables: Variables): Promise<D>;
  /** Whether what `ask` rejected with means that no answer came, rather than one that refuses. */
  isLost(cause: unknown): boolean;
  /** Every event once and in order, through lost connections. */
  follow(query: string, variables: { after: string; conversationId: string }): AsyncGenerator<Event, void>;
  leave(): void | Promise<void>;
}

type Event = EventsSubscription['events'];

const HISTORY = /* GraphQL */ `
  query History($conversationId: ID!, $size: Int!, $before: String) {
    cursor
    conversation(id: $conversationId) {
      messages(last: $size, before: $before) { nodes { body } pageInfo { hasPreviousPage startCursor } }
    }
  }
`;

const EVENTS = /* GraphQL */ `
  subscription Events($after: Cursor!, $conversationId: ID!) {
    events(after: $after, conversationId: $conversationId) {
      __typename
      cursor
      ... on MessageSent { message { body } }
      ... on StatusChanged { status message { id } }
    }
  }
`;

export function person(voice: Voice): Person {
  /** Asks until there is an answer. That is harmless for a query, a mark, and a send with a key. */
  async function ask<D>(query: string, variables: Variables): Promise<D> {
    for (;;) {
      try {
        return await voice.ask<D>(query, variables);
      } catch (cause) {
        if (!voice.isLost(cause)) throw cause;
      }
      await pause(20);
    }
  }

  return {
    async history(conversationId, size) {
      const bodies: string[] = [];
      for (let before: string | null | undefined; ; ) {
        const { conversation } = await ask<HistoryQuery>(HISTORY, { conversationId, size, before });
        const { nodes, pageInfo } = conversation!.messages;
        bodies.unshift(...nodes.map(({ body }) => body));
        if (!pageInfo.hasPreviousPage) return bodies;
        before = pageInfo.startCursor;
      }
    },
    async send(conversationId, body) {
      const input = { conversationId, body, idempotencyKey: randomUUID() };
      return (await ask<SendMutation>(SEND, { input })).sendMessage.message;
    },
    async markDelivered(messageId) {
      return (await ask<MarkDeliveredMutation>(MARK_DELIVERED, { input: { messageId } })).markDelivered.message.status;
    },
    async markRead(messageId) {
      return (await ask<MarkReadMutation>(MARK_READ, { input: { messageId } })).markRead.message.status;
    },
    async follow(conversationId, see) {
      const { cursor } = await ask<HistoryQuery>(HISTORY, { conversationId, size: 1 });
      void (async () => {
        for await (const event of voice.follow(EVENTS, { after: cursor, conversationId })) {
          if (event.__typename === 'MessageSent') see({ said: event.message.body });
          if (event.__typename === 'StatusChanged') see({ status: event.status, messageId: event.message.id });
        }
      })();
    },
    leave: () => voice.leave(),
  };
}
