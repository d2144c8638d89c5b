/** What a chat on herald shows, without a framework. herald-react and herald-vue are built on it. */

export { Herald } from './herald.ts';
export type {
  Conversation, ConversationList, Line, OpenConversation, State, Ticks, Unread, User,
} from './model.ts';
export type { HeraldOptions } from './options.ts';
export type { View } from './view.ts';
