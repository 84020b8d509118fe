"""The stages, the programs made of them, and what runs programs over a corpus."""
