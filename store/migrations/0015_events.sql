-- A callback may report an event of an account instead of the end of a task. SQLite cannot take NOT NULL from a column, and a
-- table that is dropped takes what refers to it along: so both are made anew.

ALTER TABLE callback RENAME TO callback_old;
ALTER TABLE callback_attempt RENAME TO callback_attempt_old;

CREATE TABLE callback (
	id          TEXT PRIMARY KEY, -- the webhook-id; sorts by time
	task_id     TEXT UNIQUE REFERENCES task (id) ON DELETE CASCADE, -- NULL for an event
	event       TEXT NOT NULL DEFAULT '', -- its code; empty for a task
	url         TEXT NOT NULL,
	destination TEXT NOT NULL, -- scheme, host and port of url
	body        BLOB NOT NULL,
	state       TEXT NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sending', 'delivered', 'dead')),
	attempt     INTEGER NOT NULL DEFAULT 0,
	next_at     INTEGER NOT NULL,
	last_status INTEGER NOT NULL DEFAULT 0,
	last_error  TEXT NOT NULL DEFAULT '',
	created     INTEGER NOT NULL,
	finished    INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO callback (id, task_id, url, destination, body, state, attempt, next_at, last_status, last_error, created, finished)
	SELECT id, task_id, url, destination, body, state, attempt, next_at, last_status, last_error, created, finished FROM callback_old;

CREATE TABLE callback_attempt (
	seq         INTEGER PRIMARY KEY, -- n starts anew with each replay, so it orders nothing
	callback_id TEXT NOT NULL REFERENCES callback (id) ON DELETE CASCADE,
	n           INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	took_ms     INTEGER NOT NULL,
	status      INTEGER NOT NULL,
	error       TEXT NOT NULL
) STRICT;
INSERT INTO callback_attempt SELECT seq, callback_id, n, at, took_ms, status, error FROM callback_attempt_old;

DROP TABLE callback_attempt_old;
DROP TABLE callback_old;

CREATE INDEX callback_due ON callback (next_at, id, destination) WHERE state = 'due';
CREATE INDEX callback_state ON callback (state, id);
-- events that the sweep looks for
CREATE INDEX callback_event ON callback (finished) WHERE task_id IS NULL AND finished > 0;
CREATE INDEX callback_attempt_of ON callback_attempt (callback_id, seq);
