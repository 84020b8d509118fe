"""Twelve labels and eight texts, for the tests of programs and runs."""

from __future__ import annotations

NAMES = [
    "bake sourdough bread",
    "repair bicycles",
    "play the violin",
    "grow tomatoes",
    "sail small boats",
    "knit woollen socks",
    "keep honey bees",
    "paint with watercolour",
    "tune a piano",
    "brew dark beer",
    "restore old furniture",
    "train guide dogs",
]
TEXTS = [
    "Anna wants to bake bread with sourdough before the shop opens.",
    "The club repairs bicycles every Friday and lends its tools.",
    "We look for somebody who plays the violin, or tunes a piano.",
    "Tomatoes grow well on the south wall; bees are welcome there.",
    "He sails small boats in summer and knits socks in winter.",
    "Old furniture is restored in the cellar, with beer at six.",
    "Guide dogs are trained for two years.",
    "Watercolour is painted on the quay at low tide.",
]
