from .answers import Answer as Answer
from .answers import argmax as argmax
from .answers import count_cut as count_cut
from .answers import count_unparsed as count_unparsed
from .answers import cut as cut
from .answers import extract as extract
from .answers import judge_first as judge_first
from .benchmark import Benchmark as Benchmark
from .benchmark import Form as Form
from .chat import choose_template as choose_template
from .chat import render as render
from .chat import template_date as template_date
from .data_sets import Hub as Hub
from .demo_tasks import DEMO_TASKS as DEMO_TASKS
from .demo_tasks import NAMES as NAMES
from .demo_tasks import SIZES as SIZES
from .demo_tasks import demo_examples as demo_examples
from .demo_tasks import worked as worked
from .examples import Example as Example
from .examples import Task as Task
from .examples import asked_by_letter as asked_by_letter
from .examples import fixed_answer_right as fixed_answer_right
from .loading import SOURCES as SOURCES
from .loading import limited as limited
from .loading import load_task as load_task
from .loading import named_tasks as named_tasks
from .official import BENCHMARKS as BENCHMARKS
from .prompts import Tokenizer as Tokenizer
from .prompts import completed as completed
from .prompts import encode_choices as encode_choices
from .prompts import encode_prompts as encode_prompts
from .prompts import encode_texts as encode_texts
from .prompts import fitting as fitting
from .request import ChoiceForm as ChoiceForm
from .request import Request as Request
from .request import Source as Source
from .request import Split as Split

__all__ = [
    "BENCHMARKS",
    "DEMO_TASKS",
    "NAMES",
    "SIZES",
    "SOURCES",
    "Answer",
    "Benchmark",
    "ChoiceForm",
    "Example",
    "Form",
    "Hub",
    "Request",
    "Source",
    "Split",
    "Task",
    "Tokenizer",
    "argmax",
    "asked_by_letter",
    "choose_template",
    "completed",
    "count_cut",
    "count_unparsed",
    "cut",
    "demo_examples",
    "encode_choices",
    "encode_prompts",
    "encode_texts",
    "extract",
    "fitting",
    "fixed_answer_right",
    "judge_first",
    "limited",
    "load_task",
    "named_tasks",
    "render",
    "template_date",
    "worked",
]
