-- Until when a used-up quota of chats with strangers holds them back.
ALTER TABLE account ADD COLUMN quota_ends INTEGER NOT NULL DEFAULT 0;
