"""The first mix from shelf to heat map, on a real screen with a real engine: by mouse, then by keyboard."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.display

EXPERTS = ["reverse", "sort", "upper"]
TRAINING = 180


def open_mixer_with_starter_pack(window):
    window.until("mixer is not None and len(mixer.stock.adapters) >= 5 and mixer.data is not None")


def test_by_mouse(window):
    window.click("go-mixer")
    open_mixer_with_starter_pack(window)
    lay_three_by_mouse(window)
    faders_and_buttons(window)
    window.click("mixer.router.more")
    window.click("mixer.router.passes")
    window.key("ctrl+a", "1", "Tab")
    assert window.look("mixer.desk.router.epochs") == 1

    window.click("mixer.router.train")
    window.until("mixer.training.is_open")
    window.until("named('mixer.router.pause').isVisible()")
    window.until("len(named('mixer.curves.loss').series.get('loss', ())) >= 3")
    early = window.look("len(named('mixer.curves.loss').series['loss'])")
    window.until(f"len(named('mixer.curves.loss').series['loss']) > {early}")
    assert window.look("sorted(named('mixer.curves.load').series)") == sorted([*EXPERTS, "null"])
    assert window.look("len(named('mixer.curves.entropy').series['entropy'])") >= early
    window.until("mixer.desk.mix == 'mix-1'", TRAINING)
    assert window.look("named('mixer.desk.strip.null').isVisible()")

    window.click("mixer.prompt")
    window.write("reverse: garden")
    window.click("mixer.ask")
    read_answers_and_map(window)
    cell = "named('mixer.map').cell_rect(2, 3).center().toPoint()"
    window.point(*window.look(f"named('mixer.map').viewport().mapToGlobal({cell}).toTuple()"))
    window.until("' · layer 0 o_proj · token ' in named('mixer.map.readout').text()")

    before = window.look("named('mixer.map')._pixels[:, :, 3].astype(int).sum().item()")
    leader = window.look("max(mixer.desk.experts, key=mixer.usage.get)")
    window.click(f"mixer.desk.strip.{leader}.mute")
    window.until(f"mixer.playing.silent == {{{leader!r}}}")
    window.until(f"named('mixer.map')._pixels[:, :, 3].astype(int).sum().item() < {before}")


def lay_three_by_mouse(window):
    desk = window.look("place('mixer.desk')")
    for count, name in enumerate(EXPERTS, start=1):
        row = window.look(f"row('mixer.shelf', {name!r})")
        window.drag(window.look(f"place('mixer.shelf', {row})"), [desk[0] + 180, desk[1]])
        window.until(f"len(mixer.desk.strips) == {count}")
    assert window.look("mixer.desk.experts") == EXPERTS
    # One strip is taken by its head and put before the first.
    x, y = window.look("point('mixer.desk.strip.upper', 42, 18)")
    first = window.look("point('mixer.desk.strip.reverse', 4, 18)")
    window.drag([x, y], first)
    window.until("mixer.desk.experts == ['upper', 'reverse', 'sort']")
    window.key("ctrl+z")
    window.until(f"mixer.desk.experts == {EXPERTS}")


def faders_and_buttons(window):
    fader = "mixer.desk.strip.sort.fader"
    start = window.look(f"point('{fader}', *named('{fader}').handle_rect().center().toTuple())")
    window.drag(start, [start[0], start[1] + 60])
    window.until("mixer.desk.strip('sort').fader < 0.9")
    window.click("mixer.desk.strip.sort.solo")
    window.until("mixer.playing.silent == {'reverse', 'upper'}")
    window.click("mixer.desk.strip.sort.solo")
    window.until("mixer.playing.silent == set()")
    window.key("ctrl+z", "ctrl+z", "ctrl+z")
    window.until("mixer.desk.strip('sort').fader == 1.0")


def read_answers_and_map(window):
    window.until("mixer.answers.answer('mix').state == 'done' and mixer.routing is not None")
    window.until("mixer.answers.answer('base').state == 'done'")
    assert window.look("named('mixer.answer.base').text") == window.look("mixer.answers.answer('base').text")
    assert (
        window.look("named('mixer.answer.mix').text") == window.look("mixer.answers.answer('mix').text") != ""
    )
    window.until("mixer.answers.answer('expert:reverse').state == 'done'")
    assert window.look("named('mixer.answer.reverse').text") == "nedrag"
    assert window.look("named('mixer.map').isVisible()")
    assert window.look("named('mixer.map').accessibleDescription()")
    assert (
        window.look("len(mixer.routing.modules)") == window.look("len(named('mixer.map')._grid.rows)") == 28
    )
    assert window.look("abs(sum(mixer.usage.values()) - 1) < 0.01")
    for name in [*EXPERTS, "null"]:
        share = window.look(f"mixer.usage[{name!r}]")
        assert window.look(f"named('mixer.desk.strip.{name}').meter.share") == pytest.approx(share)


def test_by_keyboard_alone(window):
    window.point(1900, 1060)
    window.key("ctrl+3")
    open_mixer_with_starter_pack(window)

    window.key("ctrl+e")
    window.until("focus() == 'mixer.shelf'")
    to_row(window, "reverse")
    window.key("Return")
    window.until("mixer.desk.experts == ['reverse']")
    to_row(window, "upper")
    window.key("space", "Left", "Return")
    window.until("mixer.desk.experts == ['upper', 'reverse']")
    window.until("focus() == 'mixer.shelf'")
    to_row(window, "sort")
    window.key("space", "Escape")
    window.until("focus() == 'mixer.shelf'")
    assert window.look("mixer.desk.experts") == ["upper", "reverse"]
    window.key("space", "Return")
    window.until("mixer.desk.experts == ['upper', 'reverse', 'sort']")

    tab_to(window, "mixer.desk.strip.upper")
    window.key("ctrl+Right")
    window.until("mixer.desk.experts == ['reverse', 'upper', 'sort']")
    window.key("m")
    window.until("mixer.playing.silent == {'upper'}")
    window.key("ctrl+z", "ctrl+z")
    window.until("mixer.desk.experts == ['upper', 'reverse', 'sort'] and mixer.playing.silent == set()")
    tab_to(window, "mixer.desk.strip.sort.fader")
    window.key("Down", "Down")
    window.until("mixer.desk.strip('sort').fader == 0.9")
    window.key("ctrl+z")
    window.until("mixer.desk.strip('sort').fader == 1.0")

    tab_to(window, "mixer.router.more")
    window.key("space")
    tab_to(window, "mixer.router.passes")
    window.key("ctrl+a", "1", "Tab")
    window.until("mixer.desk.router.epochs == 1")
    tab_to(window, "mixer.router.train")
    window.key("space")
    window.until("mixer.training.is_open")
    window.until("len(named('mixer.curves.loss').series.get('loss', ())) >= 3")
    window.until("mixer.desk.mix == 'mix-1'", TRAINING)

    window.key("ctrl+l")
    window.until("focus() == 'mixer.prompt'")
    window.write("reverse: garden")
    window.key("Return")
    window.until("mixer.answers.answer('mix').state == 'done' and mixer.routing is not None")
    tab_to(window, "mixer.map")
    window.key("Home", "Down", "Down", "Down", "Right", "Right")
    window.until("' · layer 0 o_proj · token ' in named('mixer.map').accessibleDescription()")
    assert window.look("named('mixer.map.readout').text() == named('mixer.map').cell_text")
    assert window.look("abs(sum(mixer.usage.values()) - 1) < 0.01")
    assert window.look("named('mixer.desk.strip.upper').meter.share") is not None


def to_row(window, name):
    target = window.look(f"row('mixer.shelf', {name!r})")
    window.key("Home", *["Down"] * target)
    window.until(f"named('mixer.shelf').currentIndex().data() == {name!r}")


def tab_to(window, name, most=60):
    for _ in range(most):
        if window.look("focus()") == name:
            return
        window.key("Tab")
    raise AssertionError(f"Tab never reached {name}; the last stop was {window.look('focus()')}")


def test_a_training_outlives_its_window(open_window):
    first = open_window()
    first.key("ctrl+3")
    open_mixer_with_starter_pack(first)
    first.look(f"[mixer.drop(name) for name in {EXPERTS}]")
    first.key("ctrl+t")
    first.until("mixer.training.job is not None and mixer.training.job.step >= 10")
    job = first.look("mixer.training.job.id")
    first.leave()

    second = open_window()
    second.key("ctrl+3")
    second.until(f"mixer is not None and mixer.training.job is not None and mixer.training.job.id == {job!r}")
    assert second.look("mixer.desk.experts") == EXPERTS
    second.until("named('mixer.curves.loss').series['loss'].points[0, 0] <= 2")
    step = second.look("mixer.training.job.step")
    second.until(f"mixer.training.job.step > {step}")
    second.key("ctrl+2", "ctrl+3")
    second.until("named('mixer.router.keep').isVisible()")
    second.click("mixer.router.keep")
    second.until("mixer.desk.mix == 'mix-1'")


def test_a_card_is_carried_from_the_library_onto_the_desk(window):
    """Held over the mixer's icon the card opens the mixer and is let go on its desk; or on the icon."""
    card = "[named('library-cards').model().index(row, 0).data() for row in range(6)].index({!r})"
    window.until("named('library-cards').model().rowCount() == 6")
    start = window.look(f"place('library-cards', {card.format('reverse')})")
    icon = window.look("place('go-mixer')")
    window.drag(start, icon, [icon[0] + 400, 330], rest=1.0)
    window.until("mixer is not None and mixer.desk.experts == ['reverse']")
    window.key("ctrl+2")
    window.until("shell.page().objectName() == 'library'")
    window.drag(window.look(f"place('library-cards', {card.format('sort')})"), icon)
    window.until("mixer is not None and mixer.desk.experts == ['reverse', 'sort']")
