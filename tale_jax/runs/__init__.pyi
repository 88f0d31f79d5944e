from .directory import Run as Run
from .figures import information_figure as information_figure
from .finished import INFORMATION as INFORMATION
from .finished import SEARCH as SEARCH
from .finished import FinishedRun as FinishedRun
from .finished import finish as finish
from .finished import load_run as load_run
from .finished import rewrite_report as rewrite_report
from .finished import search_figure as search_figure
from .overview import OVERVIEW_COLUMNS as OVERVIEW_COLUMNS
from .overview import overview_figure as overview_figure
from .overview import overview_rows as overview_rows
from .overview import render_overview as render_overview
from .shapes import Outcome as Outcome
from .strata import Strata as Strata
from .strata import measure as measure
from .strata import measure_answers as measure_answers
from .strata import strata_of as strata_of
from .terminal import describe_search as describe_search
from .terminal import show_search as show_search
from .verdicts import PICKS as PICKS
from .verdicts import beside_chance as beside_chance
from .verdicts import interval as interval
from .verdicts import layer_list as layer_list
from .verdicts import p_text as p_text
from .verdicts import percent as percent

__all__ = [
    "INFORMATION",
    "OVERVIEW_COLUMNS",
    "PICKS",
    "SEARCH",
    "FinishedRun",
    "Outcome",
    "Run",
    "Strata",
    "beside_chance",
    "describe_search",
    "finish",
    "information_figure",
    "interval",
    "layer_list",
    "load_run",
    "measure",
    "measure_answers",
    "overview_figure",
    "overview_rows",
    "p_text",
    "percent",
    "render_overview",
    "rewrite_report",
    "search_figure",
    "show_search",
    "strata_of",
]
