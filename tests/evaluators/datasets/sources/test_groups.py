"""Groups of people by a table: what is read, what is refused, how numbers are cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluators.datasets.protocol import LEAST_PEOPLE, Protocol
from evaluators.datasets.sources.groups import read_people_table, told_groups, with_groups
from evaluators.demo.protocol import demo_protocol
from tests.places import SHARED

LONDON = SHARED / "data" / "london"


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return demo_protocol(evaluated=24, pictures=4, attacker=4, background=4)


def people_of(protocol: Protocol) -> list[str]:
    return list(dict.fromkeys(key.partition("/")[0] for key in protocol.probe.key))


def table(path: Path, protocol: Protocol, extra: str = "") -> Path:
    lines = [f"{who},{('a', 'b')[n < 6]},{20 + n // 2}" for n, who in enumerate(people_of(protocol)[:-1])]
    path.write_text("who, kind, age\n" + "\n".join(lines) + "\nsomebody else,a,90\n" + extra, encoding="utf-8-sig")
    return path


def test_people_get_their_groups_numbers_in_thirds_and_small_groups_are_told_apart(
    protocol: Protocol, tmp_path: Path
) -> None:
    grouped = with_groups(protocol, read_people_table(table(tmp_path / "people.csv", protocol)))
    assert grouped.digest == protocol.digest
    assert grouped.groups["kind"] == ("b",) * 6 + ("a",) * 17 + (None,)
    assert grouped.describe()["groups"] == {
        "kind": {"a": 17, "b": 6},
        "age": {"20 to 22": 6, "23 to 26": 8, "27 to 31": 9},  # as equal as pairs of one age allow
    }
    assert grouped.facts["n_people_without_group"] == 1
    enough, few = told_groups(grouped.describe())
    assert enough == [("kind", "a", 17)] and ("kind", "b", 6) in few and LEAST_PEOPLE == 10
    assert list(grouped.parts) == [("kind", "a")]
    rows = grouped.parts["kind", "a"]
    assert {grouped.probe.key[int(row)].partition("/")[0] for row in rows} == set(people_of(protocol)[6:-1])
    assert protocol.parts == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "begins with ''"),
        ("who\na\n", "begins with 'who'"),
        ("who,kind,kind\na,b,c\n", "each with a name of its own"),
        ("who,kind\n", "no people below its header"),
        ("who,kind\na,b,c\n", "3 cells for 'a', and 2 columns"),
        ("who,kind\na,b\na,c\n", "each person once, .* has 'a' 2 times"),
        ('who,kind\n"a,b\n', "unexpected end of data"),
        ("who,kind\nstranger,a\n", "expected people of demo, such as .*, got others, such as 'stranger'"),
    ],
)
def test_other_tables_are_refused(text: str, sentence: str, protocol: Protocol, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=sentence) as refused:
        with_groups(protocol, read_people_table(path))
    assert str(refused.value).startswith("--groups: ")


def test_names_are_no_groups(protocol: Protocol, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("who,name\n" + "\n".join(f"{who},name of {who}" for who in people_of(protocol)) + "\n")
    with pytest.raises(ValueError, match=r"'name' of .* has 24 different values; leave that column out"):
        with_groups(protocol, read_people_table(path))
    with pytest.raises(ValueError, match="is no file"):
        read_people_table(tmp_path / "nothing.csv")


@pytest.mark.skipif(not (LONDON / "london_info.csv").is_file(), reason="no London set on this machine")
def test_the_london_sets_table_is_read() -> None:
    found = read_people_table(LONDON / "london_info.csv")
    assert list(found.attributes) == ["face_age", "face_gender", "face_eth"] and len(found.people) == 102
    assert found.attributes["face_gender"]["001"] == "female"
