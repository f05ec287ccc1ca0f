-- Tasks that do not wait out a log-out are found at once, however many wait that do.
CREATE INDEX task_impatient ON task (account, class, seq) WHERE state = 'queued' AND patient = 0;
