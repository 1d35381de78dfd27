"""The backend of Label Studio in the server: who may ask, and what becomes of errors."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx  # noqa: TID253  the program loads it where it is used
import pytest
from support.command_line import CommandLine
from support.labelling_server import FAKE, serving
from support.studio_server import Client

from vfx_matte.labelling.label_studio import (
    LabelStudioBackend,
    LabelStudioClient,
    LabelStudioOptions,
)
from vfx_matte.labelling.label_studio.routes import PREFIX, label_studio_routes
from vfx_matte.pipeline.progress import SilentReporter

CONFIG = '<View><Video name="v" value="$video"/><VideoRectangle name="b" toName="v"/></View>'


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    nothing = httpx.MockTransport(lambda _: httpx.Response(404))
    backend = LabelStudioBackend(
        LabelStudioClient("http://studio.test", "key", transport=nothing),
        LabelStudioOptions(propagator=FAKE, model=tmp_path_factory.mktemp("model"), fetch=False),
        reporter=SilentReporter(),
    )
    with serving(tools=(label_studio_routes(backend),)) as client:
        yield client
    backend.close()


def test_label_studio_sends_the_token_as_a_password(helped: Client) -> None:
    path = f"{PREFIX}/health"
    for name in ("vfx-matte", "", "a b"):
        assert helped("GET", path, headers=basic(name, helped.token)).status == 200
    assert helped("GET", path, headers=basic("", helped.token)).json["status"] == "UP"
    for headers in (
        basic("x", "wrong"),
        basic(helped.token, ""),
        {"Authorization": f"Basic {helped.token}"},
        {"Authorization": "Basic ÿ"},
        {"Authorization": f"Bearer x:{helped.token}"},
        {"Authorization": None},
    ):
        answer = helped("GET", path, headers=headers)
        assert answer.status == 401
        # or a browser would ask for it, keep it, and send it again unasked
        assert answer.headers["www-authenticate"] == "Bearer"
    # as before, no other page may use it
    for more in ({"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        assert helped("GET", path, headers=basic("x", helped.token) | more).status == 403


def test_requests_are_answered_and_errors_say_what_is_wrong(helped: Client) -> None:
    setup = helped("POST", f"{PREFIX}/setup", {"schema": CONFIG, "access_token": "k"})
    assert setup.json["model_version"].startswith("vfx-matte-")
    assert helped("POST", f"{PREFIX}/webhook", {"action": "x"}).json["status"] == "ok"
    task = {"id": 1, "data": {"video": "http://evil.test/a.mp4"}}
    keyframe = {"frame": 1, "x": 1, "y": 1, "width": 9, "height": 9}
    region = {"type": "videorectangle", "id": "v", "value": {"sequence": [keyframe]}}
    body = {
        "tasks": [task],
        "label_config": CONFIG,
        "params": {"context": {"result": [region]}},
    }
    answer = helped("POST", f"{PREFIX}/predict", body)
    assert answer.status == 400
    assert "is no file of http://studio.test" in answer.json["message"]
    task["data"] = {"video": "/data/a.mp4"}
    assert "answers 404" in helped("POST", f"{PREFIX}/predict", body).json["message"]
    for wrong in ([], 3, None):
        assert helped("POST", f"{PREFIX}/predict", wrong).status == 422


def test_a_label_studio_needs_its_key(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    ran = cli.fails("serve", "--port", "0", "--label-studio", "http://localhost:1", code=2)
    assert ran.error == "there is no key to Label Studio"
    assert "LABEL_STUDIO_API_KEY" in ran.hint
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "k")
    ran = cli.fails("serve", "--port", "0", "--label-studio", "localhost", code=2)
    assert "is no address of Label Studio" in ran.error


def test_the_key_is_sent_to_no_address_of_a_configuration_file(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # such a file may come with a project of somebody else
    Path("config.ini").write_text("[serve]\nlabel_studio = http://evil.test\n")
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "k")
    assert "label_studio" in cli.fails("serve", "--port", "0", code=2).error
