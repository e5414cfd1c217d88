"""Scores: equal to answering one by one, whatever the batch; intervals that hold."""

import json
from itertools import islice, takewhile

import pytest

from engine.formats.dataset import read_rows
from engine.formats.errors import DataError
from engine.messages import Generate, Mixing, Part, Score, Scoring
from engine.runtime.generation import answer
from engine.runtime.scoring import Speaker, _greedy, score
from engine.training import LoraTask, Settings, train
from engine.training.text import encode_prompt


def finish(generator):
    said = []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return [each for each in said if each is not None], end.value


@pytest.fixture(scope="session")
def copier(base, copy_task, tmp_path_factory):
    """An adapter that has learned the copying task."""
    task = LoraTask(base.model, base.tokenizer, read_rows(copy_task), rank=8, batch_size=20, name="copier")
    for _ in train(task, Settings(steps=150, learning_rate=0.02, seed=1)):
        pass
    folder = tmp_path_factory.mktemp("trained") / "copier"
    task.save(folder)
    task.close()
    return {"adapter:copier": str(folder)}


def run(voices, library, data, **options):
    request = Score(base="tiny", data=data, **options)
    with voices.hold(request.parts, request.mixing, library) as voice:
        return finish(score(voices.base, voice, request, data))


def test_exact_match_of_what_was_learned(voices, copier, copy_task, tmp_path):
    rows = read_rows(copy_task)
    spoilt = tmp_path / "spoilt.jsonl"
    lines = [
        json.dumps({"prompt": row.prompt, "completion": row.completion + "x" * (number % 3 == 2)})
        for number, row in enumerate(rows)
    ]
    spoilt.write_text("\n".join(lines))
    for size in (1, 7, 64):
        options = {"parts": [Part(name="copier")], "batch_size": size}
        said, scored = run(voices, copier, str(copy_task), **options)
        assert (scored.value, scored.n) == (1.0, 60)
        assert isinstance(said[-1], Scoring)
        assert said[-1].done == said[-1].total == 60
        assert run(voices, copier, str(spoilt), **options)[1].value == pytest.approx(2 / 3)
    assert run(voices, copier, str(copy_task))[1].value < 0.1


@pytest.mark.parametrize(
    ("parts", "mixing"),
    [
        ([], None),
        ([Part(name="left")], None),
        ([], Mixing(name="both")),
        ([], Mixing(name="both", mode="topk")),
    ],
)
def test_batched_answers_are_those_given_alone(voices, library, base, parts, mixing):
    """Padding on the left changes nothing, not even what a router remembers."""
    prompts = ("a:", "abc:", "hello you", "b2:", "zz:", "a longer prompt here")
    with voices.hold(parts, mixing, library) as voice:
        speaker = Speaker(base.model, voice.playing)
        stream = _greedy(base, speaker, [encode_prompt(base.tokenizer, prompt) for prompt in prompts])
        batch = list(zip(*islice(stream, 10), strict=True))
        for prompt, ids in zip(prompts, batch, strict=True):
            request = Generate(base="tiny", prompt=prompt, max_new_tokens=10)
            alone = finish(answer(base, voice, request))[1]
            before_end = list(takewhile(lambda token: token not in base.ends, ids))
            assert base.tokenizer.decode(before_end) == alone.text


def test_loss_does_not_depend_on_the_batch(voices, library, copy_task):
    one, many = (
        run(voices, library, str(copy_task), metric="loss", batch_size=size, parts=[Part(name="left")])[1]
        for size in (1, 64)
    )
    assert one.value == pytest.approx(many.value, rel=1e-5)
    assert one.interval == pytest.approx(many.interval, rel=0.05)
    assert one.interval[0] < one.value < one.interval[1]
    assert one.n == len(read_rows(copy_task))


def test_limit(voices, library, copy_task):
    assert run(voices, library, str(copy_task), metric="loss", limit=7)[1].n == 7


def test_a_bad_file_is_said(voices, library, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text("{")
    with pytest.raises(DataError, match="line 1"):
        run(voices, library, str(path))
