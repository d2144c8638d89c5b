/** One subscription: it reads the log, and waits at its end. There is no queue that could overflow. */

import { Refusal } from './log.js';
import { viewerOf } from './schema.js';

/** The longest time without an event or a checkpoint, in milliseconds. */
const CHECKPOINT = 1_000 * Number(process.env.CHECKPOINT ?? 60);

async function* follow(context, { after: asked, room, kind, checkpoints, includeOwn }) {
  const { log, signal, connection, token, lastEventId } = context;
  const viewer = viewerOf(context);
  // An EventSource comes back with the URL that it began with, and says here how far it came.
  const after = lastEventId ?? asked;
  let place = after == null ? log.end() : log.placeOf(String(after));
  if (room && !log.get('SELECT 1 FROM stay WHERE room = ? AND user = ?', room, viewer.id)) {
    throw new Refusal('NOT_FOUND', 'There is no such room, or you are not in it.');
  }
  let previous = after ?? null;
  let due = checkpoints ? Date.now() : Infinity;
  const told = (event) => {
    const before = previous;
    previous = event.cursor;
    if (checkpoints) due = Date.now() + CHECKPOINT;
    return { ...event, previous: before };
  };
  const isOwn = (event) => !includeOwn && connection && event.connection === connection && event.session === token;
  const isWanted = (event) => (!room || String(event.room) === room) && (!kind || event.kind === kind) && !isOwn(event);
  const hasLeft = () => room && !log.get('SELECT 1 FROM stay WHERE room = ? AND user = ? AND until IS NULL', room, viewer.id);
  while (!signal.aborted) {
    viewerOf(context);
    const { events, reached } = log.after(place, viewer.id);
    for (const event of events) {
      if (isWanted(event)) yield told({ ...event, cursor: log.cursorOf(event.place) });
    }
    place = reached;
    // Nothing is awaited from here to the end where nothing is told: so nothing is committed between.
    if (place < log.end()) continue;
    if (hasLeft()) return;
    if (Date.now() >= due) yield told({ kind: 'Checkpoint', caughtUp: true, cursor: log.cursorOf(place) });
    if (place === log.end()) await log.news(due - Date.now(), signal);
  }
}

/** The requests of an EventSource that comes back to what is over. */
export const finished = new WeakSet();

export function subscribe(context, args) {
  if (isOver(context, args)) finished.add(context.request);
  return follow(context, args);
}

/** Everything was told, and there will be no more. Without the 204 an EventSource would come back for ever. */
function isOver({ log, token, lastEventId }, { room }) {
  if (!lastEventId || !room || !token) return false;
  const viewer = viewerOf({ log, token });
  const stays = log.all('SELECT until FROM stay WHERE room = ? AND user = ?', room, viewer.id);
  const place = log.placeOf(lastEventId);
  return stays.length > 0 && stays.every(({ until }) => until !== null && until <= place);
}
