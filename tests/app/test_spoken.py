"""Words of three transcripts in common rows, and their verdicts against what was said."""

from __future__ import annotations

from app.presenters.spoken import Said, aligned, judged
from engine.messages import ErrorStep, SpokenWord
from tests.app.scripted_speech import words


def step(op: str, said: str = "", meant: str = "") -> ErrorStep:
    return ErrorStep(op=op, said=said, meant=meant)


def verdicts(said: list[Said]) -> list[tuple[str, str, str]]:
    return [(word.text, word.verdict, word.meant) for word in said]


def grid(columns: list[list[Said]]) -> list[tuple[str, ...]]:
    whole = [bool(column) for column in columns]
    return [tuple(cell.text if cell else "-" for cell in row.cells) for row in aligned(columns, whole)]


def plain(text: str, every: float = 0.4, start: float = 0.0) -> list[Said]:
    return [Said(word.text, word.start + start, word.end + start) for word in words(text, every)]


def test_each_word_has_its_verdict_and_a_missing_one_a_gap_in_its_time() -> None:
    said = judged(
        words("place red at at two"),
        [
            step("equal", "place", "place"),
            step("substitute", "red", "blue"),
            step("equal", "at", "at"),
            step("insert", "at"),
            step("delete", meant="f"),
            step("equal", "two", "two"),
            step("delete", meant="now"),
        ],
    )
    assert verdicts(said) == [
        ("place", "right", "place"),
        ("red", "wrong", "blue"),
        ("at", "right", "at"),
        ("at", "extra", ""),
        ("", "missing", "f"),
        ("two", "right", "two"),
        ("", "missing", "now"),
    ]
    assert [word.place for word in said] == [0, 1, 2, -1, 3, 4, 5]
    assert (said[4].start, said[4].end, said[6].start) == (1.6, 1.6, 2.0)


def test_words_as_written_meet_words_as_they_are_compared() -> None:
    spoken = [
        SpokenWord(text=text, start=i, end=i + 1, confidence=1)
        for i, text in enumerate(["Well-known,", "It's", "-"])
    ]
    said = judged(
        spoken,
        [step("equal", "well", "well"), step("substitute", "known", "own"), step("equal", "it's", "it's")],
    )
    assert verdicts(said) == [
        ("Well-known,", "wrong", "well own"),
        ("It's", "right", "it's"),
        ("-", "plain", ""),
    ]


def test_steps_of_another_text_judge_nothing() -> None:
    assert verdicts(judged(words("blue at"), [step("equal", "red", "red")])) == [
        ("blue", "plain", ""),
        ("at", "plain", ""),
    ]
    assert verdicts(judged(words("blue"), [step("equal", "blue", "blue"), step("insert", "at")])) == [
        ("blue", "plain", "")
    ]
    assert verdicts(judged(words("blue"), [])) == [("blue", "plain", "")]


def test_the_same_word_at_another_time_stands_in_the_same_row() -> None:
    ears, eyes = plain("place blue at f"), plain("place blue at f", start=0.3)
    assert grid([ears, eyes]) == [("place",) * 2, ("blue",) * 2, ("at",) * 2, ("f",) * 2]


def test_other_words_stand_side_by_side_where_they_overlap() -> None:
    ears, eyes = plain("place blue at f two now"), plain("bin blue at v two")
    assert grid([ears, eyes, []]) == [
        ("place", "bin", "-"),
        ("blue", "blue", "-"),
        ("at", "at", "-"),
        ("f", "v", "-"),
        ("two", "two", "-"),
        ("now", "-", "-"),
    ]


def test_a_word_that_only_one_has_heard_keeps_its_own_row() -> None:
    ears = plain("a b c")
    eyes = [ears[0], Said("c", 0.8, 1.2)]
    both = [ears[0], Said("x", 0.37, 0.41), *ears[1:]]
    assert grid([ears, eyes, both]) == [("a", "a", "a"), ("-", "-", "x"), ("b", "-", "b"), ("c", "c", "c")]


def test_what_was_said_orders_the_rows_whatever_the_times() -> None:
    meant = ["place", "blue", "at"]
    steps = [step("equal", word, word) for word in meant]
    late = [SpokenWord(text=word, start=i + 5, end=i + 5.5, confidence=1) for i, word in enumerate(meant)]
    gap = judged(words("place at"), [steps[0], step("delete", meant="blue"), steps[2]])
    rows = aligned([judged(words("place blue at"), steps), judged(late, steps), gap], [True] * 3)
    assert [tuple(cell.verdict if cell else "-" for cell in row.cells) for row in rows] == [
        ("right", "right", "right"),
        ("right", "right", "missing"),
        ("right", "right", "right"),
    ]


def test_columns_that_are_still_heard_differ_from_nobody() -> None:
    columns = [plain("place blue"), plain("place red"), plain("place")]
    found = aligned(columns, [True, True, False])
    assert [[cell.verdict if cell else "-" for cell in row.cells] for row in found] == [
        ["plain", "plain", "plain"],
        ["differs", "differs", "-"],
    ]
    found = aligned(columns, [True, False, False])
    assert {cell.verdict for row in found for cell in row.cells if cell} == {"plain"}


def test_an_hour_of_words_is_aligned_at_once() -> None:
    text = " ".join(f"w{i % 97}" for i in range(9000))
    assert len(aligned([plain(text), plain(text, start=0.1), plain(text)], [True] * 3)) == 9000
