"""Write the two pages that follow the code: METRICS.md from METRICS, STRUCTURE.md from the files' first sentences.

uv run python -m docs.generate
"""

from __future__ import annotations

import ast
from pathlib import Path

from evaluators.metrics import METRICS, Metric

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PACKAGES = ("orchestrator", "search_spaces", "anonymizers", "evaluators")
COLUMN = 36
"""Where the sentences of the tree begin."""

OTHERS = {
    "anonymizers/weights": "The project's own trained generators",
    "evaluators/demo/weights": "The demo networks",
    "orchestrator/records/report/template.html": "The page around every report",
    "orchestrator/study/page.html": "The page that participants see, and its program",
    "cluster.yaml": "A cluster on AWS, for ray up",
    "clusters": "Other clusters",
    "clusters/gcp.yaml": "Google Cloud",
    "clusters/local.yaml": "Own machines, over ssh",
    "clusters/kuberay.yaml": "Kubernetes",
    "clusters/slurm.sh": "Slurm",
    "clusters/grafana": "sweep.json: a Grafana board of a sweep's metrics",
    "clusters/try_local.sh": "Three hosts in network namespaces, and a sweep over them",
    "benchmarks": "Programs that print ratios",
    "tests": "One folder per package, one file per room; test_structure.py holds the rules between the packages",
    "tests/helpers": "What several tests need: fake panels, tiny networks, small sweeps",
    "docs": "These pages, which make a site with the API",
    "docs/index.md": "The first page of the site: the README, and what there is",
    "docs/RESULTS.md": "What was found, on demo faces and on LFW",
    "docs/PICTURES.md": "Your own pictures: which configuration, what is released, what stays",
    "docs/COMPARING.md": "Trials and sweeps side by side: differences, hypervolumes, attainment",
    "docs/STUDY.md": "Asking people: the page, its design, the tables of their answers",
    "docs/COSTS.md": "What it costs: seconds, memory, faces per second",
    "docs/METRICS.md": "Every column of the tables",
    "docs/STRUCTURE.md": "This tree",
    "docs/ADDING.md": "To add an anonymizer, a metric, an attacker, a signal, a network, an option",
    "docs/SEARCHING.md": "Long searches: samplers, constraints, warm starts, storages, resuming",
    "docs/CLUSTER.md": "The same search on many machines",
    "docs/LOG.md": "What was tried, and did not help",
    "docs/conf.py": "How the site is built",
    "docs/generate.py": "Writes METRICS.md and STRUCTURE.md",
}
"""What has no docstring of its own, or is no Python."""

METRICS_HEAD = """# Metrics

Written from `METRICS` in `evaluators/metrics/__init__.py` by `python -m docs.generate`. Each is a column of
`trials.parquet` and `front.parquet`; those with an interval have `<metric>_lo` and `<metric>_hi` beside it, 95 %, over
people; where a method gives one picture to several people, over these pictures too. Whom attackers and readers were
trained on is not in them: other people would move a single row by 0.02 to 0.03 more; differences between rows are on
the same people. What cannot be measured is null, never 0. Better is what makes an anonymizer more private or more
useful.

| metric | better | range | unit | interval | what it is | source |
|---|---|---|---|---|---|---|
"""

STRUCTURE_HEAD = """# Where things are

Written from the first sentence of every file by `python -m docs.generate`; that of a folder is its `__init__.py`'s.

    orchestrator ──┬──> search_spaces ──┬──> anonymizers      Ray, tables, files, time: orchestrator only
                   └──> evaluators ─────┘                     evaluators and search_spaces do not import each other

A trial, end to end:

    driver: Sweep proposes ──config──> Tune trial (a courier, reused) ──≈100 B──> panel actor: score
    driver: racing, row, front <──result── courier <──── Scores, after each stage ─────┘

"""


def metrics_page() -> str:
    """Return the text of METRICS.md."""
    return METRICS_HEAD + "".join(_metric_row(name, metric) for name, metric in METRICS.items())


def structure_page() -> str:
    """Return the text of STRUCTURE.md."""
    parts = [_tree(ROOT / package) for package in PACKAGES]
    outside = [path for path in OTHERS if path.partition("/")[0] not in PACKAGES]
    lines = [_line(path, OTHERS[path]) for path in outside if not path.startswith("benchmarks")]
    benchmarks = [_line("benchmarks", OTHERS["benchmarks"])]
    benchmarks += [_line(_name(path), _sentence(path)) for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    return STRUCTURE_HEAD + "\n\n".join("\n".join(part) for part in (*parts, lines, benchmarks)) + "\n"


def _metric_row(name: str, metric: Metric) -> str:
    low = "(−∞" if metric.low is None else f"[{metric.low:g}"
    high = "∞)" if metric.high is None else f"{metric.high:g}]"
    better = {"min": "lower", "max": "higher"}[metric.direction]
    interval = "yes" if metric.interval else ""
    cells = (f"`{name}`", better, f"{low}, {high}", metric.unit, interval, metric.description, metric.source)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _tree(folder: Path) -> list[str]:
    """List a folder and what is in it, folders last."""
    lines = [_line(_name(folder), OTHERS.get(_name(folder)) or _sentence(folder / "__init__.py"))]
    files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    lines += [_line(_name(path), _sentence(path)) for path in files]
    lines += [_line(_name(path), OTHERS[_name(path)]) for path in sorted(folder.glob("*.html"))]
    for path in sorted(folder.iterdir()):
        if (path / "__init__.py").is_file() or (_name(path) in OTHERS and path.is_dir()):
            lines += _tree(path)
    return lines


def _line(name: str, sentence: str) -> str:
    depth, last = name.count("/"), name.rpartition("/")[2]
    shown = "    " + "  " * depth + last + ("/" if (ROOT / name).is_dir() else "")
    return f"{shown:<{COLUMN}}  {sentence.rstrip('.')}"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _sentence(path: Path) -> str:
    """Return the first line of a file's docstring, or of its first class with its name."""
    module = ast.parse(path.read_text())
    if text := ast.get_docstring(module):
        return text.splitlines()[0]
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    if not classes or not (text := ast.get_docstring(classes[0])):
        raise ValueError(f"{_name(path)}: expected a docstring of the file or of its first class, got none")
    line = text.splitlines()[0]
    return f"{classes[0].name}: {line[0].lower()}{line[1:]}"


if __name__ == "__main__":
    (DOCS / "METRICS.md").write_text(metrics_page())
    (DOCS / "STRUCTURE.md").write_text(structure_page())
