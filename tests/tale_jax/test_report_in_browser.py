"""The report in a real browser: no script runs, figures are drawn, narrow, dark, by keyboard."""

import shutil

import pytest

from tale_jax.runs.report import render_report

NASTY = {
    "script": "</title><script>window.harm = 1; alert(1)</script>",
    "picture": "<img src=x onerror='window.harm = 1'>",
    "attribute": '" onmouseover="window.harm = 1" style="position:fixed',
    "svg": "</svg><script>window.harm = 1</script><svg onload='window.harm = 1'>",
    "mathematics": '$x_{1}$ & "$\\frac{$" {{ 7 * 7 }} {% raw %}',
    "right to left": "\u202e\u2067abc\u05d0\u05d1 gnp.exe",
    "NUL": "a\x00b\x08\x1b[31mc",
    "surrogate": "a\ud800b\udcff",
    "long": "w" * 3000,
    "lines": "a\n\r\n\u2028b</pre></style><style>body { display: none }</style>",
    "comment": "<!-- <![CDATA[ ]]> --!> &#0; &#x202e;",
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(whole_run, tmp_path_factory):
    found = tmp_path_factory.mktemp("report") / "report.html"
    found.write_text(render_report(**whole_run()))
    return found


def opened(browser, file, width, **more):
    page = browser.new_page(viewport={"width": width, "height": 900}, **more)
    page.goto(file.as_uri())
    return page


@pytest.mark.quick("light-360", "dark-1280")
@pytest.mark.parametrize("width", [360, 420, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_and_its_figures_are_drawn(browser, file, width, scheme):
    page = opened(browser, file, width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = [figure.bounding_box() for figure in page.query_selector_all("svg[role=img]")]
    assert len(boxes) == 4 and all(box["width"] > 300 and box["height"] > 50 for box in boxes)
    cut = page.evaluate(
        "[...document.querySelectorAll('h1, h2, p, dd, td, summary')].filter(e => "
        "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
    )
    assert cut == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()


def test_all_can_be_reached_by_keyboard(browser, file):
    page = opened(browser, file, 360)
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.tagName")
        )
    assert {"Accuracy as layers go", "Every candidate", "SUMMARY"} <= reached
    page.evaluate("document.querySelector('[aria-label=\"Every candidate\"]').focus()")
    page.keyboard.press("ArrowRight")
    for _ in range(100):  # wait_for_function evaluates in the page, which its policy forbids
        if page.evaluate("document.activeElement.scrollLeft") > 0:
            break
        page.wait_for_timeout(50)
    assert page.evaluate("document.activeElement.scrollLeft") > 0
    page.close()


@pytest.mark.quick("script", "surrogate", "long")
@pytest.mark.parametrize("name", NASTY)
def test_no_text_leaves_its_place(whole_run, browser, tmp_path, name):
    data = whole_run(name=NASTY[name])
    for row in data["summary"]["changed"]:
        for shown in row["shown"]:
            shown["question"] = shown["before"] = shown["after"] = NASTY[name]
    (tmp_path / "report.html").write_text(render_report(**data))
    page = browser.new_page()
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: said.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    assert said == [(tmp_path / "report.html").as_uri()]
    assert page.evaluate("typeof window.harm") == "undefined"
    assert page.query_selector_all("body script, iframe, object, embed, form, [onerror]") == []
    assert page.text_content("h2:last-of-type") == "Run it again"
    assert page.query_selector_all("h1")[0].bounding_box()["width"] > 100
    page.close()


def test_the_policy_stops_what_escaping_would_miss(whole_run, browser, tmp_path):
    page_text = render_report(**whole_run())
    page_text = page_text.replace("<h1>", "<script>window.harm = 1</script><h1>", 1)
    (tmp_path / "report.html").write_text(page_text)
    page = opened(browser, tmp_path / "report.html", 800)
    assert page.evaluate("typeof window.harm") == "undefined"
    page.close()
