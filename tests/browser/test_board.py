"""The page in a real browser: what a person sees changes as commands arrive."""

from __future__ import annotations

import json
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from eventfold.web.oauth.tokens import LEEWAY_S
from tests.browser.conftest import OpenTab, Served, schedule
from tests.support.browser import DESKTOP, PHONE, Tab
from tests.support.forged import mint
from tests.support.issuer import issuer
from tests.support.serving import serve

BOARD = "flights/board/JFK/2013-01-08"
VIEWS = {
    "board": BOARD,
    "flight": "flights/flight/B6219:2013-01-08:JFK",
    "punctuality": "flights/punctuality/carrier",
    "months": "flights/punctuality/month",
    "operations": "operations",
}
LOOKS = {
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True, "is_mobile": True},
    "phone-light": {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}
expect.set_options(timeout=20_000)
# The first one may install the browser.
pytestmark = pytest.mark.timeout(900)


def ids(page: Page) -> list[str]:
    """The flights on the board from top to bottom."""
    return [row.get_attribute("data-id") or "" for row in page.locator("tr[data-id]").all()]


def settled(page: Page) -> None:
    """Wait until the view has what it asked for."""
    expect(page.locator("main .hint, main table, main .sign").first).to_be_visible()
    expect(page.get_by_text("Asking the server")).to_have_count(0)
    expect(page.get_by_role("link", name="Departures", exact=True)).to_be_visible()
    if "flights/flight/" in page.url:
        expect(page.locator("ol.timeline li").first).to_be_visible()


def test_a_departure_changes_the_row_without_a_reload(tab: Tab, served: Served) -> None:
    page = tab.open(BOARD)
    row = page.locator('[data-id="AA33:2013-01-08:JFK"]')
    expect(row).to_contain_text("Scheduled")
    expect(row).to_contain_text("12:00")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.evaluate("window.loadedOnce = true")
    tab.shoot("row-before")
    served.sandbox.ok("flights", "depart", "AA33:2013-01-08:JFK", "--at", "2013-01-08T17:42:00Z")
    expect(row).to_contain_text("Departed")
    expect(row).to_contain_text("12:42")
    expect(row).to_contain_text("+42 min")
    expect(row).to_have_class("fresh")
    tab.shoot("row-after")
    expect(page.get_by_role("status").filter(has_text="AA 33 to Los Angeles: Departed, 42 minutes late")).to_have_count(1)
    expect(row).not_to_have_class("fresh")
    assert page.evaluate("window.loadedOnce")


def test_a_flight_that_is_scheduled_appears_in_its_place(tab: Tab, served: Served) -> None:
    page = tab.open(BOARD)
    expect(page.locator('[data-id="UA703:2013-01-08:JFK"]')).to_be_visible()
    before = ids(page)
    new = schedule(served.sandbox, "WN", 4, "2013-01-08", "13:30", "MDW")
    expect(page.locator(f'[data-id="{new}"]')).to_contain_text("Chicago Midway")
    assert ids(page) == [before[0], new, *before[1:]]


def test_a_flight_s_timeline_grows_with_its_events(tab: Tab, served: Served) -> None:
    page = tab.open(BOARD)
    page.locator('[data-id="UA703:2013-01-08:JFK"] a').click()
    steps = page.locator(".timeline > li h3")
    expect(steps).to_have_text(["Scheduled"])
    served.sandbox.ok("flights", "depart", "UA703:2013-01-08:JFK", "--at", "2013-01-08T18:28:00Z", "--tail", "N14228")
    expect(steps).to_have_text(["Scheduled", "Departed"])
    expect(page.locator(".sign")).to_contain_text("Departed")
    served.sandbox.ok("flights", "arrive", "UA703:2013-01-08:JFK", "--at", "2013-01-08T20:50:00Z")
    expect(steps).to_have_text(["Scheduled", "Departed", "Arrived"])
    expect(page.locator(".route")).to_contain_text("+20 min")
    page.get_by_text("In the log").last.click()
    expect(page.locator(".record").last).to_contain_text("FlightArrived")
    page.get_by_role("link", name="Departures from JFK").click()
    expect(page.locator('[data-id="UA703:2013-01-08:JFK"]')).to_contain_text("Arrived")


def test_a_wall_of_what_is_yet_to_depart(tab: Tab, served: Served) -> None:
    wall = schedule(served.sandbox, "AS", 7, "2013-01-08", "20:00", "SEA")
    page = tab.open(f"{BOARD}/scheduled")
    row = page.locator(f'[data-id="{wall}"]')
    expect(row).to_contain_text("Seattle")
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"]')).to_have_count(0)
    served.sandbox.ok("flights", "cancel", wall)
    expect(row).to_contain_text("Cancelled")
    expect(row).to_have_count(0)


