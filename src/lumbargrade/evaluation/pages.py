"""Pages that need nothing else: no server, no network, no file beside them."""

import base64
import io
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, select_autoescape
from matplotlib.figure import Figure

_DOTS = 110


def render_page(package: str, template: str, **values: object) -> str:
    """Fills in a template that lies in a package; values are text, never markup."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined
    )
    return environment.from_string((files(package) / template).read_text(encoding="utf-8")).render(**values)


def encode_figure(figure: Figure) -> str:
    """A figure as PNG, base64."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
