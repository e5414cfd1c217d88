"""What the test Hub answers to those who publish: new repositories, uploads, commits."""

import base64
import hashlib
import json
from pathlib import PurePosixPath

import yaml

from tests.hub.core import Answer, Hub, RefusalError, Request, as_json
from tests.hub.store import LARGE, LARGE_SIZE, Repo

__all__ = ["add_commit", "batch", "before_upload", "check_card", "create", "delete", "upload", "verify"]


def create(hub: Hub, request: Request) -> Answer:
    asked = request.json()
    who = hub.who(request)
    owner = asked.get("organization") or (who.name if who else "")
    hub.writer(request, owner)
    name = f"{owner}/{asked['name']}"
    if name in hub.store.repos:
        raise RefusalError(409, "You already created this model repo")
    repo = Repo(name, private=asked.get("visibility") == "private")
    hub.store.repos[name] = repo
    hub.store.commit(
        repo,
        {".gitattributes": hub.store.keep(".gitattributes", b"*.safetensors lfs\n")},
        "initial commit",
    )
    return as_json({"url": f"{hub.endpoint}/{name}", "name": name, "id": repo.newest.id[:24]})


def delete(hub: Hub, request: Request) -> Answer:
    asked = request.json()
    who = hub.who(request)
    owner = asked.get("organization") or (who.name if who else "")
    hub.writer(request, owner)
    if hub.store.repos.pop(f"{owner}/{asked['name']}", None) is None:
        raise RefusalError(404, "Repository not found", "RepoNotFound")
    return as_json({})


def check_card(hub: Hub, request: Request) -> Answer:
    parts = request.json()["content"].split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return as_json(
            {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
        )
    try:
        found = yaml.safe_load(parts[1])
    except yaml.YAMLError as problem:
        return as_json({"errors": [{"message": str(problem)}], "warnings": []}, 400)
    wrong = [] if isinstance(found, dict) else [{"message": "metadata must be an object"}]
    return as_json({"errors": wrong, "warnings": []}, 400 if wrong else 200)


def before_upload(hub: Hub, request: Request, repo: str, rev: str) -> Answer:
    found, commit = hub.at(request, repo, rev)
    hub.writer(request, found.owner)
    said = []
    for file in request.json()["files"]:
        large = PurePosixPath(file["path"]).suffix in LARGE or file["size"] > LARGE_SIZE
        known = commit.files.get(file["path"])
        oid = None if known is None else known.etag
        mode = "lfs" if large else "regular"
        said.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return as_json({"files": said})


def batch(hub: Hub, request: Request, repo: str) -> Answer:
    hub.writer(request, hub.repo(request, repo).owner)
    objects = []
    for each in request.json()["objects"]:
        said = {"oid": each["oid"], "size": each["size"], "authenticated": True}
        if each["oid"] not in hub.store.large:
            href = f"{hub.large_host}/upload/{each['oid']}?Signature=x"
            check = f"{hub.endpoint}/{repo}.git/info/lfs/verify"
            said["actions"] = {
                "upload": {"href": href, "header": {}},
                "verify": {"href": check, "header": {}},
            }
        objects.append(said)
    return as_json({"transfer": "basic", "objects": objects})


def upload(hub: Hub, request: Request, sha256: str) -> Answer:
    if request.host.startswith("127.") or "Signature" not in request.query:
        raise RefusalError(403, "Access denied")
    if hashlib.sha256(request.body).hexdigest() != sha256:
        raise RefusalError(400, "The content's hash is another one")
    hub.store.keep("upload.bin", request.body)
    return Answer(200, {"ETag": f'"{sha256[:32]}"'})


def verify(hub: Hub, request: Request, repo: str) -> Answer:
    hub.writer(request, hub.repo(request, repo).owner)
    asked = request.json()
    blob = hub.store.large.get(asked["oid"])
    if blob is None or blob.size != asked["size"]:
        raise RefusalError(404, "The object is not there")
    return as_json({})


def add_commit(hub: Hub, request: Request, repo: str, rev: str) -> Answer:
    found, before = hub.at(request, repo, rev)
    hub.writer(request, found.owner)
    if rev not in found.branches:
        raise RefusalError(400, f"{rev} is no branch")
    lines = [json.loads(line) for line in request.body.splitlines()]
    header, files = lines[0]["value"], dict(before.files)
    parent = header.get("parentCommit")
    if parent and not before.id.startswith(parent):
        raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
    for line in lines[1:]:
        value, name = line["value"], line["value"]["path"]
        if line["key"] == "file":
            files[name] = hub.store.keep("regular", base64.b64decode(value["content"]))
        elif line["key"] == "lfsFile":
            if value["oid"] not in hub.store.large:
                raise RefusalError(400, f"The content of {name} was never uploaded")
            files[name] = hub.store.large[value["oid"]]
        elif line["key"] == "deletedFile" and name in files:
            del files[name]
        elif line["key"] == "deletedFolder":
            files = {
                each: blob for each, blob in files.items() if not each.startswith(name.rstrip("/") + "/")
            }
        else:
            raise RefusalError(404, "A file with this name doesn't exist", "EntryNotFound")
    commit = hub.store.commit(found, files, header["summary"], rev)
    hub.uploads.append(
        {"repo": repo, "commit": commit.id, "title": header["summary"], "files": sorted(files)}
    )
    url = f"{hub.endpoint}/{repo}/commit/{commit.id}"
    return as_json({"success": True, "commitOid": commit.id, "commitUrl": url, "hookOutput": ""})
