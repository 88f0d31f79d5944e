"""Devices in a mesh, and which axis of it each logical axis of an array is split over.

How data passes through it: ``make_mesh`` (``devices``) arranges devices along the axes ``dcn``,
``data``, ``fsdp`` and ``model``.  ``LogicalRules`` (``rules``) says which of these each logical
axis is split over, for parameters and activations alike; ``SHARDINGS`` has the presets.  ``using``
(``placement``) makes both known to what is traced inside it, where ``constrain`` says how an
activation lies.  Without ``using`` it does nothing.  Open ``rules`` first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
