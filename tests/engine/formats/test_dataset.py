"""Data files: what is read, and what each bad line is told."""

import json

import pyarrow
import pytest
from pyarrow import parquet

from engine.formats import dataset
from engine.formats.dataset import Row, describe, fingerprint, read_rows, snapshot
from engine.formats.errors import DataError, StudioError

GOOD = b'{"prompt": "a", "completion": "b"}\n'


@pytest.fixture
def write(tmp_path):
    def _write(content: bytes, name: str = "tasks.jsonl"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return _write


def test_json_lines(write):
    content = "\ufeff" + json.dumps({"prompt": "ä", "completion": "ö", "task": 1}) + "\n" + GOOD.decode()
    assert read_rows(write(content.encode())) == [Row("ä", "ö"), Row("a", "b")]


def test_limit_reads_the_first_rows_only(write):
    assert len(read_rows(write(GOOD * 3 + b"broken"), limit=2)) == 2
    with pytest.raises(DataError, match="at least one"):
        read_rows(write(GOOD), limit=0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "empty"),
        (b"[1]", "not a JSON object"),
        (b'{"prompt": "a"}', '"completion" is missing'),
        (b'{"completion": "a"}', '"prompt" is missing'),
        (b'{"prompt": 3, "completion": "a"}', '"prompt" is a number'),
        (b'{"prompt": "a", "completion": null}', '"completion" is nothing'),
        (b'{"prompt": "a", "completion": "  "}', "completion is empty"),
        (b'{"prompt": "\xff", "completion": "a"}', "not UTF-8"),
        (b'{"prompt": "\\ud800", "completion": "a"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"prompt": "a", "completion": "b", "messages": []}', "one of the two"),
        (b'{"messages": []}', "do not end with an answer"),
        (b'{"messages": [{"role": "user"}]}', "not a list of roles"),
        (
            b'{"messages": [{"role": "root", "content": "a"}, {"role": "assistant", "content": "a"}]}',
            '"root"',
        ),
        (b'"' + b"a" * dataset.MAX_LINE + b'"', "longer than 4 MB"),
    ],
)
def test_a_bad_line_is_named(write, line, reason):
    with pytest.raises(DataError) as caught:
        read_rows(write(GOOD + line + b"\n" + GOOD))
    assert caught.value.message.startswith("tasks.jsonl, line 2: ")
    assert reason in caught.value.message
    assert caught.value.hint


def test_messages_keep_their_turns_and_have_a_plain_form(write):
    turns = [("system", "Be short."), ("user", "Hi"), ("assistant", "Hello")]
    long = json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})
    short = json.dumps({"messages": [{"role": role, "content": text} for role, text in turns[1:]]})
    rows = read_rows(write(f"{long}\n{short}\n".encode()))
    assert [(turn.role, turn.content) for turn in rows[0].messages] == turns
    assert rows[0].prompt == "system: Be short.\nuser: Hi\nassistant: "
    assert (rows[1].prompt, rows[1].completion) == ("Hi", "Hello")


def test_csv(write):
    rows = read_rows(write(b'prompt,completion,note\r\n"a\nb",c,1\r\n"d,""e""",f,2\r\n', "tasks.csv"))
    assert rows == [Row("a\nb", "c"), Row('d,"e"', "f")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"question,answer\na,b\n", "line 1: no columns prompt and completion"),
        (b"prompt,completion\na,b\na,b,c\n", "line 3: 3 columns where the header has 2"),
        (b'prompt,completion\n"a\nb",c\na,\n', "line 4: the completion is empty"),
        (b'prompt,completion\na,"b', "line 2: not CSV"),
        (b"prompt,completion\na,\xff\n", "line 2: not UTF-8"),
        (b"prompt,prompt,completion\n", "line 1: a column appears twice"),
    ],
)
def test_a_bad_csv_line_is_named(write, content, reason):
    with pytest.raises(DataError, match=reason):
        read_rows(write(content, "tasks.csv"))


def test_parquet(tmp_path):
    path = tmp_path / "tasks.parquet"
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    parquet.write_table(pyarrow.table({"prompt": ["a", "c"], "completion": ["b", None]}), path)
    assert read_rows(path, limit=1) == [Row("a", "b")]
    with pytest.raises(DataError, match='row 2: the field "completion" is missing'):
        read_rows(path)
    parquet.write_table(pyarrow.table({"messages": [turns]}), path)
    assert (read_rows(path)[0].prompt, read_rows(path)[0].completion) == ("a", "b")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="not a readable Parquet"):
        read_rows(path)


def test_empty_missing_and_strange_files(write, tmp_path):
    with pytest.raises(DataError, match="no examples"):
        read_rows(write(b""))
    with pytest.raises(DataError, match="There is no file"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="not a kind"):
        read_rows(write(GOOD, "tasks.txt"))


def test_describe(write):
    found = describe(write(GOOD * 5))
    assert (found.name, found.rows, found.sample) == ("tasks", 5, [("a", "b")] * 3)
    assert len(found.sha256) == 64


def test_snapshot_is_named_by_its_content_and_made_once(write, tmp_path):
    source = write(GOOD)
    copy = snapshot(source, tmp_path / "data")
    assert copy.stem == describe(source).sha256
    assert snapshot(source, tmp_path / "data") == copy
    source.write_bytes(GOOD * 2)
    assert copy.read_bytes() == GOOD
    assert snapshot(source, tmp_path / "data") != copy
    assert len(list((tmp_path / "data").iterdir())) == 2


def test_snapshot_on_a_full_disk_says_so_and_leaves_nothing(write, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset.shutil, "copyfileobj", full)
    with pytest.raises(StudioError, match="disk is full"):
        snapshot(write(GOOD), tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_rows_have_one_fingerprint_whatever_file_they_came_from(write):
    lines = read_rows(write(GOOD + b'{"prompt": "c", "completion": "d"}\n'))
    table = read_rows(write(b"completion,prompt\nb,a\nd,c\n", "tasks.csv"))
    assert fingerprint(lines) == fingerprint(table) != fingerprint(lines[::-1])
    assert fingerprint([Row("a", "bc")]) != fingerprint([Row("ab", "c")])
