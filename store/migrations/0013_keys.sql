-- How often whatsapp.db was taken up and put down, as far as the ledger knows. That file counts too: one that counted less is an
-- old copy.
CREATE TABLE keys_use (only INTEGER PRIMARY KEY CHECK (only = 1), count INTEGER NOT NULL) STRICT;
