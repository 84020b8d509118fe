-- The steps of making a taxonomy: what went in, what came out, what it cost. One file beside the taxonomy.
-- Rows are addressed by content, like the answers of a run: whoever asks the same again finds the answer here, and a row
-- is never changed. Each is committed as it comes.

CREATE TABLE IF NOT EXISTS about (
  steps_version INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS steps (
  key               VARCHAR NOT NULL,      -- hash of all that went in
  step              VARCHAR NOT NULL,      -- draw, cluster; summarise, propose, update, review, kind, judge: of a model
  input             JSON NOT NULL,         -- for people: which documents, how many labels
  model             VARCHAR NOT NULL,      -- empty where none is asked
  output            JSON NOT NULL,         -- as it was read; empty where there is a problem
  problem           VARCHAR NOT NULL,      -- why there is no output: an answer that cannot be read is not asked for again
  requests          INTEGER NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  cached_tokens     INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  seconds           DOUBLE NOT NULL,
  committed         TIMESTAMPTZ NOT NULL
);
