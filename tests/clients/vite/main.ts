/** An app that uses the examples, as far as a compiler is concerned. */

import { Conversation } from '../../../examples/plain/conversation.ts';
import { CONVERSATION, connect, follow, show, snapshot } from './generated/apollo.ts';

const apollo = connect({ http: '/graphql', socket: '/graphql', token: 'a token', connectionId: 'laptop' });
const id = 'cnv_1';
const { data } = await apollo.query({ query: CONVERSATION, variables: { id } });
console.log(data, await snapshot(apollo, id));
follow(apollo, id).subscribe((event) => {
  if (event.__typename === 'MessageSent') show(apollo.cache, id, event.message);
});

const conversation = new Conversation({ ask: fetch, async *follow() {} }, id, () => console.log(conversation.messages));
await conversation.send('Tea at four?');
