"""The pages of the console, as a browser gets them. What the policy forbids is not in them."""

import asyncio
import re
from html.parser import HTMLParser

import pytest
from starlette.requests import Request

from switchgear.control import pages
from switchgear.control.server import SECURITY_HEADERS


def got(path):
    request = Request({"type": "http", "method": "GET", "path": path, "headers": []})
    return asyncio.run(pages.serve(path, SECURITY_HEADERS)(request))


class Page(HTMLParser):
    """What a page loads, and what stands in it that a policy would have to allow."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.inline, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open = tag
        for name, value in attrs:
            if name in {"src", "href", "action"}:
                self.loaded.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append((tag, name))

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open in {"script", "style"} and data.strip():
            self.inline.append((self.open, data))


@pytest.mark.parametrize("path", pages.PATHS)
def test_every_page_is_served_with_its_type_and_the_security_headers(path):
    answer = got(path)
    assert answer.status_code == 200 and answer.body
    assert answer.headers["content-type"] == pages.PATHS[path][1]
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("path", ["/", "/setup"])
def test_a_page_loads_only_what_is_served_here(path):
    assert set(Page(got(path).body.decode()).loaded) <= set(pages.PATHS)


@pytest.mark.parametrize("path", ["/", "/setup"])
def test_a_page_has_no_inline_script_or_style(path):
    """Content Security Policy Level 3, section 6.7.3: `script-src 'self'` and `style-src 'self'` allow none."""
    assert Page(got(path).body.decode()).inline == []


def test_the_script_of_the_console_evaluates_no_text():
    """Content Security Policy Level 3: without 'unsafe-eval' these throw; and texts of clients must not become markup."""
    script = got("/console.js").body.decode()
    assert not re.search(r"\beval\(|new Function\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write", script)


def test_a_page_that_is_not_in_the_table_cannot_be_served():
    with pytest.raises(KeyError):
        pages.serve("/../api.py", SECURITY_HEADERS)
