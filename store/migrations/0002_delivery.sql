-- How far a message got after WhatsApp's server took it, and what happened to a task on its way.

ALTER TABLE task ADD COLUMN canonical TEXT NOT NULL DEFAULT '';    -- the number WhatsApp delivers to
ALTER TABLE task ADD COLUMN lid TEXT NOT NULL DEFAULT '';          -- the recipient's other address
ALTER TABLE task ADD COLUMN delivery INTEGER NOT NULL DEFAULT 0;   -- task.Delivery; only grows
ALTER TABLE task ADD COLUMN delivery_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN delivered_by TEXT NOT NULL DEFAULT '' CHECK (delivered_by IN ('', 'companion', 'phone'));
ALTER TABLE task ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';   -- JSON array of codes

-- receipts name messages
CREATE INDEX task_receipt ON task (account, message_id) WHERE message_id <> '';
-- what nobody has confirmed yet; 1 is task.DeliveryServerAck
CREATE INDEX task_unconfirmed ON task (account, delivery_at) WHERE delivery = 1;

CREATE TABLE task_step (
	task   INTEGER NOT NULL REFERENCES task (seq) ON DELETE CASCADE,
	n      INTEGER NOT NULL,
	at     INTEGER NOT NULL,
	what   TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (task, n)
) STRICT, WITHOUT ROWID;
