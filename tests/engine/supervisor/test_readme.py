"""What is read of a model card, and that no head of one does harm."""

import time

import pytest

from engine.supervisor.readme import read_readme


@pytest.fixture
def read(tmp_path):
    def read(front, body="# A\n\nIt sorts.\n"):
        (tmp_path / "README.md").write_text(f"---\n{front}\n---\n{body}", newline="")
        return read_readme(tmp_path / "README.md")

    return read


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: apache-2.0", "apache-2.0"),
        ('license: "apache-2.0"', "apache-2.0"),
        ("license: 'apache-2.0'  # as the base", "apache-2.0"),
        ("tags: [a]\r\nlicense: mit\r", "mit"),
        ("license:\n- mit\n- 'apache-2.0'", "mit, apache-2.0"),
        ("license: [mit]", "mit"),
        ("license: no", "no"),
        ("license: {name: mit}", ""),
        ("tags: [a]", ""),
        ("license: [mit\n: : }", ""),
        ("just words", ""),
    ],
)
def test_a_licence_is_read_as_yaml(read, front, licence):
    assert read(front) == ("It sorts.", licence)


def test_a_card_without_a_head_or_without_words(read, tmp_path):
    (tmp_path / "README.md").write_text("# A\n\nIt\nsorts.\n")
    assert read_readme(tmp_path / "README.md") == ("It sorts.", "")
    assert read("license: mit", "# A\n\n![picture](x.png)\n") == ("", "mit")
    assert read_readme(tmp_path / "none.md") == ("", "")


@pytest.mark.parametrize(
    "front",
    [
        "license: !!python/object/apply:os.system [ls]",
        "license: " + "[" * 60_000,
        "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\n" for n in range(2000)),
        "&a " * 20_000,
    ],
    ids=["program", "deep", "merged", "aliases", "anchors"],
)
def test_a_hostile_head_takes_no_time_and_runs_nothing(read, front):
    before = time.process_time()
    words, licence = read(front)
    assert time.process_time() - before < 3
    assert words in ("It sorts.", "") and licence in ("", "ls")
