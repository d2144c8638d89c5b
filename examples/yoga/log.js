/** The log: what happened, in one order, in SQLite. It is cut off behind: only the newest events are kept. */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { EventEmitter } from 'node:events';

import Database from 'better-sqlite3';
import { GraphQLError } from 'graphql';

const TABLES = `
  CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS user (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS session (token TEXT PRIMARY KEY, user INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS room (id INTEGER PRIMARY KEY);
  -- Somebody is in a room from one place to another.
  CREATE TABLE IF NOT EXISTS stay (room INTEGER NOT NULL, user INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER);
  CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, room INTEGER NOT NULL, text TEXT NOT NULL);
  -- AUTOINCREMENT: the place of what was removed is never given again.
  CREATE TABLE IF NOT EXISTS event (
    place INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, room INTEGER NOT NULL, user INTEGER NOT NULL, text TEXT,
    session TEXT, connection TEXT
  );
`;

/** A GraphQL error, so that clients are told its code and its message. */
export class Refusal extends GraphQLError {
  constructor(code, message) {
    super(message, { extensions: { code } });
  }
}

export class Log {
  /** Tells that something was committed. */
  #news = new EventEmitter().setMaxListeners(0);

  constructor(file, keeps) {
    this.keeps = keeps;
    this.db = new Database(file);
    // An event is on the disk before anybody is told of it.
    this.db.pragma('journal_mode = WAL');
    this.db.pragma('synchronous = FULL');
    this.db.exec(TABLES);
    this.db.prepare("INSERT OR IGNORE INTO setting VALUES ('key', ?), ('epoch', ?)")
      .run(randomBytes(32).toString('hex'), randomBytes(6).toString('hex'));
  }

  #setting(name) {
    return this.get('SELECT value FROM setting WHERE name = ?', name).value;
  }

  get(sql, ...values) {
    return this.db.prepare(sql).get(...values);
  }

  all(sql, ...values) {
    return this.db.prepare(sql).all(...values);
  }

  run(sql, ...values) {
    return this.db.prepare(sql).run(...values).lastInsertRowid;
  }

  /** The place of the newest event, also if it was removed. */
  end() {
    return this.get("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?.seq ?? 0;
  }

  /** Does something and writes what happened, both or nothing. Returns the cursor behind it. */
  commit(event, work = () => {}) {
    const { kind, room, user, text = null, session = null, connection = null } = event;
    const place = this.db.transaction(() => {
      const place = this.run('INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?)', kind, room, user, text, session, connection);
      work(place);
      this.run('DELETE FROM event WHERE place <= ?', place - this.keeps);
      return place;
    }).immediate();
    this.#news.emit('news');
    return this.cursorOf(place);
  }

  /** The events behind a place that a viewer may see, oldest first, and how far that reaches. */
  after(place, viewer, most = 100) {
    if (place < this.end() - this.keeps) throw new Refusal('CURSOR_EXPIRED', 'What was behind this cursor is not kept any more.');
    const events = this.all('SELECT * FROM event WHERE place > ? ORDER BY place LIMIT ?', place, most);
    const reached = events.at(-1)?.place ?? place;
    return { events: events.filter((event) => this.wasIn(event.room, viewer, event.place)), reached };
  }

  /** Whether somebody was in a room at a place: at its beginning and its end, too. */
  wasIn(room, user, place) {
    return Boolean(this.get(
      'SELECT 1 FROM stay WHERE room = ? AND user = ? AND since <= ? AND (until IS NULL OR until >= ?)', room, user, place, place,
    ));
  }

  /** Resolves when something was committed, after so many milliseconds, or when the signal aborts. */
  news(milliseconds, signal) {
    return new Promise((resolve) => {
      const over = () => {
        clearTimeout(timer);
        this.#news.off('news', over);
        signal.removeEventListener('abort', over);
        resolve();
      };
      const timer = setTimeout(over, Math.min(milliseconds, 60_000));
      this.#news.on('news', over);
      signal.addEventListener('abort', over);
    });
  }

  /** Wakes whoever waits. */
  wake() {
    this.#news.emit('news');
  }

  /** A cursor is a place and an epoch, signed: nobody makes one up, and none of another log is taken. */
  cursorOf(place) {
    const text = `${this.#setting('epoch')}-${place}`;
    return `${text}-${this.#sign(text)}`;
  }

  placeOf(cursor) {
    const [, epoch, place, signature] = /^([0-9a-f]{12})-([0-9]{1,15})-([0-9a-f]{24})$/.exec(cursor) ?? [];
    const wanted = this.#sign(`${epoch}-${place}`);
    if (!signature || !timingSafeEqual(Buffer.from(signature), Buffer.from(wanted))) {
      throw new Refusal('CURSOR_INVALID', 'This is no cursor of this server. Take a new snapshot.');
    }
    if (epoch !== this.#setting('epoch')) throw new Refusal('CURSOR_EXPIRED', 'The log has gone back. Take a new snapshot.');
    return Number(place);
  }

  #sign(text) {
    return createHmac('sha256', this.#setting('key')).update(text).digest('hex').slice(0, 24);
  }

  /** To be called after a backup was put back: every cursor of before is refused from then on. */
  beginEpoch() {
    this.run("UPDATE setting SET value = ? WHERE name = 'epoch'", randomBytes(6).toString('hex'));
  }
}
