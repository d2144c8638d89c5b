/** A chat: sign in, start a conversation, and talk. */

import type { Herald, Line } from 'herald-client';
import { HeraldProvider, useConversation, useConversations, useHeraldState, useMarks, useSend, useUnread } from 'herald-react';
import { type SubmitEvent, useEffect, useState } from 'react';

import { ask, connect, keep, kept, type Session, signIn } from './session.tsx';

interface SignedIn {
  session: Session;
  client: Herald;
}

export function App({ url }: { url: string }) {
  const [signedIn, setSignedIn] = useState<SignedIn>();
  const enter = (session: Session) => {
    keep(session);
    setSignedIn({ session, client: connect(url, session) });
  };
  const leave = () => {
    signedIn?.client.close();
    keep(undefined);
    setSignedIn(undefined);
  };
  if (!signedIn) return <SignIn url={url} onSession={enter} />;
  return (
    <HeraldProvider client={signedIn.client}>
      <Chat url={url} session={signedIn.session} onLeave={leave} />
    </HeraldProvider>
  );
}

/** What was written into a field of a form. The field is empty afterwards. */
function take(event: SubmitEvent<HTMLFormElement>, name: string): string {
  event.preventDefault();
  const field = event.currentTarget.elements.namedItem(name) as HTMLInputElement;
  const { value } = field;
  field.value = '';
  return value;
}

function SignIn({ url, onSession }: { url: string; onSession: (session: Session) => void }) {
  const [failure, setFailure] = useState('');
  useEffect(() => {
    const session = kept();
    if (session) onSession(session);
    // Only at the beginning.
  }, []);
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    const isNew = (event.nativeEvent as globalThis.SubmitEvent).submitter?.getAttribute('name') === 'register';
    signIn(url, take(event, 'handle'), take(event, 'password'), isNew).then(onSession, ({ message }) => setFailure(message));
  };
  return (
    <form onSubmit={submit}>
      <h1>A chat on herald</h1>
      <label>Handle <input name="handle" autoComplete="username" required /></label>{' '}
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>{' '}
      <button>Sign in</button> <button name="register">Register</button>
      <p role="alert">{failure}</p>
    </form>
  );
}

function Chat({ url, session, onLeave }: { url: string; session: Session; onLeave: () => void }) {
  const { conversations, hasMore, loadMore } = useConversations();
  const { messages } = useUnread();
  const { connection, viewer } = useHeraldState();
  const [open, setOpen] = useState<string>();
  const [failure, setFailure] = useState('');
  const start = (event: SubmitEvent<HTMLFormElement>) => {
    const query = 'mutation ($input: StartConversationInput!) { startConversation(input: $input) { conversation { id } } }';
    const input = { participantHandles: [take(event, 'handle')], distinct: true };
    ask(url, query, { input }, session.token).then(
      ({ startConversation: { conversation } }) => setOpen(conversation.id),
      ({ message }) => setFailure(message),
    );
  };
  return (
    <>
      <p>{viewer?.displayName} · {connection} · {messages} unread <button onClick={onLeave}>Sign out</button></p>
      <form onSubmit={start}>
        <label>Talk to <input name="handle" placeholder="their handle" required /></label> <button>Start</button>
        <p role="alert">{failure}</p>
      </form>
      <ul>
        {conversations.map(({ id, title, participants, unreadCount }) => (
          <li key={id}>
            <button onClick={() => setOpen(id)} aria-pressed={id === open}>
              {title ?? participants.filter(({ user }) => user.id !== viewer?.id).map(({ user }) => user.displayName).join(', ')}
              {unreadCount > 0 && ` (${unreadCount})`}
            </button>
          </li>
        ))}
      </ul>
      {hasMore && <button onClick={loadMore}>More</button>}
      {open && <Conversation key={open} id={open} />}
    </>
  );
}

function Conversation({ id }: { id: string }) {
  const { lines, hasEarlier, loadEarlier, isMissing } = useConversation(id);
  const { send } = useSend(id);
  const { seen } = useMarks(id);
  const newest = lines.findLast((line) => line.id)?.id;
  // Here, what is loaded counts as seen.
  useEffect(() => {
    if (newest) seen(newest);
  }, [newest, seen]);
  if (isMissing) return <p>You take no part in it any more.</p>;
  return (
    <section>
      {hasEarlier && <button onClick={loadEarlier}>Earlier</button>}
      <ol>{lines.map((line) => <Message key={line.key} id={id} line={line} />)}</ol>
      <form onSubmit={(event) => void send(take(event, 'body'))}>
        <input name="body" aria-label="Message" autoComplete="off" required /> <button>Send</button>
      </form>
    </section>
  );
}

const TICKS = { FAILED: '!', SENDING: '…', SENT: '✓', DELIVERED: '✓✓', READ: '✓✓ read' };

function Message({ id, line }: { id: string; line: Line }) {
  const { retry, discard } = useSend(id);
  return (
    <li className={line.isMine ? 'mine' : undefined}>
      {line.isMine ? '' : `${line.sender.displayName}: `}
      {line.redactedAt ? <em>redacted</em> : line.body} {line.isMine && TICKS[line.status]}
      {line.failure && (
        <p>
          {line.failure.message} <button onClick={() => retry(line.key)}>Try again</button>{' '}
          <button onClick={() => discard(line.key)}>Discard</button>
        </p>
      )}
    </li>
  );
}
