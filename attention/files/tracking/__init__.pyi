from .events import Event as Event
from .events import Listener as Listener
from .events import run_of as run_of
from .events import tell as tell
from .trackers import TRACKED as TRACKED
from .trackers import TRACKERS as TRACKERS
from .trackers import Sink as Sink
from .trackers import Tracker as Tracker
from .trackers import tracked as tracked

__all__ = [
    "TRACKED",
    "TRACKERS",
    "Event",
    "Listener",
    "Sink",
    "Tracker",
    "run_of",
    "tell",
    "tracked",
]
