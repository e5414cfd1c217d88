"""Training and test data on disk: JSON lines, CSV or Parquet with prompt and completion, or with messages.

A file is read to its end or not at all: the first line that cannot be used stops the reading with its
number and the reason, and nothing is skipped. Numbers are those an editor shows: line 1 is the first line
of the file (a CSV header included); in a Parquet file they count rows.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from engine.formats.errors import DataError
from engine.formats.files import explain_os_error, sha256_file, sync_file, sync_folder
from engine.messages import DataSet

__all__ = ["MAX_LINE", "Message", "Row", "describe", "fingerprint", "read_rows", "snapshot"]

MAX_LINE = 4 * 2**20
"""Bytes that one line, or one row of a table, may have."""

ROLES = ("system", "user", "assistant")
SHAPE_HINT = 'Each line needs "prompt" and "completion", or "messages" that end with the assistant\'s answer.'


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Row:
    """One example: what is asked and what shall be answered.

    A row that came as ``messages`` keeps them, for a tokenizer with a chat template; its ``prompt`` is then
    the plain form used where there is none: a single user turn as it stands, anything longer as "role:
    content" lines that end with "assistant: ".
    """

    prompt: str
    completion: str
    messages: tuple[Message, ...] = ()


def read_rows(path: str | Path, limit: int | None = None) -> list[Row]:
    """All rows of a data file, or its first ``limit``.

    Raises DataError for the first row that cannot be used, for an empty file and for a file of another kind.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise DataError(f"{limit} rows of {path.name} were asked for.", "Ask for at least one row.")
    with _open(path) as file:
        rows = [_row(fields, where) for where, fields in islice(_table(file, path), limit)]
    if not rows:
        raise DataError(f"{path.name} holds no examples.", SHAPE_HINT)
    return rows


