"""The ranks page on a scripted engine: panes and their inks, slider and flags, every way to an adapter."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as but
from PySide6.QtCore import QMimeData, QPointF, QRegularExpression, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit, QMenu, QPushButton

from app.models.adapters import MIME
from app.presenters.rank_scene import LIVE
from engine.messages import (
    Adapters,
    BaseCard,
    Bases,
    Compare,
    DataSet,
    DataSets,
    Generate,
    Generated,
    ListAdapters,
    ListBases,
    ListData,
    MeasureRanks,
    RankCurve,
    RankPoint,
    ReadSpectrum,
    Slide,
    Spectrum,
    Token,
)
from tests.app.fake_client import FakeClient
from tests.app.scripted_client import BASE, adapter
from tests.app.scripted_mixer import in_rows

PROMPT = "reverse: abc"
SPECTRUM = Spectrum(
    kind="lora",
    modules=["q_proj"],
    values=[[1.0] * 8],
    energy=[rank / 8 for rank in range(1, 9)],
    spread=[rank / 8 for rank in range(1, 9)],
    kept=[rank / 8 for rank in range(1, 9)],
    bytes=[100 * rank for rank in range(1, 9)],
)
HELD_OUT = DataSet(
    name="plain.heldout",
    path="plain.heldout.jsonl",
    rows=2,
    sha256="d",
    sample=[("plain: planet", "p"), ("plain: box", "b")],
)


def said(request: Generate) -> list[object]:
    """What the engine says: the base "abcd", an adapter its rank and then as the base."""
    words = "abcd" if not request.parts else f"{request.parts[0].rank}bcd"
    tokens = [
        Token(index=index, text=letter, generation=request.generation) for index, letter in enumerate(words)
    ]
    answer = Generated(
        text=words,
        tokens=4,
        tokens_per_second=80.0,
        first_token_seconds=0.1,
        generation=request.generation,
    )
    return [*tokens, answer]


@pytest.fixture
def client(qapp):
    cards = [adapter("plain"), but(adapter("nested"), kind="dylora")]
    card = BaseCard(name=BASE, architecture="LlamaForCausalLM", parameters=1, path="/")
    return FakeClient(
        {
            ListBases: Bases(bases=[card]),
            ListAdapters: Adapters(adapters=cards),
            ReadSpectrum: SPECTRUM,
            ListData: DataSets(sets=[HELD_OUT]),
            Generate: said,
            Compare: in_rows(said),
        }
    )


@pytest.fixture
def page(shell, qtbot):
    page = shell.go("ranks")
    qtbot.waitUntil(lambda: len(page.ranks.state.adapters) == 2)
    return page


@pytest.fixture
def asked(page, qtbot):
    """The page with "plain" on it, asked, every pane done."""
    page.choose("plain")
    page.ranks.ask(PROMPT)
    done(page, qtbot)
    return page


def done(page, qtbot) -> None:
    qtbot.waitUntil(lambda: all(page.ranks.answers.answer(pane).state == "done" for pane in page.ranks.panes))


def panes(page):
    return page.instrument.panes.panes


def shown(page) -> dict[str, str]:
    return {key: pane.text.text for key, pane in panes(page).items()}


def acts(page) -> dict[str, object]:
    return {action.text(): action for action in page.actions()}


@pytest.mark.qt_log_ignore("This plugin does not support")
def test_an_empty_page_says_what_it_is_for_and_offers_the_adapters(page, qtbot):
    button = page.findChild(QAbstractButton, "ranks.empty-button")
    assert button.text() == "Choose an adapter"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    menu = page.findChild(QMenu)
    assert [action.text() for action in menu.actions()] == ["plain  rank 8", "nested  rank 8"]
    assert not acts(page)["Go to the rank slider"].isEnabled()
    menu.actions()[1].trigger()
    menu.close()
    assert page.ranks.state.adapter.name == "nested"
    assert acts(page)["Go to the rank slider"].isEnabled()
    assert list(panes(page)) == ["base", "rank 8", LIVE]


def test_without_an_adapter_the_button_leads_to_the_training_of_one(shell, client, qtbot):
    client.script[ListAdapters] = Adapters(adapters=[])
    page = shell.go("ranks")
    button = page.findChild(QAbstractButton, "ranks.empty-button")
    qtbot.waitUntil(lambda: button.text() == "Train an adapter")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert page.side.choice.value == "training"


def test_every_pane_says_its_own_and_what_differs_is_full_ink(asked):
    assert shown(asked) == {"base": "abcd", "rank 8": "8bcd", LIVE: "4bcd"}
    difference = asked.ranks.difference
    assert difference["base"].agrees == (False, True, True, True)
    assert [token.is_grey for token in panes(asked)["base"].text._tokens] == [False, True, True, True]
    assert [token.parts for token in panes(asked)[LIVE].text._tokens] == [True, False, False, False]


def test_titles_say_rank_energy_and_speed(asked):
    words = {key: [label.text() for label in pane.findChildren(QLabel)] for key, pane in panes(asked).items()}
    assert words["base"] == ["base", "no adapter\n80 tokens/s"]
    assert words["rank 8"][:2] == ["rank 8", "100 % energy\n80 tokens/s"]
    assert words[LIVE] == ["rank 4", "live, 50 % energy\n80 tokens/s"]
    assert panes(asked)[LIVE].text.accessibleName() == "Answer of rank 4, live"


def test_the_slider_moves_the_live_pane_and_back_without_asking(asked, client, qtbot):
    slider = asked.instrument.slider
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Left)
    done(asked, qtbot)
    assert shown(asked)[LIVE] == "3bcd"
    assert slider.accessibleDescription() == "rank 3 of 8; 38 % of the energy kept; pinned: 8"
    before = len(client.calls)
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert shown(asked)[LIVE] == "4bcd", "heard before"
    assert len(client.calls) == before


def test_the_old_text_fades_until_the_new_one_speaks(asked, client, qtbot):
    client.silent = {Generate, Slide}
    asked.ranks.slide(2)
    pane = panes(asked)[LIVE]
    assert (pane.text.text, pane.text._is_faded) == ("4bcd", True)
    call = client.calls[-1]
    client.progress(call, Token(index=0, text="2", generation=call.body.generation))
    assert (pane.text.text, pane.text._is_faded) == ("2", False)


def test_p_pins_and_a_pinned_pane_changes_its_rank_where_it_stands(asked, qtbot):
    slider = asked.instrument.slider
    QTest.keyClick(slider, Qt.Key.Key_P)
    assert list(panes(asked)) == ["base", "rank 8", "rank 4", LIVE]
    done(asked, qtbot)
    pane = panes(asked)["rank 4"]
    QTest.keyClick(pane.steps, Qt.Key.Key_Right)
    done(asked, qtbot)
    assert list(panes(asked)) == ["base", "rank 8", "rank 5", LIVE]
    assert panes(asked)["rank 5"] is pane, "the keyboard stays where it is"
    assert pane.text.text == "5bcd"
    assert asked.instrument.panes.indexOf(pane) == 2
    qtbot.mouseClick(pane.findChildren(QAbstractButton)[-1], Qt.MouseButton.LeftButton)
    assert list(panes(asked)) == ["base", "rank 8", LIVE]
    asked.undo()
    done(asked, qtbot)
    assert shown(asked)["rank 5"] == "5bcd"
    asked.redo()
    assert list(panes(asked)) == ["base", "rank 8", LIVE]


def test_orders_are_offered_where_an_adapter_may_have_them_and_said_in_a_sentence(asked, qtbot):
    box = asked.head.findChild(QComboBox, "ranks.order")
    assert [box.itemText(index) for index in range(box.count())] == [
        "By energy",
        "Shared out over layers",
        "As the file has it",
    ]
    words = asked.findChild(QLabel, "ranks.order.words")
    assert words.text().startswith("Each projection keeps its strongest directions")
    box.setCurrentIndex(1)
    box.activated.emit(1)
    assert asked.ranks.state.order == "spread"
    assert words.text().startswith("The strongest directions of all projections together")
    asked.choose("nested")
    assert not box.isVisible()


def test_the_prompt_is_typed_tried_and_remembered(asked, qtbot):
    field = asked.findChild(QLineEdit, "ranks.prompt")
    assert field.text() == PROMPT
    field.setText("reverse: abd")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert asked.ranks.state.prompt == "reverse: abd"
    field.setText("  ")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert asked.ranks.state.prompt == "reverse: abd"


def test_rows_to_try_are_of_its_own_task_until_ranks_were_found_to_part_on_some(asked, client, qtbot):
    def chips() -> list[str]:
        buttons = asked.instrument.prompt.findChildren(QPushButton, QRegularExpression(r"ranks\.try\."))
        return [button.text() for button in buttons]

    assert chips() == ["plain: box", "plain: planet"]
    asked.curves.choose_data("plain.heldout.jsonl")
    point = RankPoint(rank=8, value=0.5, interval=(0.4, 0.6), bytes=800)
    client.script[MeasureRanks] = RankCurve(
        metric="exact", n=2, kind="lora", points=[point], apart=["plain: ox"]
    )
    asked.curves.measure()
    qtbot.waitUntil(lambda: chips() == ["plain: ox"])
    qtbot.mouseClick(asked.findChild(QPushButton, "ranks.try.0"), Qt.MouseButton.LeftButton)
    assert asked.ranks.state.prompt == "plain: ox"
    asked.ranks.set_order("spread")
    qtbot.waitUntil(lambda: chips() == ["plain: box", "plain: planet"])


def test_an_adapter_is_dropped_on_the_page(page):
    carried = QMimeData()
    carried.setData(MIME, b"nested")
    nothing = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.dropEvent(QDropEvent(QPointF(10, 10), Qt.DropAction.CopyAction, carried, *nothing))
    assert page.ranks.state.adapter.name == "nested"


def test_an_adapter_is_let_go_on_the_rail_or_chosen_in_the_palette(shell, page):
    shell.rail.dropped.emit("ranks", MIME, "plain")
    assert page.ranks.state.adapter.name == "plain"
    acts(page)["Slide the rank of nested"].trigger()
    assert page.ranks.state.adapter.name == "nested"


def test_library_and_mixer_lead_here(shell, page, qtbot):
    library = shell.go("library")
    qtbot.waitUntil(lambda: len(library.library.state.cards) == 2)
    library.look_at("adapters", "plain")
    qtbot.mouseClick(library.findChild(QAbstractButton, "details-ranks"), Qt.MouseButton.LeftButton)
    assert (shell.page(), page.ranks.state.adapter.name) == (page, "plain")
    shell.go("library").look_at("adapters", "nested")
    acts(library)["Slide the rank of the chosen adapter"].trigger()
    assert (shell.page(), page.ranks.state.adapter.name) == (page, "nested")
    page.choose("plain")
    shell.go("mixer").ranks_wanted.emit("nested")
    assert (shell.page(), page.ranks.state.adapter.name) == (page, "nested")


def test_shortcuts_do_what_they_say(asked):
    acts(asked)["One rank more"].trigger()
    assert asked.ranks.state.rank == 5
    acts(asked)["Pin the live rank"].trigger()
    assert asked.ranks.state.pinned == (8, 5)
    acts(asked)["Unpin the last rank"].trigger()
    assert asked.ranks.state.pinned == (8,)
    acts(asked)["Train an adapter for every rank"].trigger()
    assert asked.side.choice.value == "training" and asked.side.choice.buttons["training"].hasFocus()


def test_f6_goes_from_the_prompt_over_the_slider_to_the_side(asked, shell, qtbot):
    seen = []
    asked.findChild(QLineEdit, "ranks.prompt").setFocus()
    for _ in range(8):
        focus = shell.focusWidget()
        seen.append(focus.objectName() if focus else "")
        shell.step_region(1)
    assert seen[:3] == ["ranks.prompt", "ranks.pane.base", "ranks.slider"]
    assert "ranks.side.view.spectrum" in seen


def test_six_panes_fit_beside_each_other(asked, qtbot):
    for rank in (1, 2, 3):
        asked.ranks.pin(rank)
    done(asked, qtbot)
    split = asked.instrument.panes
    assert len(panes(asked)) == 6
    assert split.count() == 6
    assert min(split.sizes()) >= 100
