"""A picture as SVG: one self-contained file without scripts, links, fonts or ids."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from html import escape
from itertools import pairwise

from provwatch.graph.flow import Kind
from provwatch.graph.layout import Layout, Place, Route, arrange
from provwatch.graph.picture import ELLIPSIS, FAILED_MARK, INK, PALETTE, WIRE, Box, Picture, Role

FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
FONT_SIZE = 12
SMALL_SIZE = 10
TITLE_SIZE = 16
LINE_HEIGHT = 16
PADDING = 12
MARGIN = 16
HEADER_HEIGHT = 52
HEADER_INK = "#ffffff"
HEADER_NOTE = "#d1d5db"
CORNER = 10
STACK = 4
TAB = 4
ARROW = 7
# Widths in em of the widest common sans-serif fonts, DejaVu Sans and Verdana, rounded up.
NARROW, NORMAL, CAPITAL, WIDE = 0.42, 0.65, 0.79, 1.0
NARROW_CHARACTERS = frozenset(" !'(),-./:;I[\\]fijlrt|\N{MIDDLE DOT}")
WIDE_CHARACTERS = frozenset("%@MWmw#+<=>^~&" + ELLIPSIS + FAILED_MARK)
LAST_KNOWN_CHARACTER = "\N{LATIN SMALL LETTER LONG S}"


def write_svg(picture: Picture) -> str:
    """Write a picture as an SVG document of its natural size, which scales to where it is put."""
    sizes = [_box_size(box) for box in picture.boxes]
    layout = arrange(sizes, [(arrow.source, arrow.target) for arrow in picture.arrows], downward=picture.downward)
    header = max(_width(picture.title, TITLE_SIZE), _width(picture.subtitle, FONT_SIZE)) + 2 * PADDING
    width = max(layout.width + 2 * MARGIN + STACK, header)
    height = layout.height + HEADER_HEIGHT + 2 * MARGIN + STACK
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONT}">',
        f"<title>{escape(picture.title)}</title>",
        f"<desc>{escape(picture.summary)}</desc>",
        *_header(picture, width),
        f'<g transform="translate({MARGIN} {HEADER_HEIGHT + MARGIN})">',
        *_body(picture, layout),
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _header(picture: Picture, width: int) -> Iterator[str]:
    """Yield the bar with the title, dark on any page so that its text is always readable."""
    yield f'<rect width="{width}" height="{HEADER_HEIGHT}" rx="6" fill="{INK}"/>'
    baseline = 22 if picture.subtitle else (HEADER_HEIGHT + FONT_SIZE) // 2
    yield _text(picture.title, PADDING, baseline, TITLE_SIZE, f'fill="{HEADER_INK}" font-weight="bold"')
    if picture.subtitle:
        yield _text(picture.subtitle, PADDING, 41, FONT_SIZE, f'fill="{HEADER_NOTE}"')


def _body(picture: Picture, layout: Layout) -> Iterator[str]:
    """Yield the boxes, then the arrows between them."""
    for box, place in zip(picture.boxes, layout.places, strict=True):
        yield from _box(box, place)
    yield f'<g fill="none" stroke="{WIRE}" stroke-width="1.5">'
    for arrow, route in zip(picture.arrows, layout.routes, strict=True):
        dashes = ' stroke-dasharray="5 4"' if arrow.dashed else ""
        yield f'<path d="{_curve(route, downward=picture.downward)}"{dashes}/>'
    yield "</g>"
    yield f'<g fill="{WIRE}">'
    yield from sorted({_arrowhead(route, downward=picture.downward) for route in layout.routes})
    yield "</g>"


def _curve(route: Route, *, downward: bool) -> str:
    """Return the path of a link: curves between columns or rows, straight through them."""
    spans = [_span(stop, downward=downward) for stop in route.stops]
    path: list[str] = []
    for (_, leave, level), (enter, _, middle) in pairwise(spans):
        half = (leave + enter) // 2
        bends = ((half, level), (half, middle), (enter, middle))
        path.append(("L" if path else "M") + _point(leave, level, downward=downward))
        path.append("C" + " ".join(_point(along, across, downward=downward) for along, across in bends))
    return "".join(path)


def _span(place: Place, *, downward: bool) -> tuple[int, int, int]:
    """Return where a link enters and leaves a place, along its way, and its middle across."""
    if downward:
        return place.y, place.y + place.height, place.x + place.width // 2
    return place.x, place.x + place.width, place.y + place.height // 2


def _point(along: int, across: int, *, downward: bool) -> str:
    """Return x and y of a point that is so far along the way of the links, and so far across."""
    return f"{across} {along}" if downward else f"{along} {across}"


def _arrowhead(route: Route, *, downward: bool) -> str:
    """Return the head of an arrow, at the end that it points to."""
    enter, leave, middle = _span(route.stops[0 if route.backward else -1], downward=downward)
    tip, back = (leave, leave + ARROW) if route.backward else (enter, enter - ARROW)
    corners = ((tip, middle), (back, middle - ARROW // 2), (back, middle + ARROW // 2 + 1))
    return f'<path d="M{"L".join(_point(along, across, downward=downward) for along, across in corners)}z"/>'


def _box(box: Box, place: Place) -> Iterator[str]:
    """Yield a box: its outline, a second one behind it where it stands for several, its text."""
    colours = PALETTE[box.role]
    paint = f'fill="{colours.fill}" stroke="{colours.line}"'
    failed = ' stroke-width="2.5" stroke-dasharray="6 3"' if box.role is Role.FAILED else ""
    yield "<g>"
    yield f"<title>{escape(box.tip)}</title>"
    if box.stacked:
        behind = Place(place.x + STACK, place.y + STACK, place.width, place.height)
        yield f'<path d="{_outline(box.kind, behind)}" {paint}/>'
    yield f'<path d="{_outline(box.kind, place)}" {paint}{failed}/>'
    middle = place.x + place.width // 2
    baseline = place.y + (place.height - LINE_HEIGHT * len(box.lines)) // 2 + FONT_SIZE
    for number, line in enumerate(box.lines):
        size = SMALL_SIZE if number else FONT_SIZE
        yield _text(line, middle, baseline + number * LINE_HEIGHT, size, f'fill="{INK}" text-anchor="middle"')
    yield "</g>"


def _outline(kind: Kind, place: Place) -> str:
    """Return the outline of a kind of box."""
    x, y, width, height = place.x, place.y, place.width, place.height
    right, bottom = x + width, y + height
    if kind is Kind.FILE:
        fold = CORNER
        page = f"M{x} {y}H{right - fold}l{fold} {fold}V{bottom}H{x}z"
        return f"{page}M{right - fold} {y}v{fold}h{fold}"
    if kind is Kind.FOLDER:
        return f"M{x} {y - TAB}h{3 * CORNER}l{TAB} {TAB}H{right}V{bottom}H{x}z"
    if kind is Kind.PARAMETERS:
        return f"M{x + CORNER} {y}H{right}l{-CORNER} {height}H{x}z"
    if kind is Kind.WORKFLOW:
        left, inner, middle = x + CORNER, right - CORNER, y + height // 2
        return f"M{left} {y}H{inner}L{right} {middle}L{inner} {bottom}H{left}L{x} {middle}z"
    radius = height // 2 if kind in {Kind.RUN, Kind.CRATE} else CORNER
    arc = f"a{radius} {radius} 0 0 1"
    return (
        f"M{x + radius} {y}H{right - radius}{arc} {radius} {radius}V{bottom - radius}{arc} {-radius} {radius}"
        f"H{x + radius}{arc} {-radius} {-radius}V{y + radius}{arc} {radius} {-radius}z"
    )


def _box_size(box: Box) -> tuple[int, int]:
    """Return the width and height that a box needs for its lines."""
    widths = [_width(line, SMALL_SIZE if number else FONT_SIZE) for number, line in enumerate(box.lines)]
    return max(widths) + 2 * (PADDING + CORNER // 2), LINE_HEIGHT * len(box.lines) + PADDING


def _text(words: str, x: int, y: int, size: int, paint: str) -> str:
    """Return one line of text; where its width is anybody's guess, it is made to fit its room."""
    fit = ""
    if any(character > LAST_KNOWN_CHARACTER and character not in WIDE_CHARACTERS for character in words):
        fit = f' textLength="{_width(words, size)}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x}" y="{y}" font-size="{size}" {paint}{fit}>{escape(words)}</text>'


def _width(words: str, size: int) -> int:
    """Return the pixels that text needs in the widest common font."""
    return round(size * sum(map(_em, words)))


def _em(character: str) -> float:
    """Return the width of a character in em."""
    if character in NARROW_CHARACTERS:
        return NARROW
    if character in WIDE_CHARACTERS or unicodedata.east_asian_width(character) in "WF":
        return WIDE
    if unicodedata.combining(character):
        return 0.0
    return CAPITAL if character.isupper() else NORMAL
