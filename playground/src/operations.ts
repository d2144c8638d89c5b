/** Every operation of the chat. `npm run generate` checks them against herald's schema and types them. */

import { graphql } from '../generated';

graphql(`fragment Person on User { id handle displayName }`);

graphql(`fragment Progress on Message { id status deliveredCount readCount sharingCount recipientCount }`);

graphql(`fragment Line on Message {
  ...Progress body sentAt redactedAt
  sender { ...Person }
  conversation { id }
}`);

graphql(`fragment Place on PageInfo { hasPreviousPage hasNextPage startCursor endCursor }`);

graphql(`fragment About on Conversation {
  id title createdAt unreadCount
  participants(first: 50) { nodes { user { ...Person } } pageInfo { hasNextPage } }
}`);

// ---- Who is signed in. The token in the answers is not selected: a page has the cookie that comes with them.

export const VIEWER = graphql(`query Viewer { viewer { ...Person } }`);
export const REGISTER = graphql(`mutation Register($input: RegisterInput!) {
  register(input: $input) { user { ...Person } }
}`);
export const LOGIN = graphql(`mutation Login($input: LoginInput!) { login(input: $input) { user { ...Person } } }`);
export const LOGOUT = graphql(`mutation Logout { logout { ended } }`);

// ---- What is shown

/** The snapshot. Everything that its answer may not show yet comes after its `cursor`. */
export const CONVERSATIONS = graphql(`query Conversations($after: String) {
  cursor
  viewer { ...Person }
  conversations(first: 30, after: $after) {
    nodes { ...About lastMessage { ...Line } }
    pageInfo { hasNextPage endCursor }
  }
}`);

export const MESSAGES = graphql(`query Messages($id: ID!) {
  conversation(id: $id) {
    ...About
    messages(last: 40) { nodes { ...Line } pageInfo { ...Place } }
  }
}`);

/** Where the viewer stopped reading, as it is now: no event keeps it up to date in the cache. */
export const FIRST_UNREAD = graphql(`query FirstUnread($id: ID!) { conversation(id: $id) { id firstUnread { id cursor } } }`);

/** Over all conversations, also those that are not loaded. */
export const UNREAD_TOTALS = graphql(`query UnreadTotals { unread { messages } }`);

/** Pages around what is shown. Of messages only: of the conversation, events tell what is so, and may overtake this. */
export const OLDER = graphql(`query Older($id: ID!, $last: Int!, $before: String) {
  conversation(id: $id) { id messages(last: $last, before: $before) { nodes { ...Line } pageInfo { ...Place } } }
}`);
export const NEWER = graphql(`query Newer($id: ID!, $first: Int!, $after: String) {
  conversation(id: $id) { id messages(first: $first, after: $after) { nodes { ...Line } pageInfo { ...Place } } }
}`);

export const RECEIPTS = graphql(`query Receipts($id: ID!) {
  message(id: $id) {
    ...Line
    receipts(first: 100) {
      nodes { isShared status deliveredAt readAt undeliverable { at reason } recipient { ...Person } }
      pageInfo { hasNextPage }
    }
  }
}`);

// ---- What is done

export const START = graphql(`mutation Start($input: StartConversationInput!) {
  startConversation(input: $input) { conversation { ...About lastMessage { ...Line } } }
}`);
export const ADD = graphql(`mutation Add($input: ParticipantsInput!) {
  addParticipants(input: $input) { conversation { ...About } }
}`);
export const RENAME = graphql(`mutation Rename($input: RenameConversationInput!) {
  renameConversation(input: $input) { conversation { id title } }
}`);
export const LEAVE = graphql(`mutation Leave($input: LeaveConversationInput!) {
  leaveConversation(input: $input) { cursor }
}`);
export const SEND = graphql(`mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { message { ...Line } }
}`);
export const MARK_DELIVERED = graphql(`mutation MarkDelivered($input: MarkInput!) {
  markDelivered(input: $input) { message { ...Progress } }
}`);
export const MARK_READ = graphql(`mutation MarkRead($input: MarkInput!) {
  markRead(input: $input) { message { ...Progress conversation { id unreadCount } } }
}`);
/** After a mark whose answer is older than what has come since. */
export const UNREAD = graphql(`query Unread($id: ID!) { conversation(id: $id) { id unreadCount } }`);

// ---- The viewer's own account

graphql(`fragment Sharing on User { id shareDelivered shareRead }`);

export const ACCOUNT = graphql(`query Account {
  viewer { ...Sharing }
  sessions(first: 50) { nodes { id createdAt lastUsedAt isCurrent } }
  blockedUsers(first: 100) { nodes { ...Person } }
}`);
export const UPDATE_PROFILE = graphql(`mutation UpdateProfile($input: ProfileInput!) {
  updateProfile(input: $input) { user { ...Person ...Sharing } }
}`);
export const CHANGE_PASSWORD = graphql(`mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) { expiresAt }
}`);
export const END_SESSION = graphql(`mutation EndSession($input: EndSessionInput!) {
  endSession(input: $input) { ended }
}`);
export const FIND_USER = graphql(`query FindUser($handle: String!) { user(handle: $handle) { ...Person } }`);
export const BLOCK = graphql(`mutation Block($input: BlockInput!) { blockUser(input: $input) { user { id } } }`);
export const UNBLOCK = graphql(`mutation Unblock($input: BlockInput!) { unblockUser(input: $input) { user { id } } }`);

graphql(`fragment Own on OwnParticipation { mutedUntil shareDelivered shareRead }`);

/** What holds in one conversation, whether it was chosen there or in the profile. */
export const OWN = graphql(`query Own($id: ID!) { conversation(id: $id) { id own { ...Own } } }`);
export const UPDATE_OWN = graphql(`mutation UpdateOwn($input: OwnParticipationInput!) {
  updateOwnParticipation(input: $input) { conversation { id own { ...Own } } }
}`);

// ---- What happens

/**
 * Everything, in one order. `unreadCount` is the viewer's own, so herald answers it for each of them; the statuses of
 * a StatusChanged need no more than to be selected: Graphcache knows the messages by their ids.
 */
export const EVENTS = graphql(`subscription Events($after: Cursor!) {
  events(after: $after) {
    __typename cursor at
    ... on MessageSent { message { ...Line } conversation { ...About own { mutedUntil } } }
    ... on StatusChanged {
      status
      recipient { ...Person }
      message { id }
      messages(first: 200) { ...Progress }
      conversation { id unreadCount }
    }
    ... on ConversationStarted { startedBy { ...Person } conversation { ...About } }
    ... on ParticipantsJoined { users { ...Person } addedBy { ...Person } conversation { ...About } }
    ... on ParticipantLeft { user { ...Person } conversation { ...About } }
    ... on ConversationUpdated { updatedBy { ...Person } conversation { ...About } }
    ... on MessageRedacted { message { id body redactedAt } redactedBy { ...Person } conversation { id } }
    ... on ParticipantsRemoved { users { ...Person } removedBy { ...Person } conversation { ...About } }
    ... on ConversationRenamed { title renamedBy { ...Person } conversation { ...About } }
    ... on MessageUndeliverable { reason message { id } recipient { ...Person } conversation { id } }
  }
}`);
