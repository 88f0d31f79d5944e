"""Several processes that work on one run: how they find each other, agree, and stop.

``find_group`` (``environment``, without JAX) reads from the environment whether there are several.
``start`` (``group``) joins them before JAX is used; ``is_main`` says who writes, ``wait_for_all``
waits, and ``gathered`` brings an array to every host.  ``preemption`` (``interrupts``) makes
SIGTERM end a command as Ctrl-C does, and ``stop_requests`` (``agreement``) makes both one decision
of all processes, between two steps.  ``end_in_one_line`` (``losing``) says how the loss of another
process ends this one.  With one process all of it does nothing.  Open ``environment``
first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
