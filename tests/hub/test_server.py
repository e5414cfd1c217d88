"""The test Hub against the real client: what a program of huggingface_hub asks is what it is answered."""

import hashlib
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")
import httpx2
import huggingface_hub
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    DeviceCodeError,
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import _oauth_device
from huggingface_hub.utils._http import default_client_factory

WEIGHTS = b"\x02" + b"\0" * 7 + b"{}" + bytes(range(256)) * 40
ADAPTER = {
    "adapter_config.json": '{"peft_type": "LORA", "r": 8, "base_model_name_or_path": "studio/starter"}',
    "adapter_model.safetensors": WEIGHTS,
}
NAME = "ada/lora"
FILE = "adapter_model.safetensors"


@pytest.fixture
def api(hub, monkeypatch):
    hub.enter(monkeypatch)
    # The engine's own session, which other tests may have opened in this process, waits for a busy Hub.
    huggingface_hub.set_client_factory(default_client_factory)
    return HfApi(endpoint=hub.endpoint)


@pytest.fixture
def get(hub):
    """A client without a word of the Hub in it; redirects are followed by hand."""
    with httpx2.Client(base_url=hub.endpoint, timeout=30) as client:
        yield client.get


def location(get, file=FILE):
    return get(f"/{NAME}/resolve/main/{file}").headers["Location"]


def test_a_search_filters_and_sorts(hub, api):
    hub.add(
        "ada/math", ADAPTER, base="llama/base", license="mit", task="text-generation", likes=5, modified=2e9
    )
    hub.add(
        "bob/math-two", ADAPTER, base="llama/base", license="apache-2.0", gated=True, likes=9, downloads=4
    )
    hub.add("bob/poems", ADAPTER, base="qwen/base", tags=["poetry"], downloads=7)

    def names(**query):
        return [each.id for each in api.list_models(**query)]

    assert names(search="math", sort="likes") == ["bob/math-two", "ada/math"]
    assert names(search="MATH two") == ["bob/math-two"]
    assert names(filter=["peft", "base_model:llama/base", "license:mit"]) == ["ada/math"]
    assert names(filter="poetry") == ["bob/poems"]
    assert names(author="bob", sort="downloads") == ["bob/poems", "bob/math-two"]
    assert names(gated=True) == ["bob/math-two"]
    assert set(names(gated=False)) == {"ada/math", "bob/poems"}
    assert names(pipeline_tag="text-generation") == ["ada/math"]
    assert names(sort="last_modified", limit=1) == ["ada/math"]
    (brief,) = api.list_models(filter="poetry")
    assert brief.siblings is None and brief.downloads == 7 and brief.library_name == "peft"
    (full,) = api.list_models(filter="poetry", full=True)
    assert {each.rfilename for each in full.siblings} == set(ADAPTER) and full.sha and full.last_modified
    (expanded,) = api.list_models(filter="poetry", expand=["gated", "baseModels"])
    assert expanded.gated is False and expanded.base_models["models"][0]["id"] == "qwen/base"
    assert expanded.downloads is None


def test_a_query_with_a_mistake_in_it_is_refused(hub, api, get):
    assert get("/api/models?sorted=likes").status_code == 400
    with pytest.raises(HfHubHTTPError, match="Cannot sort"):
        list(api.list_models(sort="beauty"))


def test_pages_follow_one_another_by_link(hub, api):
    hub.add_many(250)
    hub.page(100)
    found = list(api.list_models(filter="base_model:studio/starter", sort="downloads"))
    assert len({each.id for each in found}) == 250
    figures = [each.downloads for each in found]
    assert figures == sorted(figures, reverse=True) and len(set(figures)) > 200
    assert len(hub.requests("/api/models")) == 3
    hub.forget()
    assert len(list(api.list_models(limit=150))) == 150
    assert len(hub.requests("/api/models")) == 2


def test_twenty_thousand_entries_are_listed_at_once(hub, api):
    hub.add_many(20_000)
    began = time.perf_counter()
    assert len(list(api.list_models(search="adapter-0", limit=50, full=True))) == 50
    assert time.perf_counter() - began < 10


