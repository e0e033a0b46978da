"""The server of a running sweep's report: loopback alone, one page, and the number of trials that have ended."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from orchestrator.records.arrow.messages import sweep_of
from orchestrator.records.event_log import LOG
from orchestrator.records.files import LEDGER
from orchestrator.records.ledger import read
from orchestrator.records.report.page import text_cell
from orchestrator.records.report.searched import write_report
from orchestrator.records.tables import write_details, write_tables
from orchestrator.records.trials import trial_rows

DASHBOARD = re.compile(r"dashboard at (https?://[\w.:\[\]-]+)")
OFFLINE, LIVE = "default-src 'none';", "default-src 'none'; connect-src 'self';"
"""How the page's policy begins: it may ask this server, and nobody else, whether there is more to see."""
FOLLOW = """<script>
(() => {
  const slider = document.getElementById("bound");
  const kept = sessionStorage.getItem("bound");
  if (slider && kept !== null) { slider.value = kept; slider.dispatchEvent(new Event("input")); }
  if (slider) slider.addEventListener("input", () => sessionStorage.setItem("bound", slider.value));
  const ask = async () => {
    try {
      const state = await (await fetch("state")).json();
      if (state.trials !== TRIALS) location.reload();
      document.getElementById("live").textContent = "live";
    } catch { document.getElementById("live").textContent = "the watching program has ended"; }
  };
  setInterval(ask, 2000);
})();
</script>"""


class Live:
    """Keep the page of a results folder, made anew when its ledger has grown."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._page, self._trials = "", 0

    def trials(self) -> int:
        """Return how many trials have ended."""
        self._look()
        return self._trials

    def page(self) -> str:
        """Return the page of what has ended."""
        self._look()
        return self._page

    def _look(self) -> None:
        with self._lock:
            facts = (self.results / LEDGER).stat()
            seen = (facts.st_size, facts.st_mtime_ns)
            if seen != self._seen:
                self._page, self._trials = page_of(self.results)
                self._seen = seen


def page_of(results: Path) -> tuple[str, int]:
    """Make the page of a sweep from its ledger; return it and the number of trials that have ended.

    Raises:
        ValueError: if the ledger is damaged.
    """
    table = read(results / LEDGER)
    sweep, rows = sweep_of(table.schema), trial_rows(table)
    with tempfile.TemporaryDirectory(prefix="watch-") as scratch:
        front = write_tables(table, sweep, scratch)
        path = Path(scratch) / "report.html"
        write_report(path, sweep, rows, front, details=write_details(table, sweep, front, scratch))
        page = path.read_text(encoding="utf-8")
    dashboard = dashboard_of(results / LOG)
    link = f", <a href='{text_cell(dashboard)}'>Ray's dashboard</a>" if dashboard else ""
    ended = f"{len(rows)} trials have ended, of {sweep['trials']} and the anchors"
    bar = f"<p class='soft'><b id='live'>live</b>: {ended}{link}</p>"
    page = page.replace(OFFLINE, LIVE, 1).replace("<main>", f"<main>{bar}", 1)
    return page.replace("</body>", FOLLOW.replace("TRIALS", str(len(rows))) + "</body>", 1), len(rows)


def dashboard_of(log: Path) -> str:
    """Return where a log says that Ray's dashboard is; "" where it says nothing."""
    if not log.is_file():
        return ""
    found = DASHBOARD.findall(log.read_text(encoding="utf-8", errors="replace"))
    return found[-1] if found else ""


class Server(ThreadingHTTPServer):
    """Serve one results folder."""

    daemon_threads = True

    def __init__(self, results: Path, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.live = Live(results)
        self.local = is_loopback(host)

    @property
    def address(self) -> str:
        """Return what a browser is given."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class Handler(BaseHTTPRequestHandler):
    """Answer for the page and for the number of trials."""

    server: Server
    server_version, sys_version = "watch", ""

    def do_GET(self) -> None:
        """Answer one request; a page of another name, rebound to this machine, gets nothing."""
        if self.server.local and not is_loopback(_name_in(self.headers.get("Host", ""))):
            self._answer(403, "text/plain", "expected this machine's own address")
        elif self.path == "/":
            self._made(lambda: ("text/html", self.server.live.page()))
        elif self.path == "/state":
            self._made(lambda: ("application/json", json.dumps({"trials": self.server.live.trials()})))
        else:
            self._answer(404, "text/plain", "expected / or /state")

    def _made(self, make: Callable[[], tuple[str, str]]) -> None:
        try:
            kind, text = make()
        except (OSError, ValueError) as error:
            self._answer(500, "text/plain", str(error))
        else:
            self._answer(200, kind, text)

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


def serve(results: Path, *, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Open the server of a results folder; `serve_forever` serves.

    Raises:
        ValueError: if the ledger is damaged, or the host is no address.
        OSError: if the address cannot be had.
    """
    try:
        server = Server(results, host, port)
    except socket.gaierror as error:
        raise ValueError(
            f"--host: expected an address or a name of this machine, got {host!r}: {error.strerror}; name 127.0.0.1 or "
            "one that it has"
        ) from None
    except OSError as error:
        raise OSError(
            f"--port {port}: expected an address of this machine that is free, {host}:{port} is not: "
            f"{error.strerror or error}; name another --port, or 0 for any"
        ) from None
    try:
        server.live.trials()
    except BaseException:
        server.server_close()
        raise
    return server


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's own, which nobody else can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_in(host: str) -> str:
    """Return the name or address of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
