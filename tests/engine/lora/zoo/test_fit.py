"""What is told before a download is what attaching says after it: every folder of the zoo on every base."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from torch import nn

from engine.formats.adapter_folder import CONFIG, WEIGHTS, read_folder
from engine.formats.base_shapes import BaseShapes, base_shapes
from engine.formats.convert import convert
from engine.formats.errors import AdapterError
from engine.formats.fit import judge
from engine.hub.peek import Peek
from engine.hub.verdict import adapter_verdict
from engine.lora import attach, read_adapter
from engine.lora.landing import embeddings, linear_shape, linears
from engine.messages import Fit
from tests.engine.lora.zoo.bases import BASES, build
from tests.engine.lora.zoo.recipes import RECIPES
from tests.engine.lora.zoo.strangers import OTHER_KINDS, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, BaseShapes]:
    """Every base as its saved files show it."""
    root = tmp_path_factory.mktemp("bases")
    for base in BASES:
        build(base).save_pretrained(root / base)
    return {base: base_shapes(root / base) for base in BASES}


@pytest.mark.parametrize("base", BASES)
def test_headers_show_the_modules_that_the_model_has(base, shapes):
    model = build(base)

    def sizes(modules: Mapping[str, nn.Module]) -> dict[str, tuple[int, int]]:
        return {path: linear_shape(module) for path, module in modules.items()}

    seen = shapes[base]
    assert seen.linears == sizes(linears(model))
    assert seen.tables == sizes(embeddings(model))
    own = model.named_parameters(remove_duplicate=False)
    assert seen.parameters == {path: tuple(parameter.shape) for path, parameter in own}


def _verdict(folder: Path, base: BaseShapes) -> Fit:
    file = read_folder(folder)
    return judge(file.config, file.contents, base)


@pytest.mark.parametrize("base", BASES)
def test_the_verdict_is_what_attaching_says(base, shapes, zoo: Callable[[str], Path]):
    model, wrong, green = build(base), [], 0
    for name in RECIPES:
        fit = _verdict(zoo(name), shapes[base])
        try:
            attach(model, {name: read_adapter(zoo(name))}).detach()
            attached = ""
        except AdapterError as error:
            attached = error.message
        # Amber is taken, and only where the base itself is deaf to a part.
        deaf = fit.verdict == "amber" and "without calling it" in fit.reason
        taken = fit.verdict == "green" or deaf
        green += fit.verdict == "green"
        if taken == bool(attached) or (fit.verdict == "red") != bool(attached):
            wrong.append((name, fit.verdict, fit.reason, attached))
        assert fit.reason.endswith(".") and len(fit.reason.split()) > 5, fit.reason
    assert not wrong, "\n".join(map(str, wrong))
    assert green >= sum(recipe.base == base for recipe in RECIPES.values()) - (base == "mamba")


def _peek(folder: Path) -> Peek:
    weights = (folder / WEIGHTS).read_bytes()
    about = {"repo": "ada/a", "commit": "c" * 40, "weights": WEIGHTS}
    return Peek(config=(folder / CONFIG).read_bytes(), table=weights[:20480], size=len(weights), **about)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_kinds_are_amber_only_if_they_play_once_converted(kind, shapes, tmp_path):
    folder = trained("llama", OTHER_KINDS[kind](), tmp_path / "a")
    verdict = adapter_verdict(_peek(folder), shapes["llama"])
    elsewhere = adapter_verdict(_peek(folder), shapes["gpt2"])
    assert elsewhere.fit.verdict == "red", elsewhere.fit.reason
    if kind not in ("LoHa", "LoKr", "AdaLoRA"):
        assert verdict.fit.verdict == "red", verdict.fit.reason
        with pytest.raises(AdapterError):
            read_folder(folder)
        with pytest.raises(AdapterError):
            convert(folder, tmp_path / "b")
        return
    assert verdict.fit.verdict == "amber" and f"converted from {kind} when it comes in" in verdict.fit.reason
    convert(folder, tmp_path / "b")
    attach(build("llama"), {"b": read_adapter(tmp_path / "b")})