def fingerprint(rows: Iterable[Row]) -> str:
    """SHA-256 in hex of what the rows ask and answer, in order, whatever kind of file they came from."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(msgspec.json.encode((row.prompt, row.completion)) + b"\n")
    return digest.hexdigest()


def describe(path: str | Path) -> DataSet:
    """Read a file to its end and say what is in it: rows, sha256 and three samples. Raises DataError."""
    path = Path(path)
    rows = read_rows(path)
    return DataSet(
        name=path.stem,
        path=str(path.resolve()),
        rows=len(rows),
        sha256=sha256_file(path),
        sample=[(row.prompt, row.completion) for row in rows[:3]],
    )


def snapshot(path: str | Path, folder: str | Path) -> Path:
    """Copy a data file to ``folder`` under its own sha256: a job keeps its data whatever happens to the file.

    A copy that is already there is used. Raises DataError when the file cannot be read, StudioError("disk")
    when the copy cannot be written; the folder then holds nothing new.
    """
    path, folder = Path(path), Path(folder)
    with _open(path) as source:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".snapshot-", dir=folder) as work:
                copy = Path(work, path.name)
                with copy.open("wb") as file:
                    shutil.copyfileobj(source, file)
                # The copy is hashed, not the original, which another program may still be writing.
                target = folder / f"{sha256_file(copy)}{path.suffix.lower()}"
                if not target.exists():
                    sync_file(copy)
                    copy.replace(target)
                    sync_folder(folder)
        except OSError as error:
            raise explain_os_error(error, "copying the data of the job") from error
    return target


def _open(path: Path) -> BinaryIO:
    if not path.is_file():
        raise DataError(
            f"There is no file {path.name}.", "Choose a .jsonl, .csv or .parquet file.", str(path)
        )
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.", detail=str(path)) from error


def _unusable(where: str, reason: str) -> DataError:
    return DataError(f"{where}: {reason}.", SHAPE_HINT)


def _table(file: BinaryIO, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record with the place where it stands ("tasks.jsonl, line 7")."""
    match path.suffix.lower():
        case ".jsonl" | ".json" | ".ndjson":
            return _json_lines(file, path.name)
        case ".csv":
            return _csv_lines(file, path.name)
        case ".parquet":
            return _parquet_rows(file, path.name)
    raise DataError(
        f"{path.name} is not a kind of data file that can be read.",
        "Use JSON lines (.jsonl), .csv or .parquet.",
    )


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """Bounded, decoded lines. A byte order mark at the start is not text."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > MAX_LINE:
            raise _unusable(where, f"longer than {MAX_LINE // 2**20} MB")
        try:
            yield where, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise _unusable(where, f"not UTF-8 text (byte {error.start + 1} of the line)") from error


def _json_lines(file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, line in _lines(file, name):
        if not line.strip():
            raise _unusable(where, "empty")
        try:
            fields = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _unusable(where, f"not JSON ({error})") from error
        if not isinstance(fields, dict):
            raise _unusable(where, "not a JSON object")
        yield where, fields


def _csv_lines(file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    table = csv.reader((line for _, line in _lines(file, name)), strict=True)
    header: list[str] = []
    csv.field_size_limit(MAX_LINE)
    first = 1
    try:
        for cells in table:
            where, first = f"{name}, line {first}", table.line_num + 1
            if not header:
                header = cells
                _check_header(header, where)
            elif len(cells) != len(header):
                raise _unusable(where, f"{len(cells)} columns where the header has {len(header)}")
            else:
                yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise _unusable(f"{name}, line {first}", f"not CSV ({error})") from error


def _parquet_rows(file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(file)
        columns = [
            column for column in ("prompt", "completion", "messages") if column in table.schema_arrow.names
        ]
        _check_header(columns, name)
        number = 0
        for batch in table.iter_batches(batch_size=256, columns=columns):
            for fields in batch.to_pylist():
                number += 1
                yield (
                    f"{name}, row {number}",
                    {key: value for key, value in fields.items() if value is not None},
                )
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{name} is not a readable Parquet file.", "Write it again.", str(error)) from error


def _check_header(columns: list[str], where: str) -> None:
    if len(set(columns)) != len(columns):
        raise _unusable(where, "a column appears twice")
    if "messages" not in columns and not {"prompt", "completion"} <= set(columns):
        raise _unusable(where, "no columns prompt and completion, and none called messages")


def _row(fields: dict[str, Any], where: str) -> Row:
    if "messages" in fields:
        if "prompt" in fields or "completion" in fields:
            raise _unusable(where, "has messages and a prompt or completion; one of the two")
        return _conversation(fields["messages"], where)
    for field in ("prompt", "completion"):
        if field not in fields:
            raise _unusable(where, f'the field "{field}" is missing')
        if not isinstance(fields[field], str):
            raise _unusable(where, f'"{field}" is {_kind(fields[field])}, not text')
    return _checked(Row(fields["prompt"], fields["completion"]), where)


def _conversation(value: object, where: str) -> Row:
    try:
        turns = (
            msgspec.json.decode(value, type=list[Message])
            if isinstance(value, str)
            else msgspec.convert(value, type=list[Message])
        )
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unusable(where, f'"messages" is not a list of roles and contents ({error})') from error
    for turn in turns:
        if turn.role not in ROLES:
            raise _unusable(where, f'the role "{turn.role}" is none of {", ".join(ROLES)}')
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise _unusable(where, '"messages" do not end with an answer of the assistant')
    asked, answer = turns[:-1], turns[-1]
    if [turn.role for turn in asked] == ["user"]:
        prompt = asked[0].content
    else:
        prompt = "".join(f"{turn.role}: {turn.content}\n" for turn in asked) + "assistant: "
    return _checked(Row(prompt, answer.content, tuple(turns)), where)


def _checked(row: Row, where: str) -> Row:
    if not row.completion.strip():
        raise _unusable(where, "the completion is empty")
    if len(row.prompt) + len(row.completion) > MAX_LINE:
        raise _unusable(where, f"longer than {MAX_LINE // 2**20} MB")
    return row


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "nothing" if value is None else type(value).__name__)
