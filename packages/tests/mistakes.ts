/** Mistakes that are planted in examples/yoga, each with the check that has to find it. */

/** A file, what it says, and what it says instead. */
export type Change = [file: string, says: string, instead: string];

export interface Mistake {
  what: string;
  /** The whole name of a check. */
  check: string;
  changes: Change[];
}

const mistake = (what: string, check: string, ...changes: Change[]): Mistake => ({ what, check, changes });

export const MISTAKES: Mistake[] = [
  mistake('after is inclusive', 'after excludes its own event',
    ['log.js', 'WHERE place > ? ORDER', 'WHERE place >= ? ORDER']),
  mistake('Replay is in the order of users', 'the order is the same live and on replay',
    ['log.js', 'ORDER BY place LIMIT', 'ORDER BY user, place LIMIT']),
  mistake('Replay ends at what was the end a moment ago', 'nothing is lost or repeated where replay meets live',
    ['follow.js', 'place = reached;', 'place = log.end();']),
  mistake('What was told last is told again', 'what happened before is told',
    ['follow.js', 'place = reached;', 'place = events.length && (context.twice = !context.twice) ? reached - 1 : reached;']),
  mistake('A long replay stops after a page', 'a long replay is told whole',
    ['log.js', 'events.at(-1)?.place ?? place;', 'this.end();']),
  mistake('What is not kept any more is left out', 'a place that is not kept any more is refused',
    ['log.js', 'if (place < this.end() - this.keeps)', 'if (false)']),
  mistake('What is kept is said to be gone', 'what is kept is told from its beginning',
    ['log.js', 'if (place < this.end() - this.keeps)', 'if (place < this.end() - this.keeps / 2)']),
  mistake('Less is kept than is said', 'what is kept is told from its beginning',
    ['log.js', 'place - this.keeps);', 'place - this.keeps + 10);']),
  mistake('What is no cursor stands for now', 'a word is no cursor',
    ['log.js', `throw new Refusal('CURSOR_INVALID', 'This is no cursor of this server. Take a new snapshot.');`, 'return this.end();']),
  mistake('An empty cursor stands for none', 'an empty text is no cursor',
    ['follow.js', 'after == null ?', '!after ?']),
  mistake('Cursors can be made up', 'a cursor with one character changed is refused',
    ['log.js', '!signature || !timingSafeEqual(Buffer.from(signature), Buffer.from(wanted))', '!signature || !wanted']),
  mistake('A mangled cursor is an error of the server', 'a mangled cursor is no error of the server',
    ['log.js', `throw new Refusal('CURSOR_INVALID', '`, `throw new Error('`]),
  mistake('A code of its own', 'a number is no cursor',
    ['log.js', `'CURSOR_INVALID'`, `'BAD_USER_INPUT'`]),
  mistake('Refusals have no code', 'a mangled cursor is refused',
    ['log.js', '{ extensions: { code } }', '{}']),
  mistake('A refusal is told as an event', 'a refused cursor does not end the socket',
    ['schema.js', 'events: { subscribe: (_, args, context) => subscribe(context, args), resolve: (event) => event }', `events: {
        async *subscribe(_, args, context) {
          try { yield* subscribe(context, args); } catch (cause) { yield cause; }
        },
        resolve: (event) => event,
      }`]),
  mistake('A backup begins no epoch', 'a cursor of an epoch that has ended is refused',
    ['log.js', `if (epoch !== this.#setting('epoch'))`, 'if (false)']),
  mistake('Each start begins an epoch', 'a cursor is of use after a restart',
    ['server.js', 'const log = new Log(DATABASE, Number(KEEPS));', 'const log = new Log(DATABASE, Number(KEEPS));\nlog.beginEpoch();']),
  mistake('The log is in memory', 'an event that was told survives a crash',
    ['log.js', 'new Database(file)', `new Database(':memory:')`]),
  mistake('Two events share a cursor', 'cursors differ',
    ['log.js', `\`\${this.#setting('epoch')}-\${place}\``, `\`\${this.#setting('epoch')}-\${place - (place % 2)}\``]),
  mistake('Everybody is told everything', 'a cursor grants nothing',
    ['log.js', 'events.filter((event) => this.wasIn(event.room, viewer, event.place))', 'events']),
  mistake('Rooms mix', 'nothing of other rooms is told',
    ['follow.js', '(!room || String(event.room) === room)', '(!room || true)']),
  mistake('Replay asks who is in the room now', 'whoever has left is told no more, live or on replay',
    ['log.js', '(until IS NULL OR until >= ?)\', room, user, place, place', '(until IS NULL OR until >= ?)\', room, user, place, 1e15']),
  mistake('Whoever joins is told what was before, on replay', 'whoever joins in the middle is told the same live and on replay',
    ['log.js', 'AND since <= ? AND (', 'AND since <= ? + 1000000 AND (']),
  mistake('Strangers follow, and are told nothing', 'whoever is not in a room is refused it',
    ['follow.js', `if (room && !log.get('SELECT 1 FROM stay WHERE room = ? AND user = ?', room, viewer.id))`, 'if (false)']),
  mistake('A stream goes on when there will be no more', 'a subscription completes when nothing more will be told',
    ['follow.js', 'if (hasLeft()) return;', '']),
  mistake('It is complete before everything is told', 'what was before the end is told before it, also on replay',
    ['follow.js', 'viewerOf(context);\n    const { events', 'viewerOf(context);\n    if (hasLeft()) return;\n    const { events']),
  mistake('What stops, completes', 'a server that stops completes nothing',
    ['follow.js', 'while (!signal.aborted) {', 'while (!signal.aborted && !globalThis.stops) {'],
    ['server.js', 'await sockets.dispose();', `globalThis.stops = true;
  log.wake();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await sockets.dispose();`]),
  mistake('Sockets break when it stops', 'a server that stops closes with 1001',
    ['server.js', 'await sockets.dispose();', 'void sockets;']),
  mistake('A session that has ended goes on', 'a session that ends, ends its subscriptions',
    ['follow.js', '    viewerOf(context);\n', '']),
  mistake('A name silences others', 'a name silences nobody else',
    ['follow.js', '&& event.session === token', '']),
  mistake('A user is told nothing of their other devices', 'other connections of the viewer are told',
    ['follow.js', '&& event.connection === connection', '']),
  mistake('The echo comes on replay', 'on replay its own events are left out, too',
    ['follow.js', 'let previous = after ?? null;', 'let previous = after ?? null;\n  const begin = log.end();'],
    ['follow.js', '!includeOwn && connection', '!includeOwn && event.place > begin && connection']),
  mistake('includeOwn does nothing', 'includeOwn leaves nothing out',
    ['follow.js', '!includeOwn && connection', 'connection']),
  mistake('Silence brings no checkpoint', 'a checkpoint comes when nothing happens',
    ['follow.js', 'if (checkpoints) due = Date.now() + CHECKPOINT;', 'due = Infinity;']),
  mistake('A checkpoint comes before what it includes', 'a checkpoint does not come before what it includes',
    ['follow.js', 'cursor: log.cursorOf(place) });', 'cursor: log.cursorOf(log.end() + 1) });']),
  mistake('A checkpoint says too early that it has caught up', 'a checkpoint says that replay has caught up',
    ['follow.js', '    viewerOf(context);\n', `    viewerOf(context);
    if (Date.now() >= due) yield told({ kind: 'Checkpoint', caughtUp: true, cursor: log.cursorOf(place) });\n`]),
  mistake('Checkpoints come unasked', 'no checkpoint comes where none is asked for',
    ['follow.js', 'checkpoints ? Date.now() : Infinity', 'Date.now()']),
  mistake('previous is the place before, told or not', 'previous leaves out what was not told',
    ['follow.js', 'previous: before };', 'previous: event.place ? log.cursorOf(event.place - 1) : before };']),
  mistake('previous stays behind', 'previous is the cursor before',
    ['follow.js', '    previous = event.cursor;\n', '    previous ??= event.cursor;\n']),
  mistake('previous begins with null', 'previous begins with after, as it was written',
    ['follow.js', 'let previous = after ?? null;', 'let previous = null;']),
  mistake('The cursor is read after the rest of the snapshot', 'the snapshot includes what is before its cursor',
    ['schema.js', 'cursor: (_, __, { log }) => log.cursorOf(log.end()),',
      'cursor: async (_, __, { log }) => (await new Promise((resolve) => setTimeout(resolve, 30)), log.cursorOf(log.end())),']),
  mistake('Everything may be cached', 'a snapshot is not for shared caches',
    ['server.js', 'createServer(yoga)', `createServer((request, response) => {
  response.setHeader('cache-control', 'public, max-age=60');
  return yoga(request, response);
})`]),
  mistake('Events have no id', 'id is the cursor',
    ['sse.js', '${event ? `id: ${event.cursor}\\n` : \'\'}', '']),
  mistake('Last-Event-ID counts after after', 'Last-Event-ID counts before after',
    ['follow.js', 'lastEventId ?? asked', 'asked ?? lastEventId']),
  mistake('An EventSource comes back for ever', 'an EventSource that comes back after complete gets 204',
    ['sse.js', 'if (finished.has(request))', 'if (false && finished)']),
  mistake('A stream has no heartbeat', 'comments keep a stream alive',
    ['sse.js', 'setInterval(sign, HEARTBEAT)', 'setInterval(sign, 1_000 * HEARTBEAT)']),
  mistake('The cursor of connection_ack is too far', 'the cursor of connection_ack is of use',
    ['server.js', 'cursor: log.cursorOf(log.end())', 'cursor: log.cursorOf(log.end() + 2)']),
  mistake('after may not be left out', 'after is a nullable scalar',
    ['schema.js', `      after: Cursor\n      room: ID\n`, `      after: Cursor!\n      room: ID\n`]),
  mistake('A cursor may be null', 'cursor is a non-null scalar of the type of after',
    ['schema.js', `    "Subscribe after it to go on from here."\n    cursor: Cursor!`, `    "Subscribe after it to go on from here."\n    cursor: Cursor`]),
];
