from .agreement import free_memory as free_memory
from .agreement import stop_requests as stop_requests
from .environment import Group as Group
from .environment import find_group as find_group
from .group import gathered as gathered
from .group import is_lost as is_lost
from .group import is_main as is_main
from .group import leave as leave
from .group import own_folder as own_folder
from .group import start as start
from .group import wait_for_all as wait_for_all
from .interrupts import preemption as preemption
from .interrupts import raise_stop as raise_stop
from .losing import end_in_one_line as end_in_one_line

__all__ = [
    "Group",
    "end_in_one_line",
    "find_group",
    "free_memory",
    "gathered",
    "is_lost",
    "is_main",
    "leave",
    "own_folder",
    "preemption",
    "raise_stop",
    "start",
    "stop_requests",
    "wait_for_all",
]
