"""Where boxes and arrows go: in columns from left to right, or in rows from the top, where there are many.

As in K. Sugiyama et al. (1981), IEEE SMC 11(2): links that close a cycle are turned around, columns follow
the longest path, links over several columns get a place to pass in each, a few sweeps untangle the columns,
and boxes settle beside what they are linked to. Rows are columns with x and y exchanged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from provwatch.graph.flow import Pair, neighbours

SWEEPS = 12
MOST_COLUMNS = 7
COLUMN_GAP, BOX_GAP = 64, 14
ROW_GAP, ROW_BOX_GAP = 40, 24
PASSAGE = 4
FORWARD, BACKWARD = 1, -1


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle in pixels: that of a box, or one that a link crosses the column of other boxes in."""

    x: int
    y: int
    width: int
    height: int

    def turned(self) -> Place:
        """Return the rectangle with x and y exchanged."""
        return Place(self.y, self.x, self.height, self.width)


@dataclass(frozen=True, slots=True)
class Route:
    """The places that a link visits, column by column; *backward* when its arrow points to the first."""

    stops: tuple[Place, ...]
    backward: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of boxes, the routes of links, and what room they take."""

    places: tuple[Place, ...]
    routes: tuple[Route, ...]
    width: int
    height: int


def runs_down(count: int, links: Sequence[Pair]) -> bool:
    """Say whether a graph of so many nodes is so long and thin that it is better read from the top."""
    columns, _ = _columns(count, _without_cycles(count, links))
    widest = max((sum(node < count for node in column) for column in columns), default=0)
    return len(columns) > max(MOST_COLUMNS, widest)


def arrange(sizes: Sequence[tuple[int, int]], links: Sequence[Pair], *, downward: bool) -> Layout:
    """Lay out boxes of these widths and heights, linked by position."""
    if downward:
        turned = _arrange([(height, width) for width, height in sizes], links, (ROW_GAP, ROW_BOX_GAP))
        routes = (Route(tuple(stop.turned() for stop in route.stops), route.backward) for route in turned.routes)
        return Layout(tuple(place.turned() for place in turned.places), tuple(routes), turned.height, turned.width)
    return _arrange(sizes, links, (COLUMN_GAP, BOX_GAP))


def _arrange(sizes: Sequence[tuple[int, int]], links: Sequence[Pair], gaps: tuple[int, int]) -> Layout:
    """Lay out boxes in columns; the gaps are those between columns and between boxes of one."""
    forward = _without_cycles(len(sizes), links)
    columns, chains = _columns(len(sizes), forward)
    steps = sorted({step for chain in chains for step in pairwise(chain)})
    before, after = neighbours(sum(map(len, columns)), steps)
    _untangle(columns, before, after)
    heights = [height for _, height in sizes] + [PASSAGE] * (len(before) - len(sizes))
    middles = _settle(columns, before, after, _Spread(heights, gaps[1]))
    places = _place(columns, sizes, heights, middles, gaps[0])
    routes = tuple(
        Route(tuple(places[vertex] for vertex in chain), backward=pair != link)
        for chain, pair, link in zip(chains, forward, links, strict=True)
    )
    width = max((place.x + place.width for place in places), default=0)
    height = max((place.y + place.height for place in places), default=0)
    return Layout(tuple(places[: len(sizes)]), routes, width, height)


def _without_cycles(count: int, links: Sequence[Pair]) -> list[Pair]:
    """Return the links with those turned around that lead back to where a walk from the sources came from."""
    before, after = neighbours(count, links)
    walking, done = set[int](), set[int]()
    turned: set[Pair] = set()
    for root in sorted(range(count), key=lambda node: bool(before[node])):
        stack = [] if root in done else [(root, iter(after[root]))]
        walking.update(node for node, _ in stack)
        while stack:
            node, ahead = stack[-1]
            target = next(ahead, None)
            if target is None:
                walking.discard(node)
                done.add(node)
                stack.pop()
            elif target in walking:
                turned.add((node, target))
            elif target not in done:
                walking.add(target)
                stack.append((target, iter(after[target])))
    return [(target, source) if (source, target) in turned else (source, target) for source, target in links]


def _columns(count: int, links: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
    """Return what stands in each column, and the chain of neighbours that each link visits.

    Numbers from *count* on are passages: links from one box through one column share theirs.
    """
    depth = _depths(count, links)
    columns: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for node in range(count):
        columns[depth[node]].append(node)
    passages: dict[Pair, int] = {}
    chains = []
    for source, target in links:
        chain = [source]
        for column in range(depth[source] + 1, depth[target]):
            passage = passages.get((source, column))
            if passage is None:
                passage = passages[source, column] = count + len(passages)
                columns[column].append(passage)
            chain.append(passage)
        chains.append([*chain, target])
    return columns, chains


def _depths(count: int, links: Sequence[Pair]) -> list[int]:
    """Return the column of each node: its longest path from a source; sources stand just before their use."""
    before, after = neighbours(count, links)
    depth = [0] * count
    missing = [len(sources) for sources in before]
    ready = deque(node for node in range(count) if not missing[node])
    while ready:
        node = ready.popleft()
        for target in after[node]:
            depth[target] = max(depth[target], depth[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for node in range(count):
        if not before[node] and after[node]:
            depth[node] = min(depth[target] for target in after[node]) - 1
    return depth


def _untangle(columns: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    """Sort each column by the mean rank of its neighbours in the one before, then after, a few times."""
    rank: dict[int, float] = {}
    for column in columns:
        rank.update((vertex, number) for number, vertex in enumerate(column))
    for sweep in range(SWEEPS):
        linked, order = (before, FORWARD) if sweep % 2 == 0 else (after, BACKWARD)
        for column in columns[::order]:
            weight = {vertex: _mean([rank[other] for other in linked[vertex]], rank[vertex]) for vertex in column}
            column.sort(key=weight.__getitem__)
            rank.update((vertex, number) for number, vertex in enumerate(column))


def _mean(values: Sequence[float], default: float) -> float:
    """Return the mean, or the default of nothing."""
    return sum(values) / len(values) if values else default


@dataclass(frozen=True, slots=True)
class _Spread:
    """Puts what stands in a column where it wants to be, as far as heights and gaps allow."""

    heights: Sequence[int]
    gap: int

    def __call__(self, column: Sequence[int], wanted: Sequence[float]) -> dict[int, float]:
        """Return the middles nearest to the wanted ones that keep order and distance.

        Without the distances this is isotonic regression, solved by pooling adjacent violators.
        """
        offsets, offset = [], 0.0
        for vertex in column:
            offsets.append(offset + self.heights[vertex] / 2)
            offset += self.heights[vertex] + self.gap
        pools: list[tuple[float, int]] = []
        for want, offset in zip(wanted, offsets, strict=True):
            total, size = want - offset, 1
            while pools and pools[-1][0] * size > total * pools[-1][1]:
                previous, members = pools.pop()
                total, size = total + previous, size + members
            pools.append((total, size))
        bases = [total / size for total, size in pools for _ in range(size)]
        return {vertex: base + offset for vertex, base, offset in zip(column, bases, offsets, strict=True)}


def _settle(
    columns: list[list[int]], before: list[list[int]], after: list[list[int]], spread: _Spread
) -> dict[int, float]:
    """Return the vertical middle of everything: as near to its neighbours as the order of columns allows."""
    middles: dict[int, float] = {}
    for column in columns:
        middles.update(spread(column, [0.0] * len(column)))
    for sweep in range(SWEEPS):
        linked, order = (before, FORWARD) if sweep % 2 == 0 else (after, BACKWARD)
        for column in columns[::order]:
            wanted = [_mean([middles[other] for other in linked[vertex]], middles[vertex]) for vertex in column]
            middles.update(spread(column, wanted))
    return middles


def _place(
    columns: list[list[int]],
    sizes: Sequence[tuple[int, int]],
    heights: Sequence[int],
    middles: dict[int, float],
    gap: int,
) -> list[Place]:
    """Return the rectangle of every box and passage; a column is as wide as its widest box."""
    top = min((middles[vertex] - heights[vertex] / 2 for column in columns for vertex in column), default=0.0)
    places: dict[int, Place] = {}
    left = 0
    for column in columns:
        width = max((sizes[vertex][0] for vertex in column if vertex < len(sizes)), default=0)
        for vertex in column:
            y = round(middles[vertex] - heights[vertex] / 2 - top)
            places[vertex] = Place(left, y, width, heights[vertex])
        left += width + gap
    return [places[vertex] for vertex in range(len(places))]