def test_what_happened_while_the_server_was_away_is_there_when_it_is_back(tab: Tab, served: Served) -> None:
    tab.allowed = ("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY_RESPONSE")
    page = tab.open("flights/board/JFK/2013-01-09")
    row = page.locator('[data-id="VX11:2013-01-09:JFK"]')
    expect(row).to_contain_text("Scheduled")
    served.server.stop()
    expect(page.get_by_text("Reconnecting")).to_be_visible()
    expect(row).to_contain_text("Scheduled")
    served.sandbox.ok("flights", "depart", "VX11:2013-01-09:JFK", "--at", "2013-01-09T12:05:00Z")
    served.sandbox.caught_up("flights.handler", "board")
    served.serve_again()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(row).to_contain_text("Departed")


def test_a_day_without_flights_shows_the_way_to_one_that_has_some(tab: Tab) -> None:
    page = tab.open("flights/board/JFK/2014-05-05")
    page.get_by_role("link", name="Tuesday, 8 January 2013").click()
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"]')).to_be_visible()


def test_without_a_mouse(tab: Tab) -> None:
    page = tab.open(BOARD)
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"]')).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("n")
    expect(page.locator('[data-id="VX11:2013-01-09:JFK"]')).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"]')).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("The day before")
    tab.shoot("keyboard-help")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("charlotte")
    expect(page.locator("tr[data-id]")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"] a')).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Charlotte")).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Punctuality")).to_be_visible()


def test_single_keys_can_be_switched_off(tab: Tab) -> None:
    page = tab.open(BOARD)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    page.get_by_label("Shortcuts of single keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("n")
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Departures")).to_be_visible()
    assert page.url.endswith(BOARD)


def test_an_access_token_is_asked_for_once_and_kept(tab: Tab) -> None:
    """As of a server that wants one, whatever this one wants."""
    tab.allowed = ("401",)
    denied = {"title": "unauthorized", "status": 401, "detail": "this needs the scope flights:read"}

    def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer abc.def.ghi":
            route.continue_()
        else:
            route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(denied))

    tab.page.route("**/queries/**", guard)
    tab.page.route("**/changes/**", guard)
    page = tab.open(BOARD)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This needs the scope flights:read.")
    tab.shoot("token")
    dialog.get_by_label("Token").fill("Bearer abc.def.ghi")
    dialog.get_by_role("button", name="Use it").click()
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"]')).to_be_visible()
    page.reload()
    expect(page.locator('[data-id="B6219:2013-01-08:JFK"]')).to_be_visible()
    page.get_by_role("button", name="Forget token").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("This needs the scope flights:read.")
    expect(dialog).to_be_hidden()


def test_rows_go_on_changing_after_their_token_has_ended(open_tab: OpenTab, served: Served) -> None:
    """The stream ends with the token; with the next one it goes on where it ended, and the rows are not fetched anew."""
    with issuer() as it:
        server, url = serve(served.sandbox, **it.environ(EVENTFOLD_OAUTH=""))
        tab = open_tab(url)
        tab.allowed = ("401",)
        fetched: list[str] = []
        tab.page.on(
            "response",
            lambda response: fetched.append(response.url) if "/queries/board" in response.url and response.ok else None,
        )
        page = tab.open(BOARD)
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Token").fill(mint(it, {"exp": int(time.time()) - LEEWAY_S + 6}))
        dialog.get_by_role("button", name="Use it").click()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.locator('[data-id="UA703:2013-01-08:JFK"]')).to_be_visible()
        expect(dialog).to_contain_text("The token has expired.")
        new = schedule(served.sandbox, "F9", 1, "2013-01-08", "16:00", "DEN")
        served.sandbox.caught_up("flights.handler", "board")
        dialog.get_by_label("Token").fill(mint(it))
        dialog.get_by_role("button", name="Use it").click()
        expect(page.locator(f'[data-id="{new}"]')).to_be_visible()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        assert len(fetched) == 1
        page.close()
        server.stop()


def test_light_and_dark_by_choice(tab: Tab) -> None:
    page = tab.open(BOARD)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Colours").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light


def test_punctuality_by_carrier_and_by_month(tab: Tab) -> None:
    page = tab.open("flights/punctuality")
    expect(page.get_by_role("row", name="B6")).to_contain_text("100.0 %")
    page.get_by_role("link", name="Month").click()
    expect(page.get_by_role("row", name="2013-01")).to_be_visible()


def test_operations(tab: Tab, served: Served) -> None:
    page = tab.open("operations")
    board = page.locator("article", has=page.get_by_role("heading", name="board", exact=True))
    expect(board).to_contain_text("live")
    expect(board.locator("tbody tr")).to_have_count(2)
    length = page.locator(".measure", has_text="in the log").locator(".total b").first
    before = length.inner_text()
    schedule(served.sandbox, "HA", 51, "2013-01-09", "15:00", "HNL")
    expect(length).not_to_have_text(before)
    expect(page.locator(".sparkline polyline").first).to_be_attached()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("view", VIEWS)
def test_how_it_looks(open_tab: OpenTab, view: str, look: str) -> None:
    """Screenshots are kept in .eventfold/screenshots; contrast, names and roles are checked by axe."""
    # What moves would be caught amid it; a row that fades in has no contrast yet.
    tab = open_tab(**LOOKS[look], reduced_motion="reduce")
    page = tab.open(VIEWS[view])
    settled(page)
    tab.shoot(f"{view}-{look}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
