-- What is known of people: who wrote first, who wants nothing, and who got which text.

ALTER TABLE contact ADD COLUMN first_heard_at INTEGER NOT NULL DEFAULT 0;
UPDATE contact SET first_heard_at = last_heard_at;
CREATE INDEX contact_sent ON contact (account, first_sent_at, first_heard_at) WHERE first_sent_at > 0;
CREATE INDEX contact_heard ON contact (account, first_heard_at, first_sent_at) WHERE first_heard_at > 0;

CREATE TABLE optout (
	account TEXT NOT NULL REFERENCES account (id),
	number  TEXT NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;

-- first contacts, by the text they got; kept for a day
CREATE TABLE text_sent (
	account TEXT NOT NULL REFERENCES account (id),
	hash    BLOB NOT NULL, -- SHA-256 of the text
	number  TEXT NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (account, hash, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX text_sent_at ON text_sent (at);