def test_a_repository_tells_of_itself(hub, api):
    commit = hub.add(
        NAME,
        ADAPTER,
        card="# Hello\n",
        license="mit",
        tags=["poetry"],
        security={FILE: "unsafe"},
        downloads=3,
    )
    info = api.model_info(NAME, files_metadata=True, securityStatus=True)
    assert (info.sha, info.downloads, info.gated, info.private) == (commit, 3, False, False)
    assert info.card_data.license == "mit" and info.card_data.tags == ["poetry"]
    assert {"license:mit", "peft", "safetensors", "base_model:adapter:studio/starter"} <= set(info.tags)
    assert info.config["peft"]["base_model_name_or_path"] == "studio/starter"
    assert info.security_repo_status == {
        "scansDone": True,
        "filesWithIssues": [{"path": FILE, "level": "unsafe"}],
    }
    sizes = {each.rfilename: (each.size, each.lfs and each.lfs.sha256) for each in info.siblings}
    assert sizes[FILE] == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    assert sizes["adapter_config.json"] == (len(ADAPTER["adapter_config.json"]), None)
    assert api.model_info(NAME, expand=["safetensors", "likes"]).downloads is None


def test_revisions_are_branches_tags_and_commits(hub, api):
    old = hub.add(NAME, ADAPTER)
    new = hub.add(NAME, {"README.md": "new"}, keep=True)
    hub.branch(NAME, "trial/one", old)
    hub.tag(NAME, "v1", old)
    refs = api.list_repo_refs(NAME)
    assert {each.name: each.target_commit for each in refs.branches} == {"main": new, "trial/one": old}
    assert [(each.name, each.ref) for each in refs.tags] == [("v1", "refs/tags/v1")]
    assert [each.commit_id for each in api.list_repo_commits(NAME)] == [new, old]
    for revision in ("trial/one", "v1", old, old[:8]):
        assert api.model_info(NAME, revision=revision).sha == old
    assert "README.md" not in {each.path for each in api.list_repo_tree(NAME, revision="trial/one")}
    with pytest.raises(RevisionNotFoundError):
        api.model_info(NAME, revision="v2")


def test_the_tree_has_folders_and_pages(hub, api):
    files = {f"deep/er/file-{number:02d}.txt": "x" for number in range(60)} | {"top.txt": "y"}
    hub.add(NAME, files, security={"top.txt": "suspicious"})
    assert {each.path for each in api.list_repo_tree(NAME)} == {"deep", "top.txt"}
    assert {each.path for each in api.list_repo_tree(NAME, "deep")} == {"deep/er"}
    everything = list(api.list_repo_tree(NAME, recursive=True, expand=True))
    assert {each.path for each in everything} == {*files, "deep", "deep/er"}
    assert len(hub.requests("*/tree/main")) == 3
    (top,) = [each for each in everything if each.path == "top.txt"]
    assert (
        top.security["status"] == "suspicious"
        and not top.security["safe"]
        and top.last_commit.title == "Upload"
    )
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(NAME, "nowhere"))
    assert [each.path for each in api.get_paths_info(NAME, ["top.txt", "nowhere"])] == ["top.txt"]


def test_files_are_fetched_and_large_ones_from_the_other_host_without_the_token(hub, api):
    commit = hub.add(NAME, ADAPTER | {"sub/a name.txt": "héllo"})
    folder = api.snapshot_download(NAME, token=hub.token)
    assert folder.endswith(commit)
    assert Path(f"{folder}/{FILE}").read_bytes() == WEIGHTS
    assert Path(f"{folder}/sub/a name.txt").read_text("utf-8") == "héllo"
    large = hub.requests("/large/*")
    assert [(each["host"].split(":")[0], each["authorization"]) for each in large] == [("localhost", False)]
    assert all(each["authorization"] for each in hub.requests() if each not in large)
    meta = huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(NAME, FILE, endpoint=hub.endpoint))
    assert (meta.commit_hash, meta.size) == (commit, len(WEIGHTS))
    assert meta.etag == hashlib.sha256(WEIGHTS).hexdigest()
    hub.forget()
    huggingface_hub.hf_hub_download(NAME, FILE, revision="main")
    assert [each["method"] for each in hub.requests()] == ["HEAD"]


def test_what_is_not_there_is_said_as_the_hub_says_it(hub, api):
    hub.add(NAME, ADAPTER)
    with pytest.raises(RemoteEntryNotFoundError):
        huggingface_hub.hf_hub_download(NAME, "nothing.bin")
    with pytest.raises(RevisionNotFoundError):
        huggingface_hub.hf_hub_download(NAME, FILE, revision="v9")
    for token in (False, hub.token):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info("ada/nothing", token=token)
    assert [each["status"] for each in hub.requests("*/nothing")] == [401, 404]


