from .curves import information_figure as information_figure
from .directory import Answer as Answer
from .directory import FinishedRun as FinishedRun
from .directory import Run as Run
from .directory import load_run as load_run
from .directory import rewrite_report as rewrite_report
from .figures import BLUE as BLUE
from .figures import CYCLE as CYCLE
from .figures import GREY as GREY
from .figures import VERMILION as VERMILION
from .figures import save_figure as save_figure
from .journal import Journal as Journal
from .tables import write_csv as write_csv
from .terminal import Terminal as Terminal
from .verdicts import PICKS as PICKS
from .verdicts import layer_list as layer_list
from .verdicts import mcnemar_p_value as mcnemar_p_value
from .verdicts import measure as measure
from .verdicts import p_text as p_text
from .verdicts import percent as percent

__all__ = [
    "BLUE",
    "CYCLE",
    "GREY",
    "PICKS",
    "VERMILION",
    "Answer",
    "FinishedRun",
    "Journal",
    "Run",
    "Terminal",
    "information_figure",
    "layer_list",
    "load_run",
    "mcnemar_p_value",
    "measure",
    "p_text",
    "percent",
    "rewrite_report",
    "save_figure",
    "write_csv",
]
