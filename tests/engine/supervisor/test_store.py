from concurrent.futures import ThreadPoolExecutor

import apsw
import msgspec
import pytest

from engine.formats.errors import StudioError
from engine.messages import BaseCard, Event, Job, LogLine, Notice, TrainLora
from engine.supervisor.entry import Entry
from engine.supervisor.rescue import open_store
from engine.supervisor.store import KEPT_EVENTS, Record, Store


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "backup").mkdir()
    return tmp_path / "studio.db", tmp_path / "backup" / "studio.db"


@pytest.fixture
def store(paths):
    store, complaint = open_store(*paths)
    assert complaint == ""
    yield store
    store.close()


def record(key="a", number=1):
    spec = TrainLora(base="b", data="d", out=key)
    job = Job(id=key, kind="lora", name=key, state="queued", step=0, steps=1, message="", spec=spec)
    return Record(job=job, paths={"data": "/d"}, number=number)


def event(number):
    return Event(number=number, body=Notice(level="info", message=str(number)))


def test_commits_are_durable_and_logged_ahead(store, paths):
    other = apsw.Connection(str(paths[0]))
    assert other.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    assert store._pragma("synchronous") == 2
    other.close()


def test_jobs_come_back_in_their_order(store, paths):
    for key, number in (("b", 2), ("a", 1)):
        store.save_job(record(key, number))
    changed = record("b", 2)
    changed.epoch, changed.checkpoint = 3, "/c"
    store.save_job(changed)
    again = Store(paths[0])
    assert again.jobs() == [record("a", 1), changed]
    again.close()


def test_a_dropped_job_takes_its_curve_and_log_along(store):
    store.save_job(record())
    store.add_metrics([("a", 1, {"loss": 1.0})])
    store.add_log("a", [LogLine(time=0.0, level="info", text="x")])
    store.drop_job("a")
    assert (store.jobs(), store.metrics("a", 0).steps, store.log("a")) == ([], [], [])


def test_a_repeated_step_replaces_the_first(store):
    store.add_metrics([("a", 1, {"loss": 3.0}), ("a", 2, {"loss": 2.0, "entropy": 1.0})])
    store.add_metrics([("a", 1, {"loss": 2.5})])
    curve = store.metrics("a", 0)
    assert curve.steps == [1, 2]
    assert curve.series == {"loss": [2.5, 2.0], "entropy": [None, 1.0]}
    assert store.metrics("a", 2).steps == [2]


def test_events_keep_their_numbers_when_old_ones_are_forgotten(store):
    store.add_events([event(number) for number in range(1, KEPT_EVENTS + 11)])
    assert store.last_event() == KEPT_EVENTS + 10
    assert store.events(0)[0].number == 11
    assert store.events(KEPT_EVENTS + 8) == [event(KEPT_EVENTS + 9), event(KEPT_EVENTS + 10)]


def test_library_entries_survive(store):
    entry = Entry(card=BaseCard(name="b", architecture="x", parameters=1, path="/b"), files={"f": "00"})
    store.save_entry("bases", entry)
    assert store.entries("bases") == [entry]
    store.drop_entry("bases", "b")
    assert store.entries("bases") == []


@pytest.mark.parametrize("damage", ["header", "page", "truncated", "empty words"])
def test_a_damaged_database_is_set_aside_and_the_backup_used(paths, damage):
    store, _ = open_store(*paths)
    for number in range(300):
        store.save_job(record(f"job{number}", number))
    store.back_up(paths[1])
    store.save_job(record("later", 1000))
    store.close()
    content = bytearray(paths[0].read_bytes())
    match damage:
        case "header":
            content[:100] = b"x" * 100
        case "page":
            content[8192:12288] = b"\xff" * 4096
        case "truncated":
            content = content[: len(content) // 2]
        case "empty words":
            content = bytearray(b"this was never a database")
    paths[0].write_bytes(content)
    store, complaint = open_store(*paths)
    assert "damaged" in complaint and "backup" in complaint
    assert len(store.jobs()) == 300
    store.close()
    aside = [path for path in paths[0].parent.iterdir() if path.name.startswith("studio.db.damaged-")]
    assert any(path.read_bytes() == bytes(content) for path in aside)


@pytest.mark.parametrize("table", ["jobs", "library"])
def test_a_row_that_cannot_be_understood_is_damage_too(paths, table):
    store, _ = open_store(*paths)
    store.save_job(record())
    card = BaseCard(name="b", architecture="x", parameters=1, path="/b")
    store.save_entry("bases", Entry(card=card))
    store.back_up(paths[1])
    column = {"jobs": "record", "library": "entry"}[table]
    store._db.execute(f"UPDATE {table} SET {column} = replace({column}, ':', ';')")
    store.close()
    store, complaint = open_store(*paths)
    assert "damaged" in complaint and "backup" in complaint
    assert len(store.jobs()) == 1 and store.entries("bases")[0].card == card
    store.close()


def test_without_a_good_backup_it_starts_anew(paths):
    paths[0].write_bytes(b"nonsense" * 1000)
    paths[1].write_bytes(b"nonsense too" * 1000)
    store, complaint = open_store(*paths)
    assert "jobs' folders" in complaint and "backup" not in complaint
    assert store.jobs() == []
    store.close()


def test_a_newer_programs_database_is_left_alone(paths):
    store, _ = open_store(*paths)
    store._db.execute("PRAGMA user_version=999")
    store.close()
    with pytest.raises(StudioError, match="newer Adapter Studio"):
        open_store(*paths)
    assert paths[0].exists()


def test_an_old_sqlite_is_refused(paths, monkeypatch):
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(StudioError, match="can lose committed data"):
        open_store(*paths)


def test_threads_take_turns(store):
    """The library is read where an adapter is judged, while the engine writes down what its jobs say."""
    card = BaseCard(name="x", architecture="Llama", parameters=1, path="/x")
    for number in range(20):
        store.save_entry("bases", Entry(card=msgspec.structs.replace(card, name=f"x{number:02}")))
    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(store.entries, "bases") for _ in range(100)]
        for number in range(30):
            store.add_log("a", [LogLine(time=0.0, level="info", text=str(number))])
    assert all(len(read.result()) == 20 for read in reading)
    assert len(store.log("a")) == 30


def test_what_is_measured_of_a_step_goes_beside_its_loss(store):
    store.add_metrics([("a", 4, {"loss": 2.0, "rate": 0.1})])
    store.add_metrics([("a", 4, {"wer": 0.5})])
    assert store.metrics("a", 0).series == {"loss": [2.0], "rate": [0.1], "wer": [0.5]}
