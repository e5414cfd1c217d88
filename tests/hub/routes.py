"""Which request of the test Hub is answered by what; those about accounts are answered here."""

import re
from urllib.parse import unquote

from tests.hub import reading, writing
from tests.hub.core import Answer, Hub, RefusalError, Request, as_json
from tests.hub.listing import QueryError

__all__ = ["answer"]


def answer(hub: Hub, request: Request) -> Answer:
    for method, pattern, respond in ROUTES:
        verb = "GET" if request.method == "HEAD" else request.method
        if verb == method and (found := pattern.fullmatch(request.path)):
            parts = {name: unquote(part) for name, part in found.groupdict().items() if part is not None}
            try:
                return respond(hub, request, **parts)
            except QueryError as problem:
                raise RefusalError(400, str(problem)) from problem
    raise RefusalError(404, "Sorry, we can't find the page you are looking for.")


def whoami(hub: Hub, request: Request) -> Answer:
    who = hub.who(request)
    if who is None:
        raise RefusalError(401, "Invalid username or password.")
    access = {"displayName": "studio", "role": who.role}
    said = {
        "type": "user",
        "id": who.name,
        "name": who.name,
        "fullname": who.name.title(),
        "isPro": False,
    }
    groups = [{"type": "org", "name": group, "fullname": group} for group in who.groups]
    return as_json(said | {"orgs": groups, "auth": {"type": "access_token", "accessToken": access}})


def device(hub: Hub, request: Request) -> Answer:
    if not request.form().get("client_id"):
        return as_json({"error": "invalid_client"}, 400)
    return as_json(hub.accounts.begin(hub.endpoint))


def token(hub: Hub, request: Request) -> Answer:
    form = {name: values[0] for name, values in request.form().items()}
    match form.get("grant_type"):
        case "urn:ietf:params:oauth:grant-type:device_code":
            status, said = hub.accounts.poll(form.get("device_code", ""))
        case "refresh_token":
            status, said = hub.accounts.renew(form.get("refresh_token", ""))
        case _:
            status, said = 400, {"error": "unsupported_grant_type"}
    return as_json(said, status)


def may_read(hub: Hub, request: Request, repo: str) -> Answer:
    hub.readable(request, hub.repo(request, repo))
    return as_json({})


REPO, REV = r"(?P<repo>[^/]+(?:/[^/]+)?)", r"(?P<rev>[^/]+)"
PAIR = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    (method, re.compile(pattern), respond)
    for method, pattern, respond in (
        ("GET", r"/api/models", reading.models),
        ("GET", r"/api/whoami-v2", whoami),
        ("POST", r"/oauth/device", device),
        ("POST", r"/oauth/token", token),
        ("POST", r"/api/repos/create", writing.create),
        ("DELETE", r"/api/repos/delete", writing.delete),
        ("POST", r"/api/validate-yaml", writing.check_card),
        ("GET", rf"/api/models/{REPO}/revision/{REV}", reading.model),
        ("GET", rf"/api/models/{REPO}/tree/{REV}(?:/(?P<folder>.+))?", reading.tree),
        ("POST", rf"/api/models/{REPO}/paths-info/{REV}", reading.paths),
        ("GET", rf"/api/models/{REPO}/refs", reading.refs),
        ("GET", rf"/api/models/{REPO}/commits/{REV}", reading.commits),
        ("GET", rf"/api/models/{REPO}/auth-check", may_read),
        ("POST", rf"/api/models/{REPO}/preupload/{REV}", writing.before_upload),
        ("POST", rf"/api/models/{REPO}/commit/{REV}", writing.add_commit),
        ("GET", rf"/api/models/{PAIR}", reading.model),
        ("GET", r"/api/models/(?P<repo>[^/]+)", reading.model),
        ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", writing.batch),
        ("POST", rf"/{REPO}\.git/info/lfs/verify", writing.verify),
        ("GET", rf"/large/{PAIR}/(?P<sha256>[0-9a-f]{{64}})/(?P<file>[^/]+)", reading.large),
        ("PUT", r"/upload/(?P<sha256>[0-9a-f]{64})", writing.upload),
        ("GET", rf"/{REPO}/resolve/{REV}/(?P<file>.+)", reading.resolve),
    )
]
