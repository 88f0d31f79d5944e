"""Figures look the same everywhere and give the same bytes every time."""

import matplotlib
import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure

from attention.errors import InputError
from attention.files import BLUE, CYCLE, FAINT, INK, figure_to_svg, render_page, save_figure


def draw():
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2], [3, 5], label="curve")
    axes.axhline(4, color=FAINT)
    axes.set_title('a <title> & "more"')
    return figure


def test_files_by_their_names(tmp_path):
    files = [tmp_path / "deep" / f"figure{end}" for end in (".svg", ".png", ".pdf")]
    save_figure(draw, *files)
    starts = [file.read_bytes()[:5] for file in files]
    assert starts == [b"<?xml", b"\x89PNG\r", b"%PDF-"]
    assert BLUE in files[0].read_text()
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(f.name for f in files)


def test_the_user_s_own_style_changes_nothing(tmp_path):
    save_figure(draw, tmp_path / "a.svg")
    first = figure_to_svg(draw, "a curve")
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "font.size": 30}):
        save_figure(draw, tmp_path / "b.svg")
        assert figure_to_svg(draw, "a curve") == first
        assert matplotlib.rcParams["lines.linewidth"] == 9
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_an_unknown_format_is_said_before_anything_is_drawn(tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: a picture's name ends in .*svg"):
        save_figure(lambda: pytest.fail("drawn"), tmp_path / "a.png", tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_an_element_takes_the_colours_of_its_page():
    svg = figure_to_svg(draw, 'a "curve" & more')
    assert svg.startswith('<svg role="img" aria-label="a &#34;curve&#34; &amp; more"')
    assert INK not in svg and FAINT not in svg
    assert "currentColor" in svg and "var(--line)" in svg and CYCLE[0] in svg
    assert "http" not in svg and 'id="figure' not in svg


def test_pages_escape_what_they_are_given(tmp_path, monkeypatch):
    templates = tmp_path / "paged" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "__init__.py").touch()
    (templates / "page.html").write_text("<p>{{ name }}</p>{{ figure }}")
    monkeypatch.syspath_prepend(tmp_path)
    figure = figure_to_svg(draw, "a curve")
    page = render_page("paged", "page.html", name="<b>m</b>", figure=figure)
    assert page == f"<p>&lt;b&gt;m&lt;/b&gt;</p>{figure}"
    with pytest.raises(UndefinedError):
        render_page("paged", "page.html", name="m")
