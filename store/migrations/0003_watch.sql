-- What is watched over an account: its phone, how often it was linked, and a lock on first contacts.

ALTER TABLE account ADD COLUMN phone_seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN phone_warned INTEGER NOT NULL DEFAULT 0;   -- days unseen that were told of last
ALTER TABLE account ADD COLUMN pairings TEXT NOT NULL DEFAULT '[]';       -- JSON array of times, oldest first
ALTER TABLE account ADD COLUMN reachout_until INTEGER NOT NULL DEFAULT 0; -- no first contacts before
