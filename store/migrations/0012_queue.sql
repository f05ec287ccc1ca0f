-- What a lane takes next is found at the head of an index, however long the queue is: each unfinished task knows whether it is
-- first in line. The triggers keep that true whatever changes a task or a chat; each touches a row or two.

-- When a lane may take the task: 0 for at once, NULL while an earlier message to the same contact is unfinished. A time that has
-- come becomes 0 with the next claim; not_before keeps it.
ALTER TABLE task ADD COLUMN wake INTEGER DEFAULT 0;
-- The account wrote to the contact before, or heard from it. Only known of the message that is first in line.
ALTER TABLE task ADD COLUMN warm INTEGER NOT NULL DEFAULT 0;

UPDATE task SET wake = CASE WHEN class = 'message' AND EXISTS (SELECT 1 FROM task AS e WHERE e.contact = task.contact
		AND e.seq < task.seq AND e.class = 'message' AND e.state IN ('queued', 'running')) THEN NULL ELSE not_before END,
	warm = class = 'message' AND EXISTS (SELECT 1 FROM chat AS c WHERE c.contact = task.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0))
	WHERE state IN ('queued', 'running');

CREATE INDEX task_due ON task (account, class, wake, seq) WHERE state = 'queued' AND wake IS NOT NULL;
CREATE INDEX task_warm ON task (account, class, wake, seq) WHERE state = 'queued' AND wake IS NOT NULL AND warm = 1;

CREATE TRIGGER task_accepted AFTER INSERT ON task WHEN new.class = 'message' OR new.not_before > 0 BEGIN
	UPDATE task SET wake = not_before WHERE seq = new.seq AND not_before > 0;
	UPDATE task SET wake = NULL WHERE seq = new.seq AND class = 'message' AND EXISTS (SELECT 1 FROM task AS e INDEXED BY task_chat
		WHERE e.contact = new.contact AND e.seq < new.seq AND e.class = 'message' AND e.state IN ('queued', 'running'));
	UPDATE task SET warm = 1 WHERE seq = new.seq AND wake IS NOT NULL AND class = 'message' AND EXISTS (SELECT 1 FROM chat AS c
		WHERE c.contact = new.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0));
END;

-- the next one to the contact is first
CREATE TRIGGER task_ended AFTER UPDATE OF state ON task
WHEN new.class = 'message' AND old.state IN ('queued', 'running') AND new.state IN ('done', 'failed') BEGIN
	UPDATE task SET wake = not_before, warm = EXISTS (SELECT 1 FROM chat AS c
		WHERE c.contact = new.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0))
	WHERE wake IS NULL AND seq = (SELECT min(e.seq) FROM task AS e INDEXED BY task_chat
		WHERE e.contact = new.contact AND e.class = 'message' AND e.state IN ('queued', 'running'));
END;

-- in the line it left the next one is first; in the one it joins it may be before others, or behind them
CREATE TRIGGER task_moved AFTER UPDATE OF contact ON task
WHEN new.class = 'message' AND new.state IN ('queued', 'running') AND new.contact IS NOT old.contact BEGIN
	UPDATE task SET wake = not_before, warm = EXISTS (SELECT 1 FROM chat AS c
		WHERE c.contact = old.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0))
	WHERE wake IS NULL AND seq = (SELECT min(e.seq) FROM task AS e INDEXED BY task_chat
		WHERE e.contact = old.contact AND e.class = 'message' AND e.state IN ('queued', 'running'));
	UPDATE task SET wake = NULL WHERE wake IS NOT NULL AND seq = (SELECT min(e.seq) FROM task AS e INDEXED BY task_chat
		WHERE e.contact = new.contact AND e.seq > new.seq AND e.class = 'message' AND e.state IN ('queued', 'running'));
	UPDATE task SET wake = CASE WHEN EXISTS (SELECT 1 FROM task AS e INDEXED BY task_chat
			WHERE e.contact = new.contact AND e.seq < new.seq AND e.class = 'message' AND e.state IN ('queued', 'running'))
		THEN NULL ELSE coalesce(wake, not_before) END,
		warm = EXISTS (SELECT 1 FROM chat AS c WHERE c.contact = new.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0))
	WHERE seq = new.seq;
END;

CREATE TRIGGER chat_begun AFTER INSERT ON chat WHEN new.first_sent_at > 0 OR new.last_heard_at > 0 BEGIN
	UPDATE task SET warm = 1 WHERE seq = (SELECT min(e.seq) FROM task AS e INDEXED BY task_chat
		WHERE e.contact = new.contact AND e.class = 'message' AND e.state IN ('queued', 'running'));
END;

CREATE TRIGGER chat_warmed AFTER UPDATE ON chat
WHEN old.first_sent_at = 0 AND old.last_heard_at = 0 AND (new.first_sent_at > 0 OR new.last_heard_at > 0) BEGIN
	UPDATE task SET warm = 1 WHERE seq = (SELECT min(e.seq) FROM task AS e INDEXED BY task_chat
		WHERE e.contact = new.contact AND e.class = 'message' AND e.state IN ('queued', 'running'));
END;

CREATE TRIGGER chat_gone AFTER DELETE ON chat BEGIN
	UPDATE task SET warm = 0 WHERE seq = (SELECT min(e.seq) FROM task AS e INDEXED BY task_chat
		WHERE e.contact = old.contact AND e.class = 'message' AND e.state IN ('queued', 'running'));
END;
