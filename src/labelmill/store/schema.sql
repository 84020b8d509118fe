-- One DuckDB file holds every run of a project, in long format: one row per (run, document, label).
-- Rows of `documents`, `predictions` and `failures` belong to a run. Rows of `stages` are addressed by content: any run
-- of the file may use them again.

CREATE TABLE IF NOT EXISTS about (
  schema_version INTEGER NOT NULL
);

-- A version of a taxonomy, by the hash of its content.
CREATE TABLE IF NOT EXISTS taxonomies (
  taxonomy VARCHAR NOT NULL,
  source   VARCHAR NOT NULL,
  labels   INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS labels (
  taxonomy    VARCHAR NOT NULL,
  position    INTEGER NOT NULL,
  label       VARCHAR NOT NULL,
  name        VARCHAR NOT NULL,
  aliases     VARCHAR[] NOT NULL,
  description VARCHAR NOT NULL,
  parents     VARCHAR[] NOT NULL
);

CREATE TABLE IF NOT EXISTS runs (
  run      VARCHAR NOT NULL,
  key      VARCHAR NOT NULL,      -- hash of the program and the taxonomy: what decides the rows
  taxonomy VARCHAR NOT NULL,
  program  JSON NOT NULL,         -- the whole specification, for people and for the next run
  corpus   VARCHAR[] NOT NULL,
  version  VARCHAR NOT NULL,      -- of labelmill
  state    VARCHAR NOT NULL,      -- running, interrupted, finished
  seconds  DOUBLE NOT NULL,       -- at work, over all sittings
  started  TIMESTAMPTZ NOT NULL,
  updated  TIMESTAMPTZ NOT NULL
);

-- A document that is done: its predictions, perhaps none, are in.
CREATE TABLE IF NOT EXISTS documents (
  run      VARCHAR NOT NULL,
  document VARCHAR NOT NULL,
  key      VARCHAR NOT NULL,      -- hash of the run's key, the id and the text: done means done with this text
  source   VARCHAR NOT NULL,
  chunks   INTEGER NOT NULL,
  stages   VARCHAR[] NOT NULL     -- keys of the stage rows that went into it
);

-- What a model answered, and what that cost. Never looked at by document: a key says all that went in.
CREATE TABLE IF NOT EXISTS stages (
  key               VARCHAR NOT NULL,
  stage             VARCHAR NOT NULL,
  model             VARCHAR NOT NULL,
  output            JSON NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  cached_tokens     INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  seconds           DOUBLE NOT NULL,
  attempts          INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS predictions (
  run            VARCHAR NOT NULL,
  document       VARCHAR NOT NULL,
  label          VARCHAR NOT NULL,
  rank           INTEGER NOT NULL,
  score          DOUBLE NOT NULL,
  selected       BOOLEAN NOT NULL,
  retrieval_rank INTEGER NOT NULL,
  evidence       STRUCT(lane VARCHAR, rank INTEGER, score FLOAT, query VARCHAR)[] NOT NULL
);

CREATE TABLE IF NOT EXISTS failures (
  run      VARCHAR NOT NULL,
  document VARCHAR NOT NULL,
  stage    VARCHAR NOT NULL,
  kind     VARCHAR NOT NULL,
  message  VARCHAR NOT NULL,
  source   VARCHAR NOT NULL,
  attempts INTEGER NOT NULL,
  key      VARCHAR NOT NULL       -- hash of what failed: repaired, it is tried again
);
