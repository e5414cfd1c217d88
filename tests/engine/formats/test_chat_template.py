"""Chat templates by strangers: what they write, and that none of them outlives its limits."""

import time

import pytest

from engine.formats.chat_template import render
from engine.formats.dataset import Message
from engine.formats.errors import DataError

TURNS = (Message("user", "Hi <b>"), Message("assistant", "Hello"))
GOOD = (
    "{{ bos_token }}{% for turn in messages %}[{{ turn['role'] }}]{{ turn.content | trim }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_question_and_answer():
    assert render(GOOD, {"bos_token": "<s>"}, [TURNS, TURNS]) == [("<s>[user]Hi <b>[assistant]", "Hello")] * 2


@pytest.mark.alone
def test_a_good_template_takes_a_small_part_of_its_time():
    began = time.monotonic()
    render(GOOD, {}, [TURNS] * 1000)
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "timed out"),
        ("{{ 'a' * 999999999 }}", "MemoryError"),
        ("{% for i in range(9999) %}{{ 'a' * 99999 }}{% endfor %}", "MemoryError"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "SecurityError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{{ raise_exception('not so') }}", "not so"),
        ("{{ nothing.at.all }}", "UndefinedError"),
        ("{% if %}", "TemplateSyntaxError"),
    ],
)
def test_hostile_and_broken_templates_end_in_a_sentence(template, reason):
    began = time.monotonic()
    with pytest.raises(DataError, match="chat template could not be used") as caught:
        render(template, {}, [TURNS])
    assert reason in caught.value.detail
    assert time.monotonic() - began < 4


def test_a_question_that_changes_is_refused():
    with pytest.raises(DataError, match="differently"):
        render("{{ messages[-1].content }}", {}, [TURNS])