def test_gated_and_private_repositories_open_to_those_who_may(hub, api):
    hub.add("bob/gated", ADAPTER, gated="manual")
    hub.add("bob/private", ADAPTER, private=True)
    eve, bob = hub.account("eve"), hub.account("bob", "read")
    assert api.model_info("bob/gated").gated == "manual"
    for token, status in ((None, 401), (eve, 403)):
        hub.forget()
        with pytest.raises(GatedRepoError) as caught:
            huggingface_hub.get_hf_file_metadata(
                huggingface_hub.hf_hub_url("bob/gated", FILE, endpoint=hub.endpoint), token=token or False
            )
        assert caught.value.response.status_code == status
        with pytest.raises(RepositoryNotFoundError) as missing:
            api.model_info("bob/private", token=token or False)
        assert not isinstance(missing.value, GatedRepoError)
        with pytest.raises(GatedRepoError):
            api.auth_check("bob/gated", token=token or False)
    hub.grant("bob/gated", "eve")
    api.auth_check("bob/gated", token=eve)
    assert api.model_info("bob/private", token=bob).private
    newest, _ = api.list_models(author="bob", token=bob, sort="created_at")
    assert newest.id == "bob/private"
    assert [each.id for each in api.list_models(author="bob")] == ["bob/gated"]


def test_who_am_i(hub, api):
    assert api.whoami(hub.token)["name"] == "ada"
    with pytest.raises(HfHubHTTPError, match="Invalid user token") as caught:
        api.whoami("hf_wrong")
    assert caught.value.response.status_code == 401
    hub.add(NAME, ADAPTER)
    with pytest.raises(HfHubHTTPError) as caught:
        api.model_info(NAME, token="hf_wrong")
    assert not isinstance(caught.value, RepositoryNotFoundError)
    hub.revoke(hub.token)
    with pytest.raises(HfHubHTTPError):
        api.whoami(hub.token)


def test_signing_in_with_a_code(hub, api):
    hub.device(interval=0)
    code = _oauth_device.request_device_code()
    assert code["user_code"] in code["verification_uri_complete"] and code["interval"] == 0
    pending = threading.Event()
    hub_said = {}

    def accept():
        pending.wait(30)
        hub_said["token"] = hub.accept_device("ada")

    person = threading.Thread(target=accept)
    person.start()
    answer = _oauth_device.poll_device_token(code, on_pending=pending.set)
    person.join()
    assert answer["access_token"] == hub_said["token"] and api.whoami(answer["access_token"])["name"] == "ada"


def test_a_token_that_ends_is_renewed(hub, api):
    hub.device(interval=0, lasts=3600)
    code = _oauth_device.request_device_code()
    hub.accept_device()
    first = _oauth_device.poll_device_token(code)
    assert first["expires_in"] == 3600
    second = _oauth_device.refresh_access_token(first["refresh_token"])
    assert api.whoami(second["access_token"])["name"] == "ada"
    with pytest.raises(HfHubHTTPError):
        api.whoami(first["access_token"])
    with pytest.raises(DeviceCodeError, match="invalid_grant"):
        _oauth_device.refresh_access_token(first["refresh_token"])


