-- how many numbers were asked about lately
CREATE INDEX check_cache_at ON check_cache (account, checked_at);
