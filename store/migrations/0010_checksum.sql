-- A sum over what decides who gets what, made when a task is accepted: 0 for tasks of before, -1 for one that was set aside.

ALTER TABLE task ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