def test_a_code_that_is_denied_expires_or_is_asked_for_too_often(hub, api, get):
    hub.device(interval=0)
    code = _oauth_device.request_device_code()
    hub.deny_device()
    with pytest.raises(DeviceCodeError) as caught:
        _oauth_device.poll_device_token(code)
    assert caught.value.error_code == "access_denied"
    hub.device(interval=0, expires_in=-1)
    late = _oauth_device.request_device_code() | {"expires_in": 60}
    with pytest.raises(DeviceCodeError) as caught:
        _oauth_device.poll_device_token(late)
    assert caught.value.error_code == "expired_token"
    hub.device(slow_down=1)
    code = _oauth_device.request_device_code()
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code["device_code"]}
    for said in ("slow_down", "authorization_pending"):
        answer = httpx2.post(hub.endpoint + "/oauth/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, said)


# The client itself gives httpx2 a file as ``data``.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_folder_is_published_and_can_be_fetched_again(hub, api, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / FILE).write_bytes(WEIGHTS)
    (folder / "README.md").write_text("---\nlicense: mit\nbase_model: studio/starter\n---\n# Mine\n")
    assert str(api.create_repo("ada/mine", private=True, token=hub.token)) == hub.endpoint + "/ada/mine"
    first = api.upload_folder(repo_id="ada/mine", folder_path=folder, token=hub.token)
    (said,) = hub.uploads("ada/mine")
    assert said["commit"] == first.oid and set(said["files"]) == {".gitattributes", "README.md", FILE}
    fetched = api.snapshot_download("ada/mine", token=hub.token)
    assert Path(f"{fetched}/{FILE}").read_bytes() == WEIGHTS
    assert api.model_info("ada/mine", token=hub.token).card_data.base_model == "studio/starter"

    (folder / FILE).write_bytes(WEIGHTS + b"more")
    second = api.upload_folder(repo_id="ada/mine", folder_path=folder, token=hub.token)
    assert second.oid != first.oid and len(hub.requests("/upload/*")) == 2
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_file(
            path_or_fileobj=b"x",
            path_in_repo="a.txt",
            repo_id="ada/mine",
            parent_commit=first.oid,
            token=hub.token,
        )
    api.delete_file(FILE, "ada/mine", token=hub.token)
    assert FILE not in api.list_repo_files("ada/mine", token=hub.token)
    api.delete_repo("ada/mine", token=hub.token)
    assert not api.repo_exists("ada/mine", token=hub.token)


def test_only_those_who_may_write_can_publish(hub, api):
    reader, eve = hub.account("ada", "read"), hub.account("eve")
    for token in (reader, eve, False):
        with pytest.raises(HfHubHTTPError):
            api.create_repo("ada/mine", token=token)
    api.create_repo("studio/ours", token=hub.token)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("studio/ours", token=hub.token)
    with pytest.raises(HfHubHTTPError, match="403"):
        api.upload_file(path_or_fileobj=b"x", path_in_repo="a.txt", repo_id="studio/ours", token=eve)
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.upload_file(
            path_or_fileobj=b"---\na: [\n---\n",
            path_in_repo="README.md",
            repo_id="studio/ours",
            token=hub.token,
        )


def test_ranges(hub, get):
    hub.add(NAME, ADAPTER)
    size, large = len(WEIGHTS), location(get)
    whole = get(large)
    assert whole.status_code == 200 and whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["ETag"].strip('"') != hashlib.sha256(WEIGHTS).hexdigest()
    for asked, start, end in (
        ("0-9", 0, 10),
        ("100-", 100, size),
        ("-7", size - 7, size),
        ("5-99999999", 5, size),
    ):
        answer = get(large, headers={"Range": f"bytes={asked}"})
        assert answer.status_code == 206 and answer.content == WEIGHTS[start:end]
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    beyond = get(large, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    same = get(large, headers={"Range": "bytes=5-", "If-Range": whole.headers["ETag"]})
    other = get(large, headers={"Range": "bytes=5-", "If-Range": '"another"'})
    assert (same.status_code, other.status_code) == (206, 200)
    small = get(f"/{NAME}/resolve/main/adapter_config.json", headers={"Range": "bytes=0-3"})
    assert small.status_code == 206 and small.text == ADAPTER["adapter_config.json"][:4]
    logged = hub.requests("/large/*")
    assert [each["range"] for each in logged][:2] == [None, "bytes=0-9"]
    assert [each["sent"] for each in logged][:2] == [size, 10]


def test_the_other_host_has_nothing_to_say_to_strangers(hub, get):
    hub.add(NAME, ADAPTER)
    large = location(get)
    assert get(large.replace("localhost", "127.0.0.1")).status_code == 403
    assert get(large.split("?")[0]).status_code == 403


def test_a_large_file_is_served_from_where_it_lies(hub, get, tmp_path):
    path = tmp_path / "big.safetensors"
    with path.open("wb") as file:
        file.truncate(256 * 2**20)
    hub.add(NAME, {FILE: path})
    with httpx2.stream("GET", location(get), timeout=30) as answer:
        assert sum(len(chunk) for chunk in answer.iter_raw(2**20)) == path.stat().st_size
    assert hub.requests("/large/*")[-1]["sent"] == path.stat().st_size
    peak = next(
        line for line in Path(f"/proc/{hub.pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    assert int(peak.split()[1]) < 100 * 1024


@pytest.mark.parametrize("offset", [0, 1, 100, len(WEIGHTS) - 1])
@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_drops_at_any_byte(hub, get, offset, reset):
    hub.add(NAME, ADAPTER)
    large = location(get)
    hub.fault("*" + FILE, drop_at=offset, reset=reset)
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        get(large)
    if offset:
        assert get(large, headers={"Range": f"bytes={offset}-"}).content == WEIGHTS[offset:]
    assert get(large).content == WEIGHTS
    logged = hub.requests("/large/*")
    assert (logged[0]["sent"], logged[0]["fault"]) == (offset, "drop_at")
    assert hub.clear() == []


def test_faults_of_a_body(hub, get):
    hub.add(NAME, ADAPTER)
    large, ranged = location(get), {"Range": "bytes=10-"}
    hub.fault("*" + FILE, flip=50)
    flipped = get(large, headers=ranged).content
    assert [at + 10 for at, (a, b) in enumerate(zip(flipped, WEIGHTS[10:], strict=True)) if a != b] == [50]
    hub.fault("*" + FILE, no_range=True)
    refused = get(large, headers=ranged)
    assert refused.status_code == 200 and refused.content == WEIGHTS
    hub.fault("*" + FILE, etag="other")
    assert get(large).headers["ETag"] == '"other"'
    hub.fault("*" + FILE, length=20)
    # What the server sends beyond these must not wait in a connection that the next request would take.
    assert get(large, headers={"Connection": "close"}).content == WEIGHTS[:20]
    hub.fault("*" + FILE, length=len(WEIGHTS) + 5)
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending complete"):
        get(large)
    hub.fault("*adapter_config.json", gzip=True)
    packed = get(f"/{NAME}/resolve/main/adapter_config.json", headers={"Range": "bytes=5-"})
    assert packed.status_code == 200 and packed.text == ADAPTER["adapter_config.json"]
    assert get(large).content == WEIGHTS


def test_slow_and_silent_answers(hub, get):
    hub.add(NAME, ADAPTER)
    large = location(get)
    hub.fault("*" + FILE, rate=len(WEIGHTS) * 4)
    hub.fault("*" + FILE, stall=0.3, stall_at=100)
    for _ in range(2):
        began = time.perf_counter()
        assert get(large).content == WEIGHTS
        assert 0.2 < time.perf_counter() - began < 20
    hub.fault("*" + FILE, stall=30)
    with pytest.raises(httpx2.ReadTimeout):
        get(large, timeout=0.2)


def test_faults_instead_of_an_answer(hub, api, get):
    hub.add(NAME, ADAPTER)
    for status in (401, 403, 404, 429, 500, 503):
        hub.fault("/api/models/*", status=status, retry_after=7 if status == 429 else None)
        with pytest.raises(HfHubHTTPError) as caught:
            api.model_info(NAME)
        assert caught.value.response.status_code == status
    hub.fault("/api/models/*", status=429, retry_after=7, times=2)
    with pytest.raises(HfHubHTTPError, match="Retry after 7 seconds"):
        api.model_info(NAME)
    assert get(f"/api/models/{NAME}").headers["Retry-After"] == "7"
    hub.fault("*/resolve/*", "HEAD", status=403, code="GatedRepo")
    with pytest.raises(GatedRepoError):
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(NAME, FILE, endpoint=hub.endpoint))
    assert api.model_info(NAME).id == NAME
    hub.fault("*/resolve/*", redirect="http://strange.invalid/file")
    assert get(f"/{NAME}/resolve/main/{FILE}").headers["Location"] == "http://strange.invalid/file"
    hub.fault("*", times=-1, status=500)
    assert {get("/api/models").status_code for _ in range(3)} == {500}
    hub.fault("*", status=404)
    assert hub.clear() == ["status"]
    assert get("/api/models").status_code == 200


def test_the_hub_lies_about_a_file(hub, api):
    hub.add(NAME, ADAPTER)
    hub.lie(NAME, FILE, size=5, sha256="0" * 64, commit="1" * 40)
    meta = huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(NAME, FILE, endpoint=hub.endpoint))
    assert (meta.size, meta.etag, meta.commit_hash) == (5, "0" * 64, "1" * 40)
    (file,) = [each for each in api.list_repo_tree(NAME) if each.path == FILE]
    assert (file.size, file.lfs.sha256) == (5, "0" * 64)
    (sibling,) = [
        each for each in api.model_info(NAME, files_metadata=True).siblings if each.rfilename == FILE
    ]
    assert sibling.lfs.sha256 == "0" * 64


def test_the_hub_goes_and_comes_back(hub, get):
    hub.add(NAME, ADAPTER)
    large = location(get)
    hub.fault("*" + FILE, rate=len(WEIGHTS))
    threading.Timer(0.3, hub.down).start()
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        get(large)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(hub.endpoint)
    hub.up()
    assert get(large).content == WEIGHTS


def test_a_mistake_of_the_test_is_said(hub):
    with pytest.raises(RuntimeError, match="KeyError"):
        hub.tag("ada/nothing", "v1", "0" * 40)
    with pytest.raises(RuntimeError, match="unexpected keyword"):
        hub.fault("*", dorp_at=5)
