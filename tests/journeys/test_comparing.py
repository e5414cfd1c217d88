"""Prompts compared, a token explained and a mix scored, in the real window: by mouse, then by keyboard."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display

EXPERTS = ["reverse", "sort"]


def with_a_mix(window):
    """A router over two experts on the desk, made from prototypes, so that nothing has to be trained."""
    window.key("ctrl+3")
    window.until("mixer is not None and len(mixer.stock.adapters) >= 5 and mixer.data is not None")
    window.look(f"[mixer.drop(name) for name in {EXPERTS}]")
    window.look("mixer.set_router(start='prototypes', with_data=False)")
    window.look("mixer.train()")
    window.until("mixer.desk.mix == 'mix-1'")


def cell(window, name, token, row):
    """The middle of a map's cell on the screen."""
    where = f"named({name!r}).cell_rect({token}, {row}).center().toPoint()"
    return window.look(f"named({name!r}).viewport().mapToGlobal({where}).toTuple()")


def test_by_mouse(window):
    with_a_mix(window)
    window.click("mixer.view.prompts")
    window.until("page.view.prompts.apart is not None")
    assert window.look("[slot.text.split(':')[0] for slot in page.view.prompts.slots]") == EXPERTS
    window.click("mixer.prompts.add")
    window.click("mixer.prompts.2.text")
    window.write("upper: lamp")
    window.key("Tab")
    window.until("page.view.prompts.slots[2].routing is not None")
    explain_by_mouse(window)
    window.click("mixer.prompts.way.apart")
    window.until("named('mixer.prompts.bands').isVisible()")
    assert window.look("len(named('mixer.prompts.bands')._columns)") == 3
    assert window.look("named('mixer.prompts.sentence').text().startswith('Widest apart at layer ')")

    window.click("mixer.view.scores")
    window.until("[data.name for data in page.view.scores.sets] == ['reverse.heldout', 'sort.heldout']")
    window.click("mixer.scores.limit")
    window.key("ctrl+a", "1", "2", "Tab")
    window.until("page.view.scores.plan.limit == 12")
    assert window.look("named('mixer.scores.cost').text()").startswith("192 answers: 8 voices on 24 rows.")
    window.click("mixer.scores.run")
    window.until("named('mixer.scores.pause').isVisible()")
    window.until("page.view.scores.standings is not None")
    read_scores(window)
    row = window.look("[arm.arm for arm in page.view.result._sorted.arms()].index('base')")
    x, y = window.look(f"named('mixer.scores.chart').row_rect({row}).center().toPoint().toTuple()")
    window.press(window.look(f"point('mixer.scores.chart', {x}, {y})"))
    window.until(f"named('mixer.scores.table').currentIndex().row() == {row}")
    window.click("mixer.scores.markdown")
    window.until("'| oracle: best expert of each set |' in clipboard()")


def explain_by_mouse(window):
    window.press(cell(window, "mixer.prompts.0.map", 1, 20))
    window.until("named('mixer.prompts.why').isVisible()")
    words = window.look("named('mixer.prompts.why.words').text()")
    assert " of 28 projections" in words
    assert "Mean gates: " in words
    window.click("mixer.prompts.why.close")
    window.until("not named('mixer.prompts.why').isVisible()")


def read_scores(window):
    """Table, picture and sentence agree; two experts that know their own task only, and an oracle of both."""
    found = window.look("{arm.name: [arm.value, arm.missing] for arm in page.view.scores.standings.arms}")
    assert found["base"][0] < 0.1
    assert found["oracle"][0] > 0.9
    assert 0.4 < found["expert:sort"][0] < 0.6
    assert not any(missing for _, missing in found.values())
    names = window.look("[arm.label for arm in page.view.result._sorted.arms()]")
    assert window.look("[row.label for row in named('mixer.scores.chart')._rows]") == names
    assert window.look("named('mixer.scores.sentence').text()") == window.look(
        "page.view.scores.standings.sentence"
    )
    assert " the oracle (1.00)" in window.look("named('mixer.scores.sentence').text()")


def test_by_keyboard_alone(open_window):
    window = open_window()
    window.point(1900, 1060)
    with_a_mix(window)
    window.key("ctrl+l")
    window.write("sort: garden")
    window.key("Return")
    window.until("mixer.answers.answer('mix').state == 'done' and mixer.routing is not None")
    tab_to(window, "mixer.answer.mix")
    window.key("End", "Return")
    window.until("named('mixer.why').isVisible()")
    tab_to(window, "mixer.why.bands")
    window.key("End")
    window.until("named('mixer.why.row').text().startswith('layer 3 ')")
    window.key("Escape")
    window.until("not named('mixer.why').isVisible() and focus() == 'mixer.map'")

    window.key("alt+2", "ctrl+shift+l")
    window.until("focus() == 'mixer.prompts.0.text'")
    window.key("ctrl+a")
    window.write("sort: plum")
    window.key("Return")
    window.until(
        "page.view.prompts.slots[0].text == 'sort: plum' and page.view.prompts.apart is not None", 30
    )
    tab_to(window, "mixer.prompts.0.map")
    window.key("Right", "Down", "Return")
    window.until("named('mixer.prompts.why').isVisible()")
    window.key("Right")
    window.until("\"token 'l'\" in named('mixer.prompts.0.map').accessibleDescription()")

    window.key("alt+3")
    tab_to(window, "mixer.scores.limit")
    window.key("ctrl+a", "8", "Tab")
    window.until("page.view.scores.plan.limit == 8")
    window.key("ctrl+r")
    window.until("page.view.scores.job is not None")
    job = window.look("page.view.scores.job.id")
    window.leave()

    again = open_window()
    again.key("ctrl+3", "alt+3")
    again.until("page.view.objectName() == 'mixer.scores' and page.view.scores.standings is not None")
    assert again.look("page.view.scores.chosen.id") == job, "it went on, and its result is here at once"
    tab_to(again, "mixer.scores.chart")
    again.key("End")
    again.until(
        "named('mixer.scores.table').currentIndex().row() == len(named('mixer.scores.chart')._rows) - 1"
    )
    assert again.look(
        "named('mixer.scores.read').text() == named('mixer.scores.chart').accessibleDescription()"
    )


def tab_to(window, name, most=60):
    for _ in range(most):
        if window.look("focus()") == name:
            return
        window.key("Tab")
    raise AssertionError(f"Tab never reached {name}; the last stop was {window.look('focus()')}")
