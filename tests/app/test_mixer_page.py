"""The mixer page in its window, off-screen: named for readers, kept to the keyboard, honest when stale."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QAccessible, QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from app.models.shelf import adapter_mime
from app.presenters.keeping import Removal
from engine.messages import (
    Adapters,
    CheckData,
    Compare,
    DataSets,
    Error,
    Generate,
    Generated,
    Job,
    ListAdapters,
    ListData,
    ListMixes,
    Mixes,
    RemoveMix,
    Routing,
    SubmitJob,
    Token,
    Uses,
)
from tests.app.scripted_client import adapter, data_set, mix
from tests.app.scripted_mixer import in_rows

NAMES = ["reverse", "sort", "plural"]
GATES = [[0.8, 0.1, 0.05, 0.05], [0.1, 0.7, 0.1, 0.1]]


def answered(request: Generate) -> list[object]:
    if request.mixing is None:
        return [Token(index=0, text="ab"), generated("ab")]
    routing = Routing(
        tokens=["x", "a", "b"],
        modules=["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"],
        experts=[*NAMES, "null"],
        gates=[GATES, GATES, GATES],
    )
    tokens = [Token(index=index, text=text, gates=GATES) for index, text in enumerate("ab")]
    return [*tokens, generated("ab", routing)]


def generated(text: str, routing: Routing | None = None) -> Generated:
    return Generated(
        text=text, tokens=2, tokens_per_second=50.0, first_token_seconds=0.1, prompt_tokens=1, routing=routing
    )


@pytest.fixture
def page(shell, client, qtbot):
    client.script |= {
        ListAdapters: Adapters(adapters=[adapter(name) for name in [*NAMES, "upper"]]),
        ListData: DataSets(sets=[data_set("mixed")]),
        ListMixes: Mixes(mixes=[mix("mix-1", NAMES, {"reverse": 0.9, "null": 0.1})]),
        Generate: answered,
        Compare: in_rows(answered),
    }
    page = shell.go("mixer")
    qtbot.waitUntil(lambda: bool(page.mixer.stock.adapters and page.mixer.data and page.mixer.stock.mixes))
    return page


@pytest.fixture
def mixed(page, qtbot):
    page.mixer.open_mix("mix-1")
    page.mixer.questions.ask("x")
    qtbot.waitUntil(lambda: page.mixer.routing is not None)
    return page


def widget(page, name: str) -> QWidget:
    return page.findChild(QWidget, name)


def test_everything_the_keyboard_reaches_has_a_name(mixed):
    nameless = [
        f"{type(part).__name__} {part.objectName()}"
        for part in mixed.findChildren(QWidget)
        if part.focusPolicy() & Qt.FocusPolicy.TabFocus
        and part.isVisible()
        and part.objectName() != "qt_spinbox_lineedit"
        and not QAccessible.queryAccessibleInterface(part).text(QAccessible.Text.Name)
    ]
    assert nameless == []


def test_the_empty_desk_says_what_it_is_for_and_starts_with_one_button(page):
    empty = widget(page, "mixer.desk.empty")
    assert empty.isVisible()
    QTest.mouseClick(widget(page, "mixer.desk.empty-button"), Qt.MouseButton.LeftButton)
    QApplication.processEvents()
    assert page.mixer.desk.experts == [*NAMES, "upper"]
    assert not empty.isVisible()
    assert widget(page, "mixer.desk.strip.sort").isVisible()
    page.undo()
    assert empty.isVisible(), "one step, taken back at once"


def drop(target: QWidget, mime: QMimeData, point: QPointF) -> bool:
    arguments = (Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(point.toPoint(), *arguments)
    QApplication.sendEvent(target, enter)
    if enter.isAccepted():
        QApplication.sendEvent(target, QDropEvent(point, *arguments))
    return enter.isAccepted()


def test_dropping_left_of_a_strip_puts_it_there(page):
    page.mixer.drop("sort")
    QApplication.processEvents()
    assert drop(page.view.desk, adapter_mime("reverse"), QPointF(10, 100))
    assert page.mixer.desk.experts == ["reverse", "sort"]
    text = QMimeData()
    text.setText("reverse")
    assert not drop(page.view.desk, text, QPointF(10, 100))


def test_a_data_file_dropped_on_the_router_is_checked(page, client, qtbot, tmp_path, shell):
    client.script[CheckData] = Error(code="data", message="Line 3 has no completion.", hint="Add one.")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "own.jsonl"))])
    assert drop(page.view.router, mime, QPointF(20, 20))
    qtbot.waitUntil(lambda: "Line 3 has no completion. Add one." in shell.notice.text)
    assert page.mixer.data.name == "mixed"
    assert page.view.router.lesson.data.currentText().startswith("mixed")


def test_a_lifted_adapter_is_put_back_by_escape_and_dropped_by_enter(page, qtbot):
    page.mixer.drop("sort")
    page.view.shelf.list.setFocus()
    page.view.shelf.list.setCurrentIndex(page.view.shelf.list.model().index(0, 0))
    QTest.keyClick(page.view.shelf.list, Qt.Key.Key_Space)
    qtbot.waitUntil(page.view.desk.hasFocus)
    QTest.keyClick(page.view.desk, Qt.Key.Key_Escape)
    assert page.mixer.desk.experts == ["sort"]
    qtbot.waitUntil(page.view.shelf.list.hasFocus)
    QTest.keyClick(page.view.shelf.list, Qt.Key.Key_Space)
    QTest.keyClick(page.view.desk, Qt.Key.Key_Home)
    QTest.keyClick(page.view.desk, Qt.Key.Key_Return)
    assert page.mixer.desk.experts == ["reverse", "sort"]


def test_removing_a_strip_leaves_the_focus_on_its_neighbour(page, qtbot):
    for name in NAMES:
        page.mixer.drop(name)
    widget(page, "mixer.desk.strip.sort").setFocus()
    qtbot.waitUntil(widget(page, "mixer.desk.strip.sort").hasFocus)
    QTest.keyClick(widget(page, "mixer.desk.strip.sort"), Qt.Key.Key_Delete)
    assert page.mixer.desk.experts == ["reverse", "plural"]
    qtbot.waitUntil(widget(page, "mixer.desk.strip.plural").hasFocus)


def test_a_token_is_the_same_token_in_text_and_map(mixed):
    text, routing_map = widget(mixed, "mixer.answer.mix"), widget(mixed, "mixer.map")
    text.setFocus()
    QTest.keyClick(text, Qt.Key.Key_End)
    assert "token 'b'" in routing_map.cell_text
    routing_map.setFocus()
    QTest.keyClick(routing_map, Qt.Key.Key_Left)
    assert "token 'a'" in widget(mixed, "mixer.map.readout").text()
    assert text._marked == 0


def test_mute_dims_strip_text_and_map_at_once(mixed):
    routing_map = widget(mixed, "mixer.map")
    before = routing_map._pixels[0, :, 3].copy()
    QTest.mouseClick(widget(mixed, "mixer.desk.strip.reverse.mute"), Qt.MouseButton.LeftButton)
    assert (routing_map._pixels[0, :, 3] < 0.5 * before).all()
    assert widget(mixed, "mixer.answer.mix")._silent == {0}
    assert mixed.mixer.undo_label == "Mute reverse"


def test_undo_and_redo_by_the_windows_keys(mixed, shell):
    mixed.mixer.mute("sort", True)
    shell.page().undo()
    assert not widget(mixed, "mixer.desk.strip.sort.mute").isChecked()
    shell.page().redo()
    assert widget(mixed, "mixer.desk.strip.sort.mute").isChecked()


def test_what_was_answered_before_is_dim_until_the_next_word(mixed, client, qtbot):
    client.silent.add(Generate)
    mixed.mixer.set_fader("sort", 0.2)
    text = widget(mixed, "mixer.answer.mix")
    assert text._is_faded and text.text == "ab"
    qtbot.waitUntil(lambda: bool(client.asked(Generate)))
    client.progress(client.last(Generate), Token(index=0, text="new"))
    assert (text.text, text._is_faded) == ("new", False)
    assert widget(mixed, "mixer.answer.base").text == "ab"


def test_the_page_follows_the_theme_while_it_is_open(mixed, dressed):
    from widgets.theme import theme

    for scheme in ("dark", "contrast", "light"):
        theme.choose(scheme)
        picture = mixed.grab().toImage()
        assert not picture.isNull()
        assert picture.pixelColor(4, picture.height() - 4).name() == theme.tokens.ground


def test_an_adapter_for_another_base_lies_last_on_the_shelf_and_says_why(page, client, shell, qtbot):
    cards = [adapter("foreign", base="other-base"), *(adapter(name) for name in NAMES)]
    client.script[ListAdapters] = Adapters(adapters=cards)
    page.mixer.use_base("starter-llama")
    page.mixer.refresh()
    qtbot.waitUntil(lambda: "foreign" in page.mixer.stock.adapters)
    page.view.shelf.list.setFocus()
    QTest.keyClick(page.view.shelf.list, Qt.Key.Key_End)
    assert page.view.shelf.list.currentIndex().data() == "foreign"
    QTest.keyClick(page.view.shelf.list, Qt.Key.Key_Return)
    assert page.mixer.desk.strips == ()
    assert "foreign was made for other-base, the desk plays starter-llama." in shell.notice.text


def test_the_fold_offers_everything_a_training_can_be_told(page, qtbot):
    def field(name):
        return widget(page, f"mixer.router.{name}")

    assert not field("seed").isVisible()
    QTest.mouseClick(field("more"), Qt.MouseButton.LeftButton)
    assert field("seed").isVisible()
    assert not field("steps").isVisible(), "for training together only"
    field("entropy").setValue(-0.05)
    assert "sharpens" in field("sign").text()
    field("entropy").setValue(0.05)
    assert "flattens" in field("sign").text()
    field("seed").setValue(7)
    field("null").setChecked(False)
    share = field("share")
    share.setCurrentIndex(share.findData("layer"))
    share.activated.emit(share.currentIndex())
    router = page.mixer.desk.router
    assert (router.entropy_weight, router.seed, router.null_expert) == (0.05, 7, False)
    assert router.router_share == "layer"
    names = (
        "rate",
        "balance",
        "entropy",
        "null",
        "share",
        "activation",
        "gates",
        "start",
        "temperature",
        "band",
    )
    assert all(field(name).toolTip() for name in names)


def test_what_means_nothing_is_at_rest_and_says_why(page):
    def field(name):
        return widget(page, f"mixer.router.{name}")

    assert not field("with-data").isEnabled()
    assert "from zero" in field("with-data").toolTip()
    page.mixer.set_router(start="prototypes", with_data=False)
    assert field("with-data").isEnabled()
    assert not field("passes").isEnabled()
    assert "Nothing is trained" in field("passes").accessibleDescription()
    assert not field("data").isEnabled()
    assert field("train").text() == "Make router"
    page.undo()
    assert field("passes").isEnabled()
    assert field("train").text() == "Train router"


def test_ranks_come_when_the_library_is_known(page, client, qtbot):
    page.mixer.drop("sort")
    strip = widget(page, "mixer.desk.strip.sort")
    assert (strip.rank.isVisible(), strip.rank.words) == (True, "r 8/8")
    page.mixer.set_fader("sort", 0.0)
    assert not strip._is_heard, "a closed fader dims as mute does"


def test_views_are_built_when_they_are_first_seen_and_keep_to_keys_and_palette(
    shell, client, qtbot, monkeypatch
):
    from app.pages.mixer import page as module
    from app.pages.mixer.view import View

    class Other(View):
        def __init__(self, mixer):
            super().__init__()
            built.append(mixer)
            self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

        def acts(self):
            return [("Do the other thing", "Ctrl+Y", lambda: done.append(page.view))]

    built, done = [], []
    monkeypatch.setitem(module.VIEWS, "other", ("Other", "Another side", Other))
    page = shell.go("mixer")
    assert widget(shell, "mixer.view").isVisible()
    assert built == []
    QTest.mouseClick(widget(shell, "mixer.view.other"), Qt.MouseButton.LeftButton)
    assert built == [page.mixer]
    assert page.view.isVisible()
    assert {"Mixer: Other", "Do the other thing"} <= {action.text() for action in page.actions()}
    QTest.keyClick(shell.focusWidget(), Qt.Key.Key_1, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: page.view is page.views["desk"])
    assert widget(shell, "mixer.view.desk").isChecked()
    next(action for action in page.actions() if action.text() == "Do the other thing").trigger()
    assert done == [page.views["other"]], "an act of a view brings it to the front"
    shell.go("library")
    assert not widget(shell, "mixer.view").isVisible()


def test_a_strip_is_locked_by_its_button_and_its_letter(mixed, qtbot):
    strip = widget(mixed, "mixer.desk.strip.sort")
    QTest.mouseClick(strip.lock, Qt.MouseButton.LeftButton)
    assert mixed.mixer.desk.locked == ["sort"]
    strip.setFocus()
    QTest.keyClick(strip, Qt.Key.Key_L)
    assert mixed.mixer.desk.locked == []
    mixed.undo()
    assert strip.lock.isChecked()
    assert all("(" in button.toolTip() for button in (strip.mute, strip.solo, strip.lock))


def test_training_together_shows_a_data_set_for_each_strip(page, client, qtbot, tmp_path):
    client.script[CheckData] = data_set("own", 12)
    page.mixer.drop("sort")
    page.mixer.drop("reverse")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "own.jsonl"))])
    strip = widget(page, "mixer.desk.strip.sort")
    assert not strip.acceptDrops(), "a router has one data set for all"
    QTest.mouseClick(widget(page, "mixer.router.lesson.joint"), Qt.MouseButton.LeftButton)
    box = widget(page, "mixer.data.sort")
    assert box.isVisible()
    assert not widget(page, "mixer.router.data").isVisible()
    assert strip._data.text() == "no data"
    assert "Choose data for sort and reverse." in widget(page, "mixer.router.why").text()
    assert drop(strip, mime, QPointF(20, 100))
    qtbot.waitUntil(lambda: strip._data.text() == "12 rows")
    assert box.currentText() == "own"
    field = widget(page, "mixer.router.expert")
    QTest.keyClicks(field, "morse")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert page.mixer.desk.experts == ["sort", "reverse", "morse"]
    assert widget(page, "mixer.desk.strip.morse")._rank.text() == "new"
    qtbot.waitUntil(widget(page, "mixer.data.morse").isVisible)
    assert widget(page, "mixer.compare.morse") is None, "nobody can hear it yet"


def test_joining_and_leaving_are_offered_where_desk_and_mix_differ(mixed):
    bring, without = widget(mixed, "mixer.router.bring"), widget(mixed, "mixer.router.without")
    assert not bring.isVisible()
    assert not without.isVisible()
    mixed.mixer.drop("upper")
    assert bring.text() == bring.accessibleName() == "Bring upper into the mix"
    assert bring.isVisible()
    mixed.undo()
    mixed.mixer.remove("plural")
    assert without.accessibleName() == "Make a mix without plural"
    assert without.isVisible()


def test_the_null_strip_stands_level_with_the_others(mixed):
    null, sort = widget(mixed, "mixer.desk.strip.null"), widget(mixed, "mixer.desk.strip.sort")
    QApplication.processEvents()
    assert null.fader.geometry().top() == sort.fader.geometry().top()


def test_a_router_made_without_training_has_no_empty_axes(page, client, qtbot):
    curves, empty = page.view.curves, widget(page, "mixer.curves.empty")
    assert empty.text() == "Loss, entropy and load are drawn here while the router learns."
    client.silent.add(SubmitJob)
    for name in NAMES:
        page.mixer.drop(name)
    page.mixer.set_router(start="prototypes", with_data=False)
    QTest.mouseClick(widget(page, "mixer.router.train"), Qt.MouseButton.LeftButton)
    call = client.last(SubmitJob)
    job = Job(
        id=call.body.id,
        kind="router",
        name="mix-2",
        state="running",
        step=0,
        steps=0,
        message="",
        spec=call.body.spec,
    )
    client.answer(call, job)
    assert empty.isVisible()
    assert empty.text() == "This router was made without training, so there are no curves."
    assert not curves.loss.isVisible()


def test_more_settings_are_in_sight_however_many_experts_are_trained_together(page, shell, qtbot):
    shell.resize(1280, 800)
    for name in (*NAMES, "upper"):
        page.mixer.drop(name)
    page.mixer.set_lesson("joint")
    QApplication.processEvents()
    more = widget(page, "mixer.router.more")
    assert not more.visibleRegion().isEmpty()
    QTest.mouseClick(more, Qt.MouseButton.LeftButton)
    steps = widget(page, "mixer.router.steps")
    qtbot.waitUntil(lambda: not steps.visibleRegion().isEmpty())


def test_tab_goes_as_one_reads_whatever_has_come_and_gone(mixed, qtbot):
    mixed.mixer.drop("upper", 0)
    mixed.mixer.remove("sort")
    qtbot.waitUntil(lambda: widget(mixed, "mixer.desk.strip.null") is None)
    mixed.view.shelf.search.setFocus()
    qtbot.waitUntil(mixed.view.shelf.search.hasFocus)
    went = ["mixer.shelf.search"]
    while went[-1] != "mixer.router.train" and len(went) < 60:
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        went.append(QApplication.focusWidget().objectName())
    strips = [name.split(".")[3] for name in went if name.startswith("mixer.desk.strip.")]
    assert strips == ["upper"] * 6 + ["reverse"] * 6 + ["plural"] * 6
    rooms = [" ".join(name.split(".")[1:2]) for name in went]
    assert list(dict.fromkeys(rooms)) == ["shelf", "desk", "router"], went
    assert rooms == sorted(rooms, key=["shelf", "desk", "router"].index), "no way back before the end"


def test_f6_goes_all_the_way_round(mixed, shell):
    seen = []
    for _ in range(9):
        QTest.keyClick(shell, Qt.Key.Key_F6)
        seen.append(QApplication.focusWidget().objectName())
    assert {"go-mixer", "mixer.shelf", "mixer.map", "mixer.view.desk", "status-engine"} <= set(seen)


def test_top_k_alone_has_a_k(mixed):
    k = widget(mixed, "mixer.router.k")
    assert not k.isVisible()
    QTest.mouseClick(widget(mixed, "mixer.router.mode.topk"), Qt.MouseButton.LeftButton)
    assert k.isVisible()
    widget(mixed, "mixer.router.renormalise").setChecked(False)
    assert not mixed.mixer.desk.router.renormalise
    QTest.mouseClick(widget(mixed, "mixer.router.mode.hard"), Qt.MouseButton.LeftButton)
    assert not k.isVisible()
    assert mixed.mixer.desk.router.mode == "hard"


def test_an_offer_that_is_taken_leaves_the_keyboard_in_the_panel(mixed, client, qtbot):
    client.silent.add(SubmitJob)
    mixed.mixer.drop("upper")
    bring = widget(mixed, "mixer.router.bring")
    bring.setFocus()
    qtbot.waitUntil(bring.hasFocus)
    QTest.keyClick(bring, Qt.Key.Key_Space)
    spec = client.last(SubmitJob).body.spec
    job = Job(
        id=client.last(SubmitJob).body.id,
        kind="router",
        name=spec.out,
        state="running",
        step=0,
        steps=9,
        message="",
        spec=spec,
    )
    client.answer(client.last(SubmitJob), job)
    assert not bring.isVisible()
    assert widget(mixed, "mixer.router.mix").hasFocus()


def test_a_rank_is_the_same_on_the_strip_and_over_its_answer(mixed, client, qtbot):
    mixed.mixer.questions.compare("sort", True)
    strip, column = widget(mixed, "mixer.desk.strip.sort"), mixed.view.score.answers["expert:sort"]
    qtbot.waitUntil(column.rank.isVisible)
    assert (strip.rank.words, column.rank.words) == ("r 8/8", "r 8/8")
    strip.setFocus()
    QTest.keyClick(strip, Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.ShiftModifier)
    assert (strip.rank.words, column.rank.words) == ("r 4/8", "r 4/8")
    QTest.keyClick(column.rank, Qt.Key.Key_Left)
    assert (strip.rank.words, mixed.mixer.desk.strip("sort").rank) == ("r 3/8", 3)
    others = [widget(mixed, f"mixer.desk.strip.{name}").rank.words for name in ("reverse", "plural")]
    assert others == ["r 8/8", "r 8/8"]
    for pane in ("base", "mix"):
        assert not mixed.view.score.answers[pane].rank.isVisible()
    qtbot.waitUntil(lambda: not mixed.mixer.questions.is_settling)
    asked = [call.body for call in client.calls if isinstance(call.body, Compare)][-1]
    cut = [part for voice in asked.voices for part in voice.parts if part.rank]
    assert {(part.name, part.rank, part.order) for part in cut} == {("sort", 3, "energy")}
    mixed.undo()
    assert strip.rank.words == "r 8/8"


def test_the_page_for_ranks_is_asked_for_by_name(mixed, shell):
    wanted = []
    mixed.ranks_wanted.connect(wanted.append)
    widget(mixed, "mixer.desk.strip.sort").ranks_wanted.emit()
    assert wanted == ["sort"]
    del mixed.mixer.stock.adapters["sort"]
    widget(mixed, "mixer.desk.strip.sort").ranks_wanted.emit()
    assert wanted == ["sort"]
    assert "sort lives in its mix alone" in shell.notice.text


def test_what_is_taken_of_the_desk_is_said_before_it_begins(mixed, qtbot):
    mixed.show_view("scores")
    mixed.show_view("desk")
    widget(mixed, "mixer.router.export").click()
    qtbot.waitUntil(widget(mixed, "mixer.export").isVisible)
    said = {"mixer.scores.whole": "scoring", "mixer.export.whole": "export", "mixer.router.why": "training"}
    assert not widget(mixed, "mixer.export.whole").isVisible()
    mixed.mixer.set_rank("sort", 4)
    qtbot.waitUntil(widget(mixed, "mixer.export.whole").isVisible)
    for name, what in said.items():
        sentence = f"The {what} takes sort at rank 4."
        qtbot.waitUntil(lambda name=name, sentence=sentence: sentence in widget(mixed, name).text())
    mixed.mixer.set_rank("sort", 8)
    assert not any("takes" in widget(mixed, name).text() for name in said)
    mixed.mixer.mute("sort", True)
    sentence = "Mute is for playing: it takes every expert at full strength."
    qtbot.waitUntil(lambda: all(sentence in widget(mixed, name).text() for name in said))
    widget(mixed, "mixer.export").close()


def test_a_mix_is_renamed_where_it_stands(mixed, qtbot):
    asked = []
    mixed.mixer.rename_mix = lambda name, to: asked.append((name, to))
    combo, field = widget(mixed, "mixer.router.mix"), widget(mixed, "mixer.router.called")
    widget(mixed, "mixer.router.rename").click()
    assert field.isVisible() and not combo.isVisible() and field.selectedText() == "mix-1"
    qtbot.keyClicks(field, "vowels")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert combo.isVisible() and not field.isVisible() and asked == []
    next(action for action in mixed.actions() if action.text() == "Rename the mix").trigger()
    qtbot.keyClicks(field, "vowels")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert asked == [("mix-1", "vowels")]
    assert combo.isVisible() and combo.hasFocus()


def test_a_mix_that_something_depends_on_is_removed_once_that_is_agreed_to(mixed, client):
    uses = Uses(mixes=["mix-2"], sentence="mix-2 keeps playing: it has a copy of its own.")
    mixed.mixer.doubted.emit(Removal("mix-1", uses))
    dialog = mixed.window().findChild(QWidget, "removal")
    assert any(uses.sentence in label.text() for label in dialog.findChildren(QLabel))
    dialog.findChild(QWidget, "removal-agree").click()
    assert client.last(RemoveMix).body.name == "mix-1"
