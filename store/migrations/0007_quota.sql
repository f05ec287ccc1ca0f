-- what WhatsApp told last of its quota for chats with strangers
ALTER TABLE account ADD COLUMN quota_state TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN quota_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN quota_total INTEGER NOT NULL DEFAULT 0;
