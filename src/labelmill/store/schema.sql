-- One DuckDB file holds every run of a project, in long format: one row per (run, document, label).
-- Rows of `documents`, `predictions` and `failures` belong to a run. Rows of `stages` are addressed by content: any run
-- of the file may use them again.
-- `batch` numbers the commits of the file, so that rows lie sorted by it: whoever knows a row's batch has DuckDB read
-- one stretch of the table rather than all of it.

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

-- state: running (or killed: see whether its process lives), interrupted (stopped or failed, to be gone on with),
-- budget (stopped at a limit that the user set), finished (the whole corpus was seen), migrated (made of another run, for
-- another version of its taxonomy: `program` says of which under "migrated").
CREATE TABLE IF NOT EXISTS runs (
  run      VARCHAR NOT NULL,
  key      VARCHAR NOT NULL,      -- hash of the program and the taxonomy: what decides the rows
  taxonomy VARCHAR NOT NULL,
  program  JSON NOT NULL,         -- the whole specification, for people and for the next run
  corpus   VARCHAR[] NOT NULL,
  version  VARCHAR NOT NULL,      -- of labelmill
  state    VARCHAR NOT NULL,
  seconds  DOUBLE NOT NULL,       -- at work, over all sittings, up to the last commit
  started  TIMESTAMPTZ NOT NULL,
  updated  TIMESTAMPTZ NOT NULL   -- of the last commit
);

-- A document that is done: its predictions, perhaps none, are in.
CREATE TABLE IF NOT EXISTS documents (
  run       VARCHAR NOT NULL,
  document  VARCHAR NOT NULL,
  key       VARCHAR NOT NULL,     -- hash of the run's key, the id and the text: done means done with this text
  source    VARCHAR NOT NULL,
  chunks    INTEGER NOT NULL,
  stages    VARCHAR[] NOT NULL,   -- keys of the stage rows that went into it; 'student' where one answered alone
  retrieval VARCHAR NOT NULL,     -- key of its candidates: the lanes, the taxonomy, the queries, how many; or empty
  batch     UINTEGER NOT NULL
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
  attempts          INTEGER NOT NULL,
  batch             UINTEGER NOT NULL
);

-- What a run really used, batch by batch, nothing ever deleted: also for answers that could not be read, for repairs,
-- for what was asked again, for documents that failed. Sums over it equal what the server counted.
CREATE TABLE IF NOT EXISTS spent (
  run               VARCHAR NOT NULL,
  committed         TIMESTAMPTZ NOT NULL,
  stage             VARCHAR NOT NULL,
  requests          BIGINT NOT NULL,    -- sent, whatever became of them, but for those that met a busy or a dying server
  prompt_tokens     BIGINT NOT NULL,    -- read, cached ones included
  cached_tokens     BIGINT NOT NULL,
  completion_tokens BIGINT NOT NULL,
  seconds           DOUBLE NOT NULL     -- of all requests together, though many are under way at once
);

-- A sitting of a run that came to an end; a killed one leaves no row. The servers' own counters of their prefix caches
-- say what answers to scoring requests do not; they count everybody's requests, and are NULL where servers have none.
CREATE TABLE IF NOT EXISTS sittings (
  run            VARCHAR NOT NULL,
  ended          TIMESTAMPTZ NOT NULL,
  state          VARCHAR NOT NULL,      -- interrupted, budget, finished
  seconds        DOUBLE NOT NULL,
  prefix_queries BIGINT,                -- tokens looked for in the prefix cache
  prefix_hits    BIGINT                 -- and found there
);

CREATE TABLE IF NOT EXISTS predictions (
  run             VARCHAR NOT NULL,
  document        VARCHAR NOT NULL,
  label           VARCHAR NOT NULL,
  rank            INTEGER NOT NULL,
  score           DOUBLE NOT NULL,
  selected        BOOLEAN NOT NULL,
  retrieval_rank  INTEGER NOT NULL,   -- before Rank; 0 where a model named what Retrieve did not find
  retrieval_score DOUBLE NOT NULL,    -- the fused score, before Rank
  evidence        STRUCT(lane VARCHAR, rank INTEGER, score FLOAT, query VARCHAR)[] NOT NULL,
  batch           UINTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS failures (
  run      VARCHAR NOT NULL,
  document VARCHAR NOT NULL,
  stage    VARCHAR NOT NULL,
  kind     VARCHAR NOT NULL,
  message  VARCHAR NOT NULL,
  source   VARCHAR NOT NULL,
  attempts INTEGER NOT NULL,
  key      VARCHAR NOT NULL,          -- hash of what failed: repaired, it is tried again
  batch    UINTEGER NOT NULL
);

-- Who votes on labels of documents: a run, a rule, a person.
CREATE TABLE IF NOT EXISTS voters (
  voter    VARCHAR NOT NULL,
  kind     VARCHAR NOT NULL,        -- run, function, rules, aliases, neighbours, prompt, imported
  taxonomy VARCHAR NOT NULL,
  source   VARCHAR NOT NULL,        -- the file or the run that it comes from
  silence  BOOLEAN NOT NULL,        -- whether saying nothing of a label, where it was shown the document, is a no
  scope    VARCHAR NOT NULL,        -- which documents it was shown
  complete BOOLEAN NOT NULL,        -- false where it was given up
  updated  TIMESTAMPTZ NOT NULL
);

-- The documents of a scope; voters that were shown the same share one.
CREATE TABLE IF NOT EXISTS shown (
  scope    VARCHAR NOT NULL,
  document VARCHAR NOT NULL
);

-- What a voter says of a label of a document: at most one row; that there is none is abstaining, or a silent no.
-- Of labels that exclude each other, it is a vote for one of them. Until all votes of a voter are there, they stand under
-- its name behind a character 30, and it is not among the voters.
CREATE TABLE IF NOT EXISTS votes (
  voter      VARCHAR NOT NULL,
  document   VARCHAR NOT NULL,
  label      VARCHAR NOT NULL,
  vote       TINYINT NOT NULL,      -- 1 for, -1 against
  confidence FLOAT NOT NULL,        -- in 0..1; 1 where the voter does not say
  rank       INTEGER NOT NULL       -- in the voter's ranking of the document; 0 where it does not rank
);

-- Documents on which a voter failed; of many of one kind the first hundred.
CREATE TABLE IF NOT EXISTS vote_failures (
  voter    VARCHAR NOT NULL,
  document VARCHAR NOT NULL,
  kind     VARCHAR NOT NULL,        -- raised, timeout, crashed, outside-taxonomy, unreadable
  message  VARCHAR NOT NULL
);
