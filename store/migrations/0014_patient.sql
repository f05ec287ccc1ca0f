-- The task waits out a log-out, up to its maximum age; the others end at once.
ALTER TABLE task ADD COLUMN patient INTEGER NOT NULL DEFAULT 0;
