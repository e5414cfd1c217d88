"""A table of contents of which only the beginning was read."""

import json
import random
import struct

import pytest

from engine.formats.cut_header import header_end, parse_cut
from engine.formats.errors import AdapterError
from engine.formats.safetensors_file import parse_header


def table(count=6, metadata=None):
    entries = {} if metadata is None else {"__metadata__": metadata}
    for number in range(count):
        place = [number * 24, number * 24 + 24]
        entries[f"läyers.{number}.lora_A.weight"] = {"dtype": "F32", "shape": [2, 3], "data_offsets": place}
    return entries


def packed(entries, indent=None, size=None, padding=0):
    """(the header's bytes, the size of the file)"""
    text = json.dumps(entries, ensure_ascii=False, indent=indent).encode() + b" " * padding
    body = sum(e["data_offsets"][1] - e["data_offsets"][0] for n, e in entries.items() if n != "__metadata__")
    return struct.pack("<Q", len(text)) + text, size or 8 + len(text) + body


@pytest.mark.parametrize("indent", [None, 2])
def test_every_cut_gives_the_entries_before_it(indent):
    head, size = packed(table(metadata={"format": "pt", "odd": 'a "}{" brace'}), indent)
    whole, last = parse_header(head, size), -1
    for cut in range(9, len(head)):
        seen, share = parse_cut(head[:cut], size)
        assert seen == {name: whole[name] for name in list(whole)[: len(seen)]}
        assert len(seen) >= last and share == cut / len(head) < 1
        last = len(seen)
    assert last == 5 or last == 6  # the last one is known once its comma or brace is there
    assert parse_cut(head, size) == (whole, 1.0)
    assert parse_cut(head + b"more", size) == (whole, 1.0)


def test_where_the_header_ends():
    head, _ = packed(table())
    assert header_end(head) == header_end(head[:9]) == header_end(head[:8]) == len(head)
    for other in (
        b"",
        b"\x01\x00",
        b"\xff" * 20,
        b"PK\x03\x04" + bytes(20),
        struct.pack("<Q", 5 << 20) + b"{",
    ):
        assert header_end(other) == 8


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b"F32", b"F33"),
        lambda text: text.replace(b"[2, 3]", b"[2, 4]"),
        lambda text: text.replace(b"[2, 3]", b"[2,-3]"),
        lambda text: text.replace(b"[24, 48]", b"[20, 44]"),
        lambda text: text.replace(b"[24, 48]", b"[9999999999, 10000000023]"),
        lambda text: text.replace(b"ers.1", b"ers.0"),
        lambda text: text.replace(b'"dtype"', b'"dtyqe"'),
        lambda text: text.replace(b"{", b"[", 1),
        lambda text: text.replace(b": {", b": 7{"),
        lambda text: text.replace(b", ", b"; ", 5),
        lambda text: text.replace("ä".encode(), b"\xff\xfe"),
        lambda text: text.replace(b"ers.0", b"e\x00s.0"),
        lambda text: b"{" + b"[" * 90000,
        lambda text: b'{"a": ' + b"[" * 90000,
        lambda text: b'{"' + b"\\" * 90000 + b"\n    ",
        lambda text: b'{}, "more": 1',
        lambda text: text.replace(b"},", b"}}", 1),
    ],
)
def test_damage_is_seen_in_a_part_too(spoil):
    head, size = packed(table())
    text = spoil(head[8:])
    cut = struct.pack("<Q", max(len(head), len(text) + 50)) + text[: len(text) - 3]
    with pytest.raises(AdapterError):
        parse_cut(cut, size + 10**6 if b"9999999999" not in text else size + 10**5)


def test_a_lie_about_the_length_is_no_cut():
    head, size = packed(table())
    with pytest.raises(AdapterError):
        parse_cut(struct.pack("<Q", size * 2) + head[8:], size)
    with pytest.raises(AdapterError, match="pickle"):
        parse_cut(b"\x80\x04K\x01." + bytes(100), 10**6)


def test_padding_beyond_the_cut_hides_nothing():
    head, size = packed(table(), padding=5000)
    seen, share = parse_cut(head[:2000], size)
    assert len(seen) == 6 and share < 1


def test_mutants_never_crash():
    chance = random.Random(7)
    head, size = packed(table(metadata={"format": "pt"}))
    for _ in range(3000):
        mutant = bytearray(head[: chance.randrange(len(head))])
        for _ in range(chance.randrange(4)):
            if mutant:
                mutant[chance.randrange(len(mutant))] = chance.randrange(256)
        try:
            seen, share = parse_cut(bytes(mutant), size)
        except AdapterError:
            continue
        assert len(seen) <= 6 and 0 <= share <= 1
