-- What a job found or made, as a JSON object: a verification's findings, say.

ALTER TABLE job ADD COLUMN result TEXT;
