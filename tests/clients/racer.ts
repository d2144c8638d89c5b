/** The documented conversation without a cache, to be raced over one transport. */

import { setTimeout as pause } from 'node:timers/promises';

import { Conversation, type Transport } from '../../examples/plain/conversation.ts';
import type { Racer } from './race.ts';
import { MARK_DELIVERED } from './user.ts';

/** How a library talks to herald: `ask` may lose an answer, and tells that from one that refuses. */
interface Voice extends Transport {
  isLost(cause: unknown): boolean;
  leave(): unknown;
}

const AGAIN = /* GraphQL */ `
  query PlainAgain($id: ID!) {
    conversation(id: $id) {
      messages(last: 50) { nodes { id body sentAt status deliveredCount readCount sender { handle } } }
    }
  }
`;

export function racer({ ask, follow, isLost, leave }: Voice): Racer {
  const open = new Map<string, Conversation>();
  let refused: unknown;

  /** Asks until there is an answer. That is harmless for a query, a mark, and a send with a key. */
  async function askForSure(query: string, variables: object): Promise<any> {
    for (;;) {
      try {
        return await ask(query, variables);
      } catch (cause) {
        if (!isLost(cause)) throw cause;
      }
      await pause(20);
    }
  }

  return {
    open: (id) => new Promise<void>((resolve, reject) => {
      const conversation = new Conversation({ ask: askForSure, follow }, id, resolve);
      open.set(id, conversation);
      conversation.follow().catch((cause) => reject((refused = cause)));
    }),
    // Who comes back begins with a snapshot, and with nothing else.
    close: (id) => open.delete(id),
    async refetch(id) {
      await open.get(id)?.take(ask(AGAIN, { id }).then(({ conversation }) => conversation.messages.nodes));
    },
    send: (id, body) => open.get(id)!.send(body),
    async markDelivered(messageId) {
      const marked = ask(MARK_DELIVERED, { input: { messageId } });
      const [conversation] = open.values();
      await conversation!.take(marked.then(({ markDelivered }) => [{ id: messageId, ...markDelivered.message }]));
    },
    shown(id) {
      if (refused) throw refused;
      return open.get(id)?.messages ?? [];
    },
    leave,
  };
}
