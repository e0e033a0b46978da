"""Terminals, pipes and files: what is written where, and what happens when it closes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from orchestrator.terminal import sentences
from tests.places import ROOT

COMMANDS = (
    "search",
    "verify",
    "compare",
    "models",
    "prepare",
    "train",
    "cluster",
    "recommend",
    "anonymize",
    "watch",
    "study",
)
HEAVY = ("torch", "ray", "optuna", "pandas", "onnxruntime", "cv2", "scipy", "plotly", "pyarrow")


def python(code: str, **given: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **given)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{command}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('orchestrator.{command}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--space", "atlantis"],
        ["--trials", "0"],
        ["--objective", "beauty", "--objective", "ssim"],
        ["--attacker", "nobody"],
        ["--resume", "--overwrite"],
        ["--gpus-per-panel", "half"],
    ],
    ids=" ".join,
)
def test_a_refusal_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['search', *{arguments}]\n"
        "try:\n"
        "    runpy.run_module('orchestrator.search', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 2, end.code\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = python(code)
    assert (done.returncode, done.stdout) == (0, "heavy: []\n"), done.stderr
    assert "error: --" in done.stderr


SLOW = ("torch", "ray", "optuna", "pandas", "onnxruntime", "cv2", "scipy", "plotly")
"""What takes a second and more."""


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("search", ["--data", "/nowhere"]),
        ("search", ["--data", ".", "--models", "/nowhere"]),
        ("search", ["--data", "orchestrator", "--models", "."]),
        ("search", ["--out", "/etc/passwd/below"]),
        ("search", ["--resume", "--out", "/nowhere"]),
        ("search", ["--objective", "fid", "--objective", "mse"]),
        ("search", ["--address", "nonsense"]),
        ("search", ["--backend", "inprocess", "--panels", "2"]),
        ("search", ["--copy-to", "s3:/x"]),
        ("verify", ["/nowhere"]),
        ("verify", [".", "--attacker", "nobody"]),
        ("compare", ["/nowhere"]),
        ("watch", ["/nowhere"]),
        ("study", ["make", "/nowhere"]),
        ("study", ["read", "answers.json", "--results", "/nowhere"]),
        ("recommend", ["/nowhere", "--rank1-worst", "0.1"]),
        ("anonymize", ["/nowhere", "out", "--method", "blur"]),
        ("search", ["--families", "/etc/passwd"]),
        ("prepare", ["lfww", "--models", "."]),
        ("prepare", [".", "--models", "/nowhere"]),
        ("train", ["--space", "atlantis"]),
        ("models", ["pull", "edgefce"]),
        ("models", ["list", "--models", "/nowhere"]),
        ("cluster", ["--address", "nonsense"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_refusal_comes_before_what_measures_is_imported(command: str, arguments: list[str]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{command}', *{arguments}]\n"
        "try:\n"
        f"    runpy.run_module('orchestrator.{command}', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 2, end.code\n"
        f"print('slow:', [name for name in {SLOW} if name in sys.modules])\n"
    )
    done = python(code)
    assert (done.returncode, done.stdout) == (0, "slow: []\n"), done.stdout + done.stderr
    assert done.stderr.startswith("error: "), done.stderr


MANY = "from orchestrator.terminal import make_console\nc = make_console()\n"


def test_a_pipe_that_closes_ends_the_words_and_not_the_work() -> None:
    code = MANY + (
        "import sys\nfor n in range(20000):\n    c.print('line', n)\n"
        "print('still here', file=sys.stderr)\nsys.exit(7)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.stderr.read() == "still here\n"
    assert process.wait() == 7


def test_standard_output_may_be_closed() -> None:
    code = MANY + (
        "import os, sys\nc.print('nobody reads this')\nfile = open('/dev/null', 'rb')\n"
        "assert file.fileno() > 2, file.fileno()\nprint('done', file=sys.stderr)\n"
    )
    done = subprocess.run(
        ["bash", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "done\n")


def test_a_full_disk_under_the_log_is_said_once() -> None:
    code = MANY + "for n in range(5):\n    c.print('x' * 10000)\n    c.file.flush()\n"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 0
    assert done.stderr == "standard output: No space left on device; goes on without it\n"


def test_colors_may_be_forced_into_a_file_but_nothing_moves_there() -> None:
    code = MANY + (
        "from orchestrator.sweep.progress import PlainProgress, make_progress\n"
        "assert isinstance(make_progress(c), PlainProgress)\nc.print('a', style='red')\n"
        "with c.status('waiting'):\n    pass\n"
    )
    done = python(code, env={"FORCE_COLOR": "1", "PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (0, "\x1b[31ma\x1b[0m\n"), done.stderr
    assert python(code, env={"PATH": "/usr/bin:/bin"}).stdout == "a\n"


def test_what_an_encoding_lacks_is_escaped() -> None:
    code = MANY + "c.print('é –', '\\udcff')\n"
    done = python(code, env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (0, "\\xe9 \\u2013 \\udcff\n"), done.stderr


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_interrupted_says_so(signal: str) -> None:
    code = (
        "import os, signal\nfrom orchestrator.terminal import sentences\n"
        "import typer\n"
        "def main() -> None:\n    with sentences():\n"
        f"        os.kill(os.getpid(), signal.{signal})\n"
        "typer.run(main)\n"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def lines_of(*words: str, **streams: object) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True, **streams)  # type: ignore[call-overload]
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [("orchestrator.search", "--help"), ("orchestrator.search", "--list-metrics")])
def test_words_that_are_all_there_is_and_go_nowhere_are_an_error(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        code, told = lines_of(*words, stdout=full)
    assert code == 1 and "standard output: No space left on device" in told and "Traceback" not in told


def test_help_is_written_in_the_letters_that_a_terminal_has() -> None:
    code, told = lines_of(
        "orchestrator.search", "--help", stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert (code, told) == (0, "")


def test_what_users_name_is_no_picture(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), sentences():
        raise ValueError("--space raises:X: expected a module")
    assert "raises:X:" in capfd.readouterr().err
