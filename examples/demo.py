"""Label thirty job ads with ESCO's skills, without and with a language model, and compare: what ``make demo`` runs.

Only what is missing is downloaded, so a second run works offline, takes seconds and does nothing twice.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from labelmill import Document, Labeler, LabelmillError, Taxonomy
from labelmill.cli.console import Progress
from labelmill.corpus import read_documents
from labelmill.models.catalog import fetch_model
from labelmill.models.embedded import embedded_server
from labelmill.pipelines.evaluate import RunEvaluation, evaluate_run
from labelmill.store import Store
from labelmill.store.reader import predictions_of
from labelmill.taxonomy.esco import esco_taxonomy

HERE = Path(__file__).parent
ADS = HERE / "job_ads.jsonl"
CARD = HERE / "job_ads.toml"
OUT = Path(".demo") / "runs.duckdb"

METRICS = {"rp@5": "RP@5", "rp@10": "RP@10", "r@50": "R@50", "ndcg@10": "nDCG@10", "micro_f1": "micro F1"}
SHOWN = 3

NEXT = """\
The labels are in [bold]{out}[/]: ask for them with SQL, or with the command line:

  {bin}labelmill runs {out}
  {bin}labelmill eval {out} --gold {ads}
  {bin}labelmill export {out} --to labels.csv --selected

A model of 135 million parameters shows that a program runs, not how well one can label. Serve a larger one
(`vllm serve MODEL`) and give its address:

  {bin}labelmill taxonomy fetch esco --out esco.jsonl.gz
  {bin}labelmill label {ads} --taxonomy esco.jsonl.gz --labels-where "kind = 'skill'" \\
      --task {card} --lm http://127.0.0.1:8000/v1 --out {out}
"""


def main() -> None:
    """Fetch what is missing, label twice, compare."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 118)
    progress = Progress()
    skills = fetch_skills(progress)
    documents = [item for item in read_documents([ADS]) if isinstance(item, Document)]
    console.print(f"{len(documents)} job ads, {len(skills):,} skills of ESCO", style="bold")
    OUT.parent.mkdir(exist_ok=True)
    without = label(skills, "none", len(documents), progress)
    # Any MODEL@URL will do. This one lives in this process and keeps the instructions that all ads share, which makes
    # it three times as fast; lm="embedded" reads them anew each time, so that an answer depends on its ad alone.
    with embedded_server(reuse_prefix=True) as server:
        with_model = label(skills, f"{server.model}@{server.base_url}", len(documents), progress)
    runs = {"without a model": without, "with SmolLM2-135M": with_model}
    console.print(labels_table(documents, skills, with_model))
    console.print(metrics_table({who: evaluate_run(OUT, [ADS], run=run, ks=(5, 10, 50)) for who, run in runs.items()}))
    commands = f"{shown(Path(sys.prefix) / 'bin')}/"
    console.print(NEXT.format(out=OUT, ads=shown(ADS), card=shown(CARD), bin=commands), soft_wrap=True)


def fetch_skills(progress: Progress) -> Taxonomy:
    """Fetch the models and ESCO, unless they are here, and read ESCO's skills."""
    esco, *_ = [fetch_model(name, progress.fetching) for name in ("esco", "minilm", "smollm2")]
    # ESCO's groups share some names with skills, and the ads' gold names skills.
    return esco_taxonomy(esco / "esco.csv").where("kind = 'skill'")


def label(skills: Taxonomy, lm: str, total: int, progress: Progress) -> str:
    """Label the ads, or go on where an earlier call was stopped, and return the run's name."""
    with Labeler(skills, lm=lm, task=CARD, concurrency=1, progress=progress.building) as labeler:
        labeler.label_corpus([ADS], OUT, taxonomy_source="ESCO 1.1.1", total=total, on_progress=progress.labelling)
        progress.end()
        return labeler.run_name([ADS])


def labels_table(documents: Sequence[Document], skills: Taxonomy, run: str) -> Table:
    """Lay out each ad with the first labels of its ranking, a star at those that are gold."""
    with Store(OUT) as store:
        rows = predictions_of(store, run, [document.id for document in documents], depth=SHOWN)
    table = Table("job ad", f"first {SHOWN} labels with the model; * is gold", box=box.SIMPLE, show_lines=True)
    for document in documents:
        gold = {skills[skills.resolve(text)].id for text in document.labels or ()}
        found = [(label, name) for owner, _, label, name, *_ in rows if owner == document.id]
        lines = (f"[bold green]* {name}[/]" if label in gold else f"  {name}" for label, name in found)
        table.add_row(document.text, "\n".join(lines))
    return table


def metrics_table(results: Mapping[str, RunEvaluation]) -> Table:
    """Lay out the metrics of the runs side by side, in percent with 95% intervals."""
    documents = next(iter(results.values())).evaluation.documents
    table = Table(f"% of {documents} ads", *results, box=box.SIMPLE)
    for metric, title in METRICS.items():
        intervals = [result.evaluation.metrics[metric] for result in results.values()]
        table.add_row(title, *(f"{100 * i.value:.1f}  ({100 * i.low:.0f} to {100 * i.high:.0f})" for i in intervals))
    return table


def shown(path: Path) -> Path:
    """Shorten a path that lies below the working folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    try:
        main()
    except LabelmillError as error:
        sys.exit(f"demo: {error}")
