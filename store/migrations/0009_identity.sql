-- Who is who. A contact has an ID of our own, which never changes; WhatsApp's addresses for it may. They are in no key outside
-- of contact and contact_number, so that another address is a change of these two tables and of nothing else.

ALTER TABLE contact RENAME TO contact_old;

CREATE TABLE contact (
	id      TEXT PRIMARY KEY, -- sorts by time
	account TEXT NOT NULL REFERENCES account (id),
	phone   TEXT, -- digits, as WhatsApp writes them once it was asked; NULL while no number is known
	lid     TEXT, -- NULL while none is known
	UNIQUE (account, phone),
	UNIQUE (account, lid),
	CHECK (phone IS NOT NULL OR lid IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- Every form in which a contact's number was met, with WhatsApp's last answer about it. A number that WhatsApp does not know is
-- somebody's too: a person who may be asked about again, or wants no messages.
CREATE TABLE contact_number (
	account    TEXT NOT NULL REFERENCES account (id),
	number     TEXT NOT NULL,
	contact    TEXT NOT NULL REFERENCES contact (id),
	verdict    TEXT NOT NULL DEFAULT '', -- empty: never asked
	checked_at INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX contact_number_of ON contact_number (contact);
CREATE INDEX contact_number_at ON contact_number (account, checked_at) WHERE checked_at > 0;

-- What happened to contacts, in order, written with the change itself. It outlives the contacts it names.
CREATE TABLE contact_event (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL REFERENCES account (id),
	at      INTEGER NOT NULL,
	what    TEXT NOT NULL, -- 'contact.merged'
	contact TEXT NOT NULL, -- the ID that stays
	gone    TEXT NOT NULL  -- the ID that is no more; empty when a number was learnt for a LID
) STRICT;

CREATE TABLE chat (
	contact        TEXT PRIMARY KEY REFERENCES contact (id),
	account        TEXT NOT NULL REFERENCES account (id),
	first_sent_at  INTEGER NOT NULL DEFAULT 0,
	first_heard_at INTEGER NOT NULL DEFAULT 0,
	last_heard_at  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- All numbers that are known, each with the one that stands for it: WhatsApp's own form, or itself.
CREATE TABLE known (account TEXT NOT NULL, number TEXT NOT NULL, phone TEXT NOT NULL, PRIMARY KEY (account, number)) STRICT, WITHOUT ROWID;
INSERT INTO known SELECT account, number, coalesce(nullif(canonical, ''), number) FROM check_cache;
INSERT OR IGNORE INTO known SELECT account, phone, phone FROM known;
INSERT OR IGNORE INTO known SELECT account, number, number FROM contact_old;
INSERT OR IGNORE INTO known SELECT account, number, number FROM optout;
INSERT OR IGNORE INTO known SELECT account, number, number FROM text_sent;
INSERT OR IGNORE INTO known SELECT account, number, number FROM task WHERE number <> '';

-- A LID belongs to the number that was last named with it. UUIDs of version 7, of the time 0.
CREATE INDEX check_cache_lid ON check_cache (account, lid);
INSERT INTO contact (id, account, phone, lid)
	SELECT lower('c_00000000-0000-7' || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
	account, phone, (SELECT c.lid FROM check_cache AS c INDEXED BY check_cache_canonical WHERE c.account = k.account AND c.canonical = k.phone AND c.lid <> ''
		AND NOT EXISTS (SELECT 1 FROM check_cache AS later INDEXED BY check_cache_lid WHERE later.account = c.account AND later.lid = c.lid
			AND (later.checked_at, later.canonical) > (c.checked_at, c.canonical))
		ORDER BY c.checked_at DESC LIMIT 1)
	FROM (SELECT DISTINCT account, phone FROM known) AS k;
INSERT INTO contact_number (account, number, contact, verdict, checked_at)
	SELECT k.account, k.number, c.id, coalesce(a.verdict, ''), coalesce(a.checked_at, 0)
	FROM known AS k JOIN contact AS c ON c.account = k.account AND c.phone = k.phone
	LEFT JOIN check_cache AS a ON a.account = k.account AND a.number = k.number;

INSERT INTO chat (contact, account, first_sent_at, first_heard_at, last_heard_at)
	SELECT n.contact, o.account, coalesce(min(nullif(o.first_sent_at, 0)), 0), coalesce(min(nullif(o.first_heard_at, 0)), 0), max(o.last_heard_at)
	FROM contact_old AS o JOIN contact_number AS n ON n.account = o.account AND n.number = o.number GROUP BY n.contact, o.account;
CREATE INDEX chat_sent ON chat (account, first_sent_at, first_heard_at) WHERE first_sent_at > 0;
CREATE INDEX chat_heard ON chat (account, first_heard_at, first_sent_at) WHERE first_heard_at > 0;

ALTER TABLE optout RENAME TO optout_old;
CREATE TABLE optout (
	contact TEXT PRIMARY KEY REFERENCES contact (id),
	at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO optout SELECT n.contact, min(o.at) FROM optout_old AS o
	JOIN contact_number AS n ON n.account = o.account AND n.number = o.number GROUP BY n.contact;

-- first contacts, by the text they got; kept for a day
ALTER TABLE text_sent RENAME TO text_sent_old;
CREATE TABLE text_sent (
	account TEXT NOT NULL REFERENCES account (id),
	hash    BLOB NOT NULL, -- SHA-256 of the text
	contact TEXT NOT NULL REFERENCES contact (id),
	at      INTEGER NOT NULL,
	PRIMARY KEY (account, hash, contact)
) STRICT, WITHOUT ROWID;
INSERT INTO text_sent SELECT o.account, o.hash, n.contact, max(o.at) FROM text_sent_old AS o
	JOIN contact_number AS n ON n.account = o.account AND n.number = o.number GROUP BY o.account, o.hash, n.contact;

ALTER TABLE task ADD COLUMN contact TEXT REFERENCES contact (id); -- NULL for logins and logouts
UPDATE task SET contact = (SELECT n.contact FROM contact_number AS n WHERE n.account = task.account AND n.number = task.number)
	WHERE number <> '';
DROP INDEX task_chat;
-- is there an earlier unfinished message to this contact?
CREATE INDEX task_chat ON task (contact, seq) WHERE class = 'message' AND state IN ('queued', 'running');
CREATE INDEX task_contact ON task (contact);

DROP TABLE known;
DROP TABLE check_cache;
DROP TABLE contact_old;
DROP TABLE optout_old;
DROP TABLE text_sent_old;
CREATE INDEX text_sent_at ON text_sent (at);
CREATE INDEX text_sent_contact ON text_sent (contact);
