-- What a failure of a task came with.

ALTER TABLE task ADD COLUMN wa_code INTEGER NOT NULL DEFAULT 0;  -- WhatsApp's last number about it
ALTER TABLE task ADD COLUMN retry_at INTEGER NOT NULL DEFAULT 0; -- of a failed task: worth asking again from then on
