"""What no line of the program may do, whoever writes it: the source itself is read."""

import ast
import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for room in ("engine", "app", "widgets") for path in (ROOT / room).rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "evaluate", "kernels"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.hub.load"}
NAMES = {
    "HfFileSystem",
    "HfApi.run_as_future",
    "allow_pickle",
    "trust_remote_code",
    "create_subprocess_shell",
}


def dangers(source):
    """What is forbidden in Python ``source``, line by line."""
    for node in ast.walk(ast.parse(source)):
        found = set()
        if isinstance(node, ast.Import):
            found = {alias.name.partition(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found = {(node.module or "").partition(".")[0]} & MODULES
            found |= {alias.name for alias in node.names} & NAMES
        elif isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            found = {ast.unparse(node.func)} & CALLS | keywords.keys() & NAMES
            if keywords.get("shell", "False") != "False":
                found.add("shell")
            if ast.unparse(node.func) == "yaml.load" and keywords.get("Loader") != "yaml.BaseLoader":
                found.add("yaml.load")
        elif isinstance(node, ast.Attribute):
            found = {node.attr} & NAMES
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = {"tcp"} if node.value.startswith("tcp://") else set()
        for what in found:
            yield f"{getattr(node, 'lineno', 0)}: {what}"


@pytest.mark.parametrize("room", ["engine", "app", "widgets"])
def test_nothing_unpickles_runs_text_or_listens_to_a_port(room):
    mine = [path for path in SOURCES if path.is_relative_to(ROOT / room)]
    found = {str(path.relative_to(ROOT)): list(dangers(path.read_text())) for path in mine}
    assert mine and {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from dill import loads", "torch.load(x)", "eval('1')", "run(x, shell=True)",
        "yaml.load(x, Loader=yaml.Loader)", "load(x, trust_remote_code=True)", "s.bind('tcp://*:1')",
        "from huggingface_hub import HfFileSystem", "numpy.load(x, allow_pickle=True)", "os.system(x)",
    ],
)  # fmt: skip
def test_the_guard_would_notice(line):
    assert list(dangers(line))


@pytest.mark.parametrize(
    ("package", "floor"),
    [("torch", "2.10"), ("transformers", "5.3"), ("huggingface_hub", "1.26"), ("peft", "0.20")],
)
def test_nothing_older_than_the_last_known_hole_is_installed_or_allowed(package, floor):
    assert Version(version(package)) >= Version(floor)
    (allowed,) = (
        line.split(">=")[1].split(",")[0].strip('" ')
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.strip().startswith(f'"{package}>=')
    )
    assert Version(allowed) >= Version(floor)


def test_transformers_finds_nothing_here_that_fetches_code():
    assert importlib.util.find_spec("kernels") is None
