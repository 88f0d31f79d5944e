from .caches import cache_folder as cache_folder
from .caches import make_once as make_once
from .caches import use_compilation_cache as use_compilation_cache
from .caches import write_log as write_log
from .csv_files import read_table as read_table
from .csv_files import write_table as write_table
from .figures import BLUE as BLUE
from .figures import CYCLE as CYCLE
from .figures import FAINT as FAINT
from .figures import GREEN as GREEN
from .figures import GREY as GREY
from .figures import INK as INK
from .figures import ORANGE as ORANGE
from .figures import PURPLE as PURPLE
from .figures import SKY as SKY
from .figures import VERMILION as VERMILION
from .figures import figure_style as figure_style
from .figures import figure_to_png as figure_to_png
from .figures import figure_to_svg as figure_to_svg
from .figures import save_figure as save_figure
from .gguf_files import GgufHeader as GgufHeader
from .gguf_files import GgufTensor as GgufTensor
from .gguf_files import read_header as read_header
from .gguf_files import write_gguf as write_gguf
from .gguf_tokenizers import gguf_tokenizer as gguf_tokenizer
from .gguf_tokenizers import tokenizer_metadata as tokenizer_metadata
from .journal import Journal as Journal
from .journal import Record as Record
from .journal import RecordKind as RecordKind
from .journal import read_journal as read_journal
from .packages import package_checkpoint as package_checkpoint
from .pages import render_page as render_page
from .pages import short_name as short_name
from .pages import without_paths as without_paths
from .reading import open_regular as open_regular
from .reading import read_bytes as read_bytes
from .reading import read_json as read_json
from .reading import read_json_lines as read_json_lines
from .remote import JsonServer as JsonServer
from .remote import RemoteOptions as RemoteOptions
from .run_directory import SETTINGS as SETTINGS
from .run_directory import FoundRun as FoundRun
from .run_directory import RunDirectory as RunDirectory
from .run_directory import find_runs as find_runs
from .run_directory import read_settings as read_settings
from .shapes import Natural as Natural
from .shapes import Positive as Positive
from .shapes import Share as Share
from .shapes import Text as Text
from .shapes import check_shape as check_shape
from .shapes import shaped as shaped
from .tokenizers import end_tokens as end_tokens
from .tokenizers import load_tokenizer as load_tokenizer
from .tracking import TRACKERS as TRACKERS
from .tracking import Event as Event
from .tracking import Listener as Listener
from .tracking import Sink as Sink
from .tracking import Tracker as Tracker
from .tracking import tell as tell
from .tracking import tracked as tracked
from .units import attempt as attempt
from .units import file_name as file_name
from .units import finished as finished
from .units import found_in as found_in
from .writing import check_folder as check_folder
from .writing import new_file as new_file
from .writing import new_folder as new_folder
from .writing import write_bytes as write_bytes
from .writing import write_json as write_json
from .writing import write_json_lines as write_json_lines
from .writing import write_new as write_new
from .writing import write_text as write_text

__all__ = [
    "BLUE",
    "CYCLE",
    "FAINT",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PURPLE",
    "SETTINGS",
    "SKY",
    "TRACKERS",
    "VERMILION",
    "Event",
    "FoundRun",
    "GgufHeader",
    "GgufTensor",
    "Journal",
    "JsonServer",
    "Listener",
    "Natural",
    "Positive",
    "Record",
    "RecordKind",
    "RemoteOptions",
    "RunDirectory",
    "Share",
    "Sink",
    "Text",
    "Tracker",
    "attempt",
    "cache_folder",
    "check_folder",
    "check_shape",
    "end_tokens",
    "figure_style",
    "figure_to_png",
    "figure_to_svg",
    "file_name",
    "find_runs",
    "finished",
    "found_in",
    "gguf_tokenizer",
    "load_tokenizer",
    "make_once",
    "new_file",
    "new_folder",
    "open_regular",
    "package_checkpoint",
    "read_bytes",
    "read_header",
    "read_journal",
    "read_json",
    "read_json_lines",
    "read_settings",
    "read_table",
    "render_page",
    "save_figure",
    "shaped",
    "short_name",
    "tell",
    "tokenizer_metadata",
    "tracked",
    "use_compilation_cache",
    "without_paths",
    "write_bytes",
    "write_gguf",
    "write_json",
    "write_json_lines",
    "write_log",
    "write_new",
    "write_table",
    "write_text",
]
