"""Everything with weights: language models behind one client, embedders behind one Protocol, and their files."""
