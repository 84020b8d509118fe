"""Finding labels for queries: one Protocol, one file per retriever, fusion, and the cache of indexes."""
