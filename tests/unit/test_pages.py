"""The page's files: what is served, what is not, and what a browser is told about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from eventfold.schemas.errors import UsageError
from eventfold.web import pages
from eventfold.web.pages import page_folders, page_routes
from tests.support.local_stack import REPOSITORY


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    own = tmp_path / "own"
    own.mkdir()
    (own / "page.js").write_text("export default {}")
    (own / "__init__.py").write_text("")
    (own / "link.js").symlink_to(tmp_path / "secret.js")
    (tmp_path / "secret.js").write_text("secret")
    return TestClient(Starlette(routes=page_routes({"own": own})))


def test_the_shell_is_the_first_page(client: TestClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "/assets/shell.js" in answer.text


def test_all_that_the_shell_names_is_there(client: TestClient) -> None:
    for file in (file for file in pages.SHELL.rglob("*") if file.suffix in (".js", ".mjs", ".css", ".svg")):
        answer = client.get(f"/assets/{file.relative_to(pages.SHELL)}")
        assert answer.status_code == 200
        assert answer.content == file.read_bytes()


def test_the_pages_of_domains_are_listed_and_served(client: TestClient) -> None:
    assert client.get("/pages").json() == [{"domain": "own", "module": "/pages/own/page.js"}]
    answer = client.get("/pages/own/page.js")
    assert (answer.text, answer.headers["content-type"]) == ("export default {}", "text/javascript; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/__init__.py",
        "/assets/vendor",
        "/assets/none.js",
        "/assets/%2e%2e/flights/page.js",
        "/assets//etc/hostname.js",
        "/assets/a%00b.js",
        f"/assets/{'a' * 5000}.js",
        "/pages/own/__init__.py",
        "/pages/own/link.js",
        "/pages/own/%2e%2e/secret.js",
        "/pages/none/page.js",
    ],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_browser_keeps_a_file_and_asks_whether_it_is_still_the_same(client: TestClient, tmp_path: Path) -> None:
    tag = client.get("/pages/own/page.js").headers["etag"]
    again = client.get("/pages/own/page.js", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    (tmp_path / "own" / "page.js").write_text("export default {title: 1}")
    assert client.get("/pages/own/page.js", headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/assets/shell.js", "/pages", "/pages/own/page.js"])
def test_a_browser_runs_the_page_s_own_files_alone(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_the_installed_domains_that_have_pages() -> None:
    assert page_folders(["accounts", "flights"]) == {"flights": REPOSITORY / "examples" / "flights" / "flights" / "pages"}


def test_a_package_without_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "load", lambda group, domain: pytest)
    with pytest.raises(UsageError, match=r"'own' declares eventfold\.pages"):
        page_folders(["own"])
