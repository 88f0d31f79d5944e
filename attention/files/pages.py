"""HTML pages from templates."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(package: str, template: str, **values: Any) -> str:
    """Render a page; every value is escaped unless it is ``Markup``.

    Args:
        package: the package whose folder ``templates`` holds the template.
        template: the file's name.
        values: the variables of the template; a missing one is an error.
    """
    environment = Environment(
        loader=PackageLoader(package), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(template).render(**values)
