PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO account VALUES('default','15550100100',1700000000000,'','','',0,0,0,1700000000000,1700000060000,'[1700000000000]','[]');
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
INSERT INTO task VALUES(1,'01a20d82-69b4-7a23-a93f-c00fe3af4420','default','message','message','15550100101','hello','3EB015550100101','http://host:9000/cb','',NULL,'','','','done',1,0,0,'',0,'yes','','',1700000000000,1700000000000,1700000000000);
INSERT INTO task VALUES(2,'01a20d82-69b6-7e8e-8bad-41aee1d80653','default','message','message','15550100102','hello 😀','3EB0C0FFEE','http://host:9000/cb','15550100100',NULL,'','request','abc','running',1,0,0,'',0,'','','',1700000000000,1700000000000,0);
INSERT INTO task VALUES(3,'01a20d82-69b7-7b16-969b-0bc30b898c05','default','check','check','15550100103','','','','','key','hash','','','queued',0,0,0,'',0,'','','',1700000000000,0,0);
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
INSERT INTO callback VALUES('cb_01a20d82-69b5-7b70-9a30-52782ec1cbce','01a20d82-69b4-7a23-a93f-c00fe3af4420','http://host:9000/cb','http://host:9000',X'7b227461736b5f6964223a2230316132306438322d363962342d376132332d613933662d633030666533616634343230227d','due',1,1700000005000,503,'the receiver answered 503',1700000000000,0);
CREATE TABLE callback_attempt (
	seq         INTEGER PRIMARY KEY, -- n starts anew with each replay, so it orders nothing
	callback_id TEXT NOT NULL REFERENCES callback (id) ON DELETE CASCADE,
	n           INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	took_ms     INTEGER NOT NULL,
	status      INTEGER NOT NULL,
	error       TEXT NOT NULL
) STRICT;
INSERT INTO callback_attempt VALUES(1,'cb_01a20d82-69b5-7b70-9a30-52782ec1cbce',1,1700000000000,20,503,'the receiver answered 503');
CREATE TABLE check_cache (
	account    TEXT NOT NULL REFERENCES account (id),
	number     TEXT NOT NULL,
	verdict    TEXT NOT NULL,
	canonical  TEXT NOT NULL,
	lid        TEXT NOT NULL,
	checked_at INTEGER NOT NULL,
	PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
INSERT INTO check_cache VALUES('default','15550100101','registered','15550100101','100000000000001@lid',1700000000000);
CREATE TABLE contact (
	account       TEXT NOT NULL REFERENCES account (id),
	number        TEXT NOT NULL,
	first_sent_at INTEGER NOT NULL DEFAULT 0,
	last_heard_at INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
INSERT INTO contact VALUES('default','15550100101',1700000000000,1700000000000);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('task',3);
CREATE UNIQUE INDEX task_idempotency ON task (account, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX task_lane ON task (account, class, seq, not_before) WHERE state = 'queued';
CREATE INDEX task_running ON task (account, class) WHERE state = 'running';
CREATE INDEX task_chat ON task (account, number, seq) WHERE class = 'message' AND state IN ('queued', 'running');
CREATE INDEX task_state ON task (state, seq);
CREATE INDEX task_finished ON task (finished) WHERE finished > 0;
CREATE INDEX task_text ON task (finished) WHERE finished > 0 AND text <> '';
CREATE INDEX callback_due ON callback (next_at, id, destination) WHERE state = 'due';
CREATE INDEX callback_state ON callback (state, id);
CREATE INDEX callback_attempt_of ON callback_attempt (callback_id, seq);
COMMIT;
PRAGMA user_version=1;
