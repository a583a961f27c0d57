"""Draw the provenance of a run: inputs, processes and outputs, as SVG, Mermaid or DOT text.

A crate becomes a `Flow` (read), siblings fold until a person can take it in (fold), what is left gets its
words (label), and a form writes it down (svg, mermaid, dot). Equal crates give equal bytes, in whatever
order their entities stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from provwatch.crate import Crate, RunView
from provwatch.errors import UsageError
from provwatch.graph.dot import write_dot
from provwatch.graph.fold import fold
from provwatch.graph.label import label
from provwatch.graph.mermaid import write_mermaid
from provwatch.graph.picture import Picture
from provwatch.graph.read import read_flow
from provwatch.graph.svg import write_svg

__all__ = ["FORMS", "NODE_LIMIT", "Form", "draw"]

Form = Literal["svg", "mermaid", "dot"]
NODE_LIMIT = 60
FORMS: Mapping[str, Callable[[Picture], str]] = MappingProxyType(
    {"svg": write_svg, "mermaid": write_mermaid, "dot": write_dot}
)


def _as_it_is(words: str) -> str:
    """Return a label unchanged."""
    return words


def draw(
    crate: Crate,
    view: RunView,
    form: Form,
    *,
    clean: Callable[[str], str] = _as_it_is,
    limit: int = NODE_LIMIT,
) -> str:
    """Draw a crate: its run with inputs, processes and outputs; without a run, its parts.

    Args:
        crate: the crate.
        view: what ran in it, from `view_runs`.
        form: a key of `FORMS`.
        clean: applied to every text from the crate while it is still whole, such as a redactor for URLs.
        limit: nodes up to which single tasks and files are shown; more are folded. At least `fold.MIN_LIMIT`.

    Raises:
        UsageError: there is no such form.
    """
    write = FORMS.get(form)
    if write is None:
        message = f"no such form of a graph: {form!r}"
        raise UsageError(message, hint=f"Choose one of {', '.join(FORMS)}")
    flow = fold(read_flow(crate, view), limit)
    return write(label(crate, view, flow, clean))
