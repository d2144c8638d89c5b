CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY,
  handle TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  token TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- `delivered` is the position of the newest message that the user has received.
CREATE TABLE IF NOT EXISTS participants (
  conversation TEXT NOT NULL,
  user TEXT NOT NULL,
  delivered INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS messages (
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  conversation TEXT NOT NULL,
  sender TEXT NOT NULL,
  body TEXT NOT NULL,
  sent_at TEXT NOT NULL,
  key TEXT,
  UNIQUE (sender, key)
) STRICT;

CREATE INDEX IF NOT EXISTS messages_of_a_conversation ON messages (conversation, position);
