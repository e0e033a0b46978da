"""The site: these pages, and the API from the docstrings; `uv run --group docs sphinx-build -W docs site`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "Face anonymization search"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
html_theme = "furo"
html_title = project
html_show_sphinx = False

# Docstrings are Google's style and say `code` with one backtick.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
apidoc_modules = [
    {
        "path": f"../{package}",
        "destination": f"api/{package}",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "undoc-members", "show-inheritance", "ignore-module-all"},
    }
    for package in ("orchestrator", "search_spaces", "anonymizers", "evaluators")
]
exclude_patterns = ["api/*/modules.rst"]
myst_heading_anchors = 3
# One word, such as `size`, names fields of several classes: it stays a word.
suppress_warnings = ["ref.python"]
