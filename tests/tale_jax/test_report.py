"""The report is whole, safe, the same every time, and survives runs of every shape."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tale_jax.runs.figures import accuracy_curve, candidate_map
from tale_jax.runs.report import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NASTY = "<script>alert('$x_{1}$')</script> & \"$\\frac{$\""


class Tags(HTMLParser):
    """Checks that elements nest; collects their names."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags(page):
    parser = Tags()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.seen


def test_page_is_self_contained_and_tells_the_story(run_data):
    page = render_report(**run_data(name="arc_easy"))
    seen = tags(page)
    assert seen.count("svg") == 2
    assert not {"script", "link", "iframe"} & set(seen)
    assert "http" not in page.replace("http-equiv", "")
    assert "//" not in re.sub(r"base64,[^\"]*", "", page)
    for text in ("arc_easy", "BEST drops layers", "31", "McNemar", "tale search --task arc_easy"):
        assert text in page
    assert "98765" not in page
    assert "54321" not in page
    assert not re.search(r"20\d\d-\d\d-\d\d", page)


def test_page_is_the_same_every_time(run_data):
    data = run_data()
    first = render_report(**data)
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.fonttype": "path"}):
        assert render_report(**data) == first


def test_names_are_escaped(run_data):
    page = render_report(**run_data(name=NASTY))
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#39;$x_{1}$&#39;)" in page
    tags(page)


@pytest.mark.quick("options9", "options4", "options7", "options0")
@pytest.mark.parametrize(
    "options",
    [
        {"layers": 1, "test": False},
        {"layers": 2, "total": 1, "count": lambda dropped: 1},
        {"layers": 80, "max_drops": 30, "test": False},
        {"max_drops": 0},
        {"count": lambda dropped: 0},
        {"count": lambda dropped: 0, "test": False},
        {"count": lambda dropped: 50},
        {"count": lambda dropped: 0 if dropped else 50},
        {"initial": [0, 3]},
        {"floor": "current"},
    ],
)
def test_runs_of_every_shape(run_data, options):
    data = run_data(**options)
    page = render_report(**data)
    assert tags(page).count("svg") == (2 if data["candidates"] else 1)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower().split("<svg", 1)[1]
    assert ("optimistic" in page) == (data["summary"]["best"]["test"] is None)


def test_curve_draws_the_run(run_data):
    data = run_data()
    [axes] = accuracy_curve(*data.values()).axes
    lines = {line.get_label(): line for line in axes.lines}
    accuracies = [
        100 * step["correct"] / 50 for step in (data["summary"]["baseline"], *data["trajectory"])
    ]
    assert list(lines["accepted"].get_ydata()) == accuracies
    for name in ("best", "bsba"):
        pick = data["summary"][name]
        [depth], [accuracy] = lines[name.upper()].get_data()
        assert (depth, accuracy) == (len(pick["dropped"]), 100 * pick["accuracy"])
    [floor] = [patch for patch in axes.patches if patch.get_label() == "floor"]
    assert list(floor.get_data().values) == pytest.approx([72] * len(floor.get_data().values))


def test_curve_shows_the_refused_candidate_and_a_moving_floor(run_data):
    data = run_data(count=lambda dropped: 40 - 3 * len(dropped) ** 2, floor="current")
    [axes] = accuracy_curve(*data.values()).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["best refused"].get_ydata()) == pytest.approx([74, 56])
    [floor] = [patch for patch in axes.patches if patch.get_label() == "floor"]
    assert list(floor.get_data().values) == pytest.approx([72, 72, 66])


def test_map_shows_every_candidate_and_greys_dropped_layers(run_data):
    data = run_data()
    axes = candidate_map(*data.values()).axes[0]
    points = axes.images[0].get_array()
    for candidate in data["candidates"]:
        cell = points[candidate["iteration"] - 1, candidate["layer"]]
        assert cell == pytest.approx(100 * candidate["correct"] / 50 - 80)
    assert points.mask.sum() == points.size - len(data["candidates"])
    circles = axes.collections[0].get_offsets().tolist()
    assert circles == [[step["layer"], step["iteration"]] for step in data["trajectory"]]


def browse(tmp_path, *words: str) -> str:
    assert CHROMIUM is not None
    usual = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'user'}"]
    page = (tmp_path / "report.html").as_uri()
    command = [CHROMIUM, *usual, *words, page]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.nightly  # test_report_in_browser.py looks at the page too
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_all_figures_are_drawn_and_nothing_sticks_out(whole_run, tmp_path):
    (tmp_path / "report.html").write_text(render_report(**whole_run()))
    tree = browse(tmp_path, "--dump-dom")
    assert tree.count("<svg") == 4
    for text in ("BEST", "Null control", "What each layer knows", "tale search --task arc_easy"):
        assert text in tree
    for width in (1280, 400):
        shot = tmp_path / f"{width}.png"
        browse(tmp_path, f"--screenshot={shot}", f"--window-size={width},3000", "--hide-scrollbars")
        pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
        assert pixels.shape == (3000, width, 3)
        colours = {tuple(pixel) for pixel in pixels[::3, ::3].reshape(-1, 3)}
        assert (0, 114, 178) in colours  # the curve
        # a margin is left on both sides: the page is no wider than the window
        for column in (pixels[:, 0], pixels[:, -1]):
            assert np.ptp(column, axis=0).max() == 0
