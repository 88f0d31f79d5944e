"""HTML pages from templates; nothing that is shown can leave its place."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

POLICY = "<!-- policy -->"
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# No text may hold control characters, halves of surrogate pairs, or marks that turn the direction
# of what follows it.
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def render_page(package: str, template: str, **values: Any) -> str:
    """Render a page; every value is escaped unless it is ``Markup``.

    The page gets a Content-Security-Policy: it loads nothing, and runs no script but those of the
    template.

    Args:
        package: the package whose folder ``templates`` holds the template, which extends
            ``base.html`` of this room.
        template: the file's name.
        values: the variables of the template; a missing one is an error.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("attention.files")]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: seen(value) if type(value) is str else value,
    )
    page = UNSEEN.sub("\ufffd", environment.get_template(template).render(**values))
    hashes = [hashlib.sha256(script.encode()).digest() for script in SCRIPT.findall(page)]
    scripts = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src {scripts or chr(39) + 'none' + chr(39)}; base-uri 'none'; form-action 'none'"
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace(POLICY, meta, 1)


def seen(text: str) -> str:
    """The text with a sign in place of each letter that cannot be seen."""
    return text if isinstance(text, Markup) else UNSEEN.sub("\ufffd", text)


def short_name(text: str) -> str:
    """The last name of a local path; a name of the hub, or of a task, stays as it is."""
    local = text.startswith(("/", ".", "~")) or text.count("/") > 1
    return Path(text).name or text if local else text


def without_paths(command: str) -> str:
    """A command line in which each local path is its last name."""
    return shlex.join(map(short_name, shlex.split(command)))
