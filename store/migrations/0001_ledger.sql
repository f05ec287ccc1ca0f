-- Times are unix milliseconds and come from the program, 0 for never. Empty text stands for nothing.

CREATE TABLE account (
	id             TEXT PRIMARY KEY,
	-- facts: what must be known after a restart, and after the library deleted its device
	number         TEXT NOT NULL DEFAULT '',
	paired_at      INTEGER NOT NULL DEFAULT 0,
	end_state      TEXT NOT NULL DEFAULT '',
	end_reason     TEXT NOT NULL DEFAULT '',
	end_detail     TEXT NOT NULL DEFAULT '',
	ended_at       INTEGER NOT NULL DEFAULT 0,
	end_until      INTEGER NOT NULL DEFAULT 0,
	by_us          INTEGER NOT NULL DEFAULT 0,
	-- pace: written with the end of each message, so that a restart cannot burst
	pace_paired_at INTEGER NOT NULL DEFAULT 0,
	next_send_at   INTEGER NOT NULL DEFAULT 0,
	sends          TEXT NOT NULL DEFAULT '[]', -- JSON array of times, oldest first
	cold_sends     TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE TABLE task (
	seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- without it the numbers of deleted last rows come back
	id           TEXT NOT NULL UNIQUE,
	account      TEXT NOT NULL REFERENCES account (id),
	kind         TEXT NOT NULL,
	class        TEXT NOT NULL,
	number       TEXT NOT NULL,
	text         TEXT NOT NULL,
	message_id   TEXT NOT NULL,
	return_url   TEXT NOT NULL,
	for_number   TEXT NOT NULL,
	idem_key     TEXT, -- NULL for none
	request_hash TEXT NOT NULL,
	request_id   TEXT NOT NULL,
	token_id     TEXT NOT NULL,
	state        TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
	attempt      INTEGER NOT NULL DEFAULT 0,
	maybe_sent   INTEGER NOT NULL DEFAULT 0,
	not_before   INTEGER NOT NULL DEFAULT 0,
	reason       TEXT NOT NULL DEFAULT '',
	waited_ms    INTEGER NOT NULL DEFAULT 0,
	verdict      TEXT NOT NULL DEFAULT '',
	code         TEXT NOT NULL DEFAULT '',
	detail       TEXT NOT NULL DEFAULT '',
	created      INTEGER NOT NULL,
	started      INTEGER NOT NULL DEFAULT 0,
	finished     INTEGER NOT NULL DEFAULT 0,
	CHECK ((finished > 0) = (state IN ('done', 'failed')))
) STRICT;

CREATE UNIQUE INDEX task_idempotency ON task (account, idem_key) WHERE idem_key IS NOT NULL;
-- what a lane takes next
CREATE INDEX task_lane ON task (account, class, seq, not_before) WHERE state = 'queued';
CREATE INDEX task_running ON task (account, class) WHERE state = 'running';
-- is there an earlier unfinished message to this number?
CREATE INDEX task_chat ON task (account, number, seq) WHERE class = 'message' AND state IN ('queued', 'running');
-- lists and counts
CREATE INDEX task_state ON task (state, seq);
-- what the sweep looks for
CREATE INDEX task_finished ON task (finished) WHERE finished > 0;
CREATE INDEX task_text ON task (finished) WHERE finished > 0 AND text <> '';

CREATE TABLE callback (
	id          TEXT PRIMARY KEY, -- the webhook-id; sorts by time
	task_id     TEXT NOT NULL UNIQUE REFERENCES task (id) ON DELETE CASCADE,
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

CREATE INDEX callback_due ON callback (next_at, id, destination) WHERE state = 'due';
CREATE INDEX callback_state ON callback (state, id);

CREATE TABLE callback_attempt (
	seq         INTEGER PRIMARY KEY, -- n starts anew with each replay, so it orders nothing
	callback_id TEXT NOT NULL REFERENCES callback (id) ON DELETE CASCADE,
	n           INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	took_ms     INTEGER NOT NULL,
	status      INTEGER NOT NULL,
	error       TEXT NOT NULL
) STRICT;

CREATE INDEX callback_attempt_of ON callback_attempt (callback_id, seq);

CREATE TABLE check_cache (
	account    TEXT NOT NULL REFERENCES account (id),
	number     TEXT NOT NULL,
	verdict    TEXT NOT NULL,
	canonical  TEXT NOT NULL,
	lid        TEXT NOT NULL,
	checked_at INTEGER NOT NULL,
	PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
	account       TEXT NOT NULL REFERENCES account (id),
	number        TEXT NOT NULL,
	first_sent_at INTEGER NOT NULL DEFAULT 0,
	last_heard_at INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
