-- which forms of a number lead to the same account
CREATE INDEX check_cache_canonical ON check_cache (account, canonical);
