"""Where the server listens, who may reach it there, and how it is closed."""

from __future__ import annotations

import time

import pytest

from vfx_matte.errors import UsageError
from vfx_matte.pipeline.progress import SilentReporter
from vfx_matte.settings.options import StudioSettings
from vfx_matte.web import listener, server
from vfx_matte.web.hosts import check_host
from vfx_matte.web.listener import authorities_of, listen


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_others_get_in_only_when_that_is_asked_for(host: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_host(StudioSettings(host=host), SilentReporter())
    assert "not" in caught.value.hint
    assert "allow_remote" in caught.value.hint
    reporter = SilentReporter()
    check_host(StudioSettings(host=host, allow_remote=True), reporter)
    (line,) = reporter.lines
    assert "nothing on the way is encrypted" in line


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_permission(host: str) -> None:
    reporter = SilentReporter()
    check_host(StudioSettings(host=host), reporter)
    assert reporter.lines == []


def test_which_hosts_mean_the_server() -> None:
    with listen("127.0.0.1", 0) as one:
        authority, authorities = authorities_of(one, "127.0.0.1")
        port = one.getsockname()[1]
        assert authority == f"127.0.0.1:{port}"
        assert authorities.include(authority)
        assert not authorities.include(f"10.0.0.7:{port}")
    with listen("0.0.0.0", 0) as one:
        authority, authorities = authorities_of(one, "0.0.0.0")
        port = one.getsockname()[1]
        assert authorities.include(authority)
        assert authorities.include(f"10.0.0.7:{port}")
        assert not authorities.include(f"evil.example:{port}")


def test_a_host_that_is_none() -> None:
    with pytest.raises(UsageError, match="host"):
        listen("no such host.invalid", 0)
    with pytest.raises(UsageError, match="listen"):
        listen("192.0.2.1", 0)  # an address that is kept for examples


def test_no_browser_takes_over_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a screen, Python would start a text browser."""
    opened: list[str] = []
    monkeypatch.setattr(server.webbrowser, "open", opened.append)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with server.browser() as open_page:
        open_page("http://127.0.0.1:1/#token=x")
    assert opened == []


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_CLOSE_SECONDS", 0.1)
    assert not listener.close_in_time(lambda: time.sleep(1))

    def fail() -> None:
        raise UsageError("x")

    with pytest.raises(UsageError):
        listener.close_in_time(fail)
