"""How a report looks: on a phone, on paper, by day and by night. Colours never say what nothing else says."""

STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1d1f21; --soft: #5c6166; --rule: #d5d6d2;
  --one: #0b5cad; --two: #a8480a; --three: #3d7a2e; --right: #cdebc5; --wrong: #f8d3cd; --missed: #fbe7ac; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191b; --ink: #e6e6e3; --soft: #a3a8ad; --rule: #3c4043;
  --one: #7db7f0; --two: #f0a36a; --three: #93cf82; --right: #24502a; --wrong: #6b2a22; --missed: #5c4a10; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 54rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2.5rem;
  border-bottom: 1px solid var(--rule); } h3 { font-size: 1rem; margin: 1.5rem 0 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
a { color: var(--one); }
dl { display: grid; grid-template-columns: minmax(7rem, 12rem) 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; min-width: 60%; font-size: .9rem; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--rule);
  max-width: 24rem; overflow-wrap: break-word; }
td bdi { overflow-wrap: anywhere; } th[scope=row] { min-width: 7rem; }
th { font-weight: 500; } thead th, th[scope=rowgroup] { color: var(--soft); }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; max-width: 36rem; } svg { width: 100%; height: auto; display: block; }
figcaption { font-size: .85rem; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
svg.sample { display: inline-block; width: 26px; height: 10px; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--rule); } .line { fill: none; stroke-width: 2; }
.line.k1 { stroke: var(--one); } .line.k2 { stroke: var(--two); stroke-dasharray: 7 3; }
.line.k3 { stroke: var(--three); stroke-dasharray: 2 3; }
.here { stroke: var(--ink); stroke-dasharray: 4 2; } .ideal { stroke: var(--soft); stroke-dasharray: 3 4; }
.whisker { stroke: var(--ink); stroke-width: 1.5; } .dot.k1 { fill: var(--one); }
.bar { fill: var(--one); opacity: .75; } .bar.k2 { fill: var(--two); } .bar.k3 { fill: var(--three); }
.bar.k4, .bar.k5 { fill: var(--soft); }
mark { color: inherit; border-radius: .2em; padding: 0 .1em; }
mark.right { background: var(--right); } mark.wrong { background: var(--wrong); text-decoration: underline wavy; }
mark.missed { background: var(--missed); text-decoration: underline dotted; }
.text { white-space: pre-wrap; border-left: 3px solid var(--rule); padding-left: .8rem; unicode-bidi: isolate; }
.note { color: var(--soft); font-size: .9rem; }
article { margin-bottom: 2rem; }
@media print { body { max-width: none; padding: 0; } nav { display: none; } .wide { overflow: visible; }
  figure, tr, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; }
  mark { border: 1px solid; print-color-adjust: exact; } }
"""
