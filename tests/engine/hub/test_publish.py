"""An adapter on its way to the Hub: what arrives, what its card says, and who may not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from engine.formats.adapter_file import CONFIG, WEIGHTS
from engine.formats.errors import StudioError
from engine.hub.client import Hub
from engine.hub.model_card import base_name, model_card
from engine.hub.publish import publish
from engine.hub.session import api_with
from engine.messages import AdapterCard, BaseCard, Provenance
from engine.supervisor.starter import STARTER
from tests.engine.hub.repos import ADAPTER

# The client sends files in a way that its HTTP layer no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

CARD = AdapterCard(
    name="sort",
    path=str(ADAPTER),
    base="tiny",
    kind="lora",
    rank=8,
    alpha=16.0,
    targets=["q_proj", "v_proj"],
    tensors=112,
    bytes=334768,
    source="training",
    description="Puts letters in order, from /home/ada/data/sort.jsonl <script>",
    license="apache-2.0",
)
BASE = BaseCard(
    name="tiny", architecture="LlamaForCausalLM", parameters=9, path="/home/ada/bases/tiny", repo="org/tiny"
)
PROVENANCE = Provenance(
    kind="adapters",
    name="sort",
    facts=[
        ("data", "/home/ada/secret/rows.jsonl | 100 rows"),
        ("seed", "7"),
        ("From", "C:\\Users\\Ada Lovelace\\secret"),
        ("exact", "0.98 (0.95 to 1.00)"),
        ("address", "https://huggingface.co/ada/one/tree/main"),
    ],
    files={"adapter_model.safetensors": "ab" * 32, "README.md": "cd" * 32},
    spec={"type": "TrainLora", "data": "/home/ada/secret/rows.jsonl", "learning_rate": 0.005, "steps": 250},
)


@pytest.fixture
def send(site):
    def send(repo, token=None, folder=ADAPTER, private=True, card="---\nlicense: mit\n---\n# x\n"):
        said = []
        token = token or site.token
        owner = Hub(lambda: token).owner(token)
        address = publish(
            folder,
            repo,
            card=card,
            base="org/tiny",
            private=private,
            owner=owner,
            token=token,
            say=said.append,
        )
        return address, said

    return send


def failure(call):
    with pytest.raises(StudioError) as caught:
        call()
    return caught.value


def test_everything_arrives_in_one_commit(send, site, tmp_path):
    address, said = send("ada/sort")
    assert address == f"{site.endpoint}/ada/sort" and "private" in said[0]
    (upload,) = site.uploads("ada/sort")
    assert upload["files"] == [
        ".gitattributes",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert Hub(lambda: site.token).show("ada/sort").repo.private
    fetch = api_with(site.token).hf_hub_download
    there = Path(fetch("ada/sort", WEIGHTS, cache_dir=tmp_path))
    assert there.read_bytes() == (ADAPTER / WEIGHTS).read_bytes()
    config = json.loads(Path(fetch("ada/sort", CONFIG, cache_dir=tmp_path)).read_bytes())
    assert config["base_model_name_or_path"] == "org/tiny"


def test_what_the_studio_adds_goes_along_and_nothing_else_does(send, site, tmp_path):
    folder = tmp_path / "sort"
    shutil.copytree(ADAPTER, folder)
    (folder / "studio.json").write_text('{"kind": "svd"}')
    (folder / "gate.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (folder / "private.txt").write_text("mine")
    send("ada/sort", folder=folder)
    (upload,) = site.uploads("ada/sort")
    assert {"studio.json", "gate.safetensors"} < set(upload["files"]) and "private.txt" not in upload["files"]


def test_publishing_again_is_a_new_commit(send, site):
    send("ada/sort")
    _, said = send("ada/sort", card="---\nlicense: mit\n---\n# better\n")
    assert len(site.uploads("ada/sort")) == 2 and "newest commit" in said[0]
    assert "better" in Hub(lambda: site.token).show("ada/sort").card


def test_a_name_without_a_user_is_one_s_own(send):
    address, _ = send("sort")
    assert address.endswith("/ada/sort")


def test_an_organisation_one_belongs_to(send, site):
    assert send("studio/sort", private=False)[0].endswith("/studio/sort")
    assert not Hub(lambda: None).show("studio/sort").repo.private


def test_what_should_be_private_never_goes_where_everybody_sees_it(send, site):
    send("ada/sort", private=False)
    error = failure(lambda: send("ada/sort"))
    assert error.code == "usage" and "everybody can see it" in error.message
    assert len(site.uploads("ada/sort")) == 1


@pytest.mark.parametrize("there", [True, False])
def test_somebody_else_s_name(send, site, there):
    if there:
        site.add("bob/sort", {"README.md": "his"})
    error = failure(lambda: send("bob/sort", private=False))
    assert error.code == "sign-in" and "belongs to bob" in error.message and "ada/sort" in error.hint
    assert not site.uploads("bob/sort")


def test_a_token_that_may_only_read(send, site):
    token = site.account("eve", role="read")
    error = failure(lambda: send("eve/sort", token))
    assert error.code == "sign-in" and "may only read" in error.message and "/settings/tokens" in error.hint
    assert not site.requests("/api/repos/create")


def test_a_token_whose_rights_turn_out_too_small(send, site):
    site.fault("/api/repos/create", "POST", status=403)
    error = failure(lambda: send("ada/sort"))
    assert error.code == "sign-in" and "may not write" in error.message


def test_a_name_that_cannot_be(send):
    assert failure(lambda: send("not a name")).code == "usage"
    assert failure(lambda: send("a/b/c")).code == "usage"


def test_a_card_that_the_hub_does_not_take(send, site):
    error = failure(lambda: send("ada/sort", card="---\n[broken\n---\n# x\n"))
    assert error.code == "usage" and "---" in error.hint
    assert not site.uploads("ada/sort")


@pytest.mark.parametrize(
    ("step", "method"), [("/api/models/*/commit/*", "POST"), ("/upload/*", "PUT"), ("*/batch", "POST")]
)
def test_trouble_half_way_leaves_nothing_half_published(send, site, step, method):
    site.fault(step, method, status=503, times=-1)
    error = failure(lambda: send("ada/sort"))
    assert error.code == "limited" and not site.uploads("ada/sort")
    site.clear()
    send("ada/sort")
    assert len(site.uploads("ada/sort")) == 1


def front_matter(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_the_card_says_what_is_known():
    text = model_card(CARD, PROVENANCE, BASE, "ada/sort")
    assert front_matter(text) == {
        "base_model": "org/tiny",
        "library_name": "peft",
        "license": "apache-2.0",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "adapter-studio"],
    }
    for words in (
        "# sort",
        "rank 8 (alpha 16)",
        "`q_proj`",
        "0.98 (0.95 to 1.00)",
        "ab" * 32,
        "apache-2.0",
        "| learning rate | 0.005 |",
    ):
        assert words in text
    assert 'PeftModel.from_pretrained(base, "ada/sort")' in text
    assert 'AutoModelForCausalLM.from_pretrained("org/tiny")' in text


def test_the_card_says_nothing_of_this_machine_and_lets_nothing_of_strangers_through():
    text = model_card(CARD, PROVENANCE, BASE, "ada/sort")
    assert "https://huggingface.co/ada/one/tree/main" in text
    assert "cd" * 32 not in text and "Lovelace" not in text
    assert "/home" not in text and "secret" not in text and "rows.jsonl" in text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("kind", "what", "meaning"),
    [
        ("dylora", "A DyLoRA of rank 8 (alpha 16)", "trained at every rank from 2 to 8"),
        (
            "svd",
            "A LoRA in order of energy of rank 8",
            "first b columns of every projection at the same scale",
        ),
    ],
)
def test_the_card_of_an_adapter_of_many_ranks_says_how_to_use_one(kind, what, meaning):
    card = replace(CARD, kind=kind, low=2)
    text = model_card(card, PROVENANCE, BASE, "ada/sort")
    assert what in text and meaning in text
    assert "adapters export sort FOLDER --rank 4" in text and "--adapter sort@4" in text
    assert ("dylora" in front_matter(text)["tags"]) == (kind == "dylora")
    assert "## Ranks" not in model_card(replace(card, low=8)) and "## Ranks" not in model_card(CARD)


def test_a_base_without_a_repository_is_not_somebody_else_s():
    unknown = BaseCard(name="tiny", architecture="LlamaForCausalLM", parameters=9, path="/x/tiny")
    assert "base_model" not in front_matter(model_card(CARD, None, unknown))
    assert "not on the Hub" in model_card(CARD, None, unknown)
    assert "not on the Hub" not in model_card(CARD, None, BASE)
    assert base_name(CARD, unknown) == "tiny" and base_name(CARD, BASE) == "org/tiny"


def test_a_stranger_s_base_is_no_program_to_copy():
    named = 'x/y"); import os  #'
    text = model_card(replace(CARD, base=named))
    assert "base_model" not in front_matter(text)
    assert "import os" not in text.split("```")[1] and '"BASE"' in text


def test_a_vision_adapter_loads_with_its_own_class():
    vision = replace(BASE, architecture="ViTForImageClassification")
    text = model_card(CARD, None, vision)
    assert "AutoModelForImageClassification" in text and front_matter(text)["pipeline_tag"] == (
        "image-classification"
    )


LOAD = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

def logits(adapter):
    base = AutoModelForCausalLM.from_pretrained(sys.argv[1])
    with torch.no_grad():
        return PeftModel.from_pretrained(base, adapter).eval()(torch.tensor([[5, 9, 3, 7]])).logits

sys.exit(not torch.equal(logits("ada/mine"), logits(sys.argv[2])))
"""


def test_what_was_published_loads_in_peft_from_the_hub(send, site):
    send("ada/mine", private=False)
    command = [sys.executable, "-c", LOAD, str(STARTER / "base"), str(ADAPTER)]
    done = subprocess.run(
        command, env=os.environ | site.environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
