from .devices import make_mesh as make_mesh
from .placement import Placement as Placement
from .placement import constrain as constrain
from .placement import current as current
from .placement import mesh_parts as mesh_parts
from .placement import platform as platform
from .placement import put as put
from .placement import sharding_of as sharding_of
from .placement import using as using
from .rules import SHARDINGS as SHARDINGS
from .rules import LogicalRules as LogicalRules
from .rules import Sharding as Sharding
from .rules import mesh_axes as mesh_axes

__all__ = [
    "SHARDINGS",
    "LogicalRules",
    "Placement",
    "Sharding",
    "constrain",
    "current",
    "make_mesh",
    "mesh_axes",
    "mesh_parts",
    "platform",
    "put",
    "sharding_of",
    "using",
]
