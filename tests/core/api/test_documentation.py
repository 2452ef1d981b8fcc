"""The pages of the documentation: complete without the internet, and safe."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from dotpeen.api.explanations import EXPLANATIONS
from dotpeen.api.problems import PROBLEMS

from .conftest import Api

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What a page loads, and what it has of its own that a strict policy would stop."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self._script = tag == "script"
        self.loads += [str(given[name]) for name in ("src", "href") if name in given]
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.inline += [tag] if tag in ("style", "base", "iframe") else []

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._script = False


@pytest.fixture(scope="module")
def docs(api: Api) -> httpx.Response:
    return httpx.get(f"{api.url}/docs")


def test_everything_the_page_loads_is_there_and_from_this_server(api: Api, docs: httpx.Response) -> None:
    here = urlsplit(api.url).netloc
    urls = [urljoin(str(docs.url), address) for address in Page(docs.text).loads]
    assert len(urls) >= 4
    assert {urlsplit(url).netloc for url in urls} == {here}
    assert [httpx.get(url).status_code for url in urls] == [200] * len(urls)


@pytest.mark.parametrize("path", ["/docs", "/docs/page.css", "/openapi.json", "/problems/not-found"])
def test_head_is_get_without_the_body(api: Api, path: str) -> None:
    answer = httpx.head(api.url + path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(httpx.get(api.url + path).content))


def test_who_comes_without_a_path_is_led_to_the_documentation(api: Api) -> None:
    answer = httpx.get(api.url)
    assert (answer.status_code, answer.headers["location"]) == (307, "docs")
    assert httpx.get(api.url, follow_redirects=True).text == httpx.get(f"{api.url}/docs").text


def test_the_page_and_its_files_lead_to_no_foreign_host(api: Api, docs: httpx.Response) -> None:
    texts = [docs.text, *(httpx.get(f"{api.url}/docs/{name}").text for name in ("start.js", "page.css"))]
    assert [re.findall(r"https?://|[\"'(]//", text) for text in texts] == [[], [], []]
    # What the style sheet of the bundle draws is in it.
    style = httpx.get(f"{api.url}/docs/swagger-ui.css").text
    drawn = re.findall(r"url\(\s*[\"']?([^)\"']+)", style)
    assert [url for url in drawn if not url.startswith("data:")] == []
    assert "@import" not in style


def test_the_page_runs_nothing_but_its_files(docs: httpx.Response) -> None:
    policy = dict(part.strip().split(" ", 1) for part in docs.headers["content-security-policy"].split(";"))
    assert Page(docs.text).inline == []
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_page_shows_this_servers_document_and_asks_nobody_to_validate_it(api: Api) -> None:
    start = httpx.get(f"{api.url}/docs/start.js").text
    assert re.findall(r"(url|validatorUrl): ([^,]+),", start) == [
        ("url", '"openapi.json"'),
        ("validatorUrl", "null"),
    ]


def test_the_bundle_is_one_that_knows_openapi_3_1(api: Api) -> None:
    bundle = httpx.get(f"{api.url}/docs/swagger-ui-bundle.js").text
    version = re.search(r'PACKAGE_VERSION:"(\d+)\.', bundle)
    assert version is not None
    assert int(version[1]) >= 5


@pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2Fmain.py", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_given_out(api: Api, name: str) -> None:
    answer = httpx.get(f"{api.url}/docs/{name}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_every_kind_of_problem_is_explained() -> None:
    assert list(EXPLANATIONS) == list(PROBLEMS)


@pytest.mark.parametrize("kind", PROBLEMS)
def test_the_type_of_a_problem_leads_to_what_to_do(api: Api, kind: str) -> None:
    answer = httpx.get(f"{api.url}/problems/{kind}", headers={"accept": "application/problem+json"})
    status, title = PROBLEMS[kind]
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "meaning": EXPLANATIONS[kind].meaning,
        "remedy": EXPLANATIONS[kind].remedy,
    }


def test_a_browser_gets_a_page_about_a_problem(api: Api) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    answer = httpx.get(f"{api.url}/problems/invalid-uuid", headers=browser)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Invalid UUID format</h1>" in answer.text
    assert Page(answer.text).inline == []
    assert all(httpx.get(urljoin(str(answer.url), one)).status_code == 200 for one in Page(answer.text).loads)


def test_a_kind_of_problem_that_does_not_exist_is_one_itself(api: Api) -> None:
    answer = httpx.get(f"{api.url}/problems/nonsense")
    kind = answer.headers["content-type"]
    assert (answer.status_code, kind, answer.json()["type"]) == (
        404,
        "application/problem+json",
        "/problems/not-found",
    )
