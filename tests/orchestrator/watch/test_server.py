"""The page of a running sweep: what the ledger holds, loopback alone, one request at a time."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from orchestrator.records.event_log import LOG
from orchestrator.records.files import LEDGER
from orchestrator.records.ledger import Ledger
from orchestrator.watch.server import Server, dashboard_of, is_loopback, serve
from tests.helpers.sample_rows import SWEEP, sample


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / LEDGER, SWEEP) as ledger:
        for one in sample()[:4]:
            ledger.append(one)
        yield ledger


@pytest.fixture
def server(ledger: Ledger) -> Iterator[Server]:
    with serve(ledger.path.parent) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: Server, path: str = "", host: str | None = None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.request("GET", f"/{path}", headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_it_shows_what_has_ended_and_notices_what_ends_next(server: Server, ledger: Ledger) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    assert json.loads(get(server, "state")[1]) == {"trials": 4}
    status, page = get(server)
    assert status == 200 and "4 trials have ended, of" in page and "connect-src 'self'" in page
    ledger.append(sample()[4])
    assert json.loads(get(server, "state")[1]) == {"trials": 5}
    assert "state.trials !== 5" in get(server)[1]


def test_it_writes_nothing(server: Server, ledger: Ledger) -> None:
    before = {path.name: path.read_bytes() for path in ledger.path.parent.iterdir()}
    get(server)
    assert {path.name: path.read_bytes() for path in ledger.path.parent.iterdir()} == before


def test_another_name_that_leads_here_gets_nothing(server: Server) -> None:
    assert get(server, host="evil.example:80")[0] == 403
    assert get(server, host=f"localhost:{server.server_address[1]}")[0] == 200
    assert get(server, "../ledger.arrow")[0] == 404


def test_a_damaged_ledger_is_told(ledger: Ledger, server: Server) -> None:
    ledger.path.write_bytes(b"not a ledger")
    status, said = get(server)
    assert status == 500 and "ledger" in said


def test_a_port_that_is_taken_is_told(server: Server, ledger: Ledger) -> None:
    port = server.server_address[1]
    with pytest.raises(OSError, match=rf"--port {port}: expected an address of this machine that is free"):
        serve(ledger.path.parent, port=port)


def test_a_host_that_is_no_address_is_told_by_its_own_option(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("orchestrator.watch.server.Server.server_bind", unknown)  # no name server is asked
    with pytest.raises(ValueError, match=r"--host: expected an address or a name of this machine, got 'nowhere'"):
        serve(ledger.path.parent, host="nowhere")


def test_the_dashboard_is_linked_where_the_log_names_one(tmp_path: Path) -> None:
    log = tmp_path / LOG
    assert dashboard_of(log) == ""
    log.write_text('{"event": "Ray 2.60.0 is up, its dashboard at http://127.0.0.1:8265"}\n')
    assert dashboard_of(log) == "http://127.0.0.1:8265"
    log.write_text("""{"event": "dashboard at http://x'onclick=alert(1)"}""")
    assert dashboard_of(log) == "http://x"


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("evil.example", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: str, own: bool) -> None:
    assert is_loopback(host) is own
