"""Fold the siblings of a flow until a person can take it in: the least that is needed, in linear time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import takewhile

from provwatch.graph.flow import DATA_KINDS, Flow, Kind, Node, Pair, neighbours
from provwatch.graph.nodes import split_process

MIN_LIMIT = 12
BRIDGES_PER_LINK = 4
OTHER_GROUPS = 4

Key = tuple[Hashable, ...]


def fold(flow: Flow, limit: int) -> Flow:
    """Return a flow of at most *limit* nodes, or `MIN_LIMIT` if that is more: each step only where needed."""
    limit = max(limit, MIN_LIMIT)
    for step in LADDER:
        if len(flow.nodes) <= limit:
            return flow
        flow = step(flow)
    return flow if len(flow.nodes) <= limit else _keep_largest(flow, limit)


def _fold_siblings(flow: Flow) -> Flow:
    """Fold the tasks of each process, the files it made, and other files of one folder and extension."""
    return _regroup(flow, lambda node: (node.published,), lambda node: (node.kind, node.place, node.extensions))


def _fold_folders(flow: Flow) -> Flow:
    """Fold the same, but files of one extension wherever they lie."""
    return _regroup(flow, lambda node: (node.published,), lambda node: (node.kind, node.extensions))


def _fold_results(flow: Flow) -> Flow:
    """Fold the same, but all that a process made, published or not."""
    return _regroup(flow, lambda _: (), lambda node: (node.kind, node.extensions))


def _fold_scopes(flow: Flow) -> Flow:
    """Fold the processes of each sub-workflow: ``RNASEQ:QC:FASTQC`` and its siblings into ``RNASEQ:QC``."""
    sizes: Counter[str] = Counter()
    members: Counter[str] = Counter()
    for node in flow.nodes:
        if node.kind is Kind.TASK:
            scope, _ = split_process(node.name)
            sizes[scope] += node.processes
            members[scope] += 1

    def in_scope(node: Node) -> Node:
        scope, _ = split_process(node.name)
        if node.kind is not Kind.TASK or not scope or members[scope] == 1:
            return node
        return node._replace(name=scope, note="", processes=sizes[scope])

    return _fold_results(replace(flow, nodes=[in_scope(node) for node in flow.nodes]))


def _drop_intermediates(flow: Flow) -> Flow:
    """Link processes directly where only an unpublished file lies between them."""
    before, after = neighbours(len(flow.nodes), flow.flows)
    dropped: set[int] = set()
    for position, node in enumerate(flow.nodes):
        links = len(before[position]) + len(after[position])
        bridges = len(before[position]) * len(after[position])
        if node.kind in DATA_KINDS and not node.published and 0 < bridges <= BRIDGES_PER_LINK * links:
            dropped.add(position)
    pairs = [pair for pair in flow.flows if dropped.isdisjoint(pair)]
    for position in sorted(dropped):
        pairs += [(source, target) for source in before[position] for target in after[position]]
    kept = [position for position in range(len(flow.nodes)) if position not in dropped]
    place = {position: number for number, position in enumerate(kept)}
    return _linked([flow.nodes[position] for position in kept], place, pairs, flow.starts)


LADDER: tuple[Callable[[Flow], Flow], ...] = (
    _fold_siblings,
    _fold_folders,
    _fold_results,
    _fold_scopes,
    _drop_intermediates,
    _fold_scopes,
    _fold_scopes,
)


def _keep_largest(flow: Flow, limit: int) -> Flow:
    """Keep the largest groups by themselves; fold the others into one of processes and a few of files."""
    tasks = [position for position, node in enumerate(flow.nodes) if node.kind is Kind.TASK]
    data = [position for position, node in enumerate(flow.nodes) if node.kind in DATA_KINDS]
    room = limit - (len(flow.nodes) - len(tasks) - len(data))
    task_room = max(room // 2, room - len(data))
    others = _smallest(flow.nodes, tasks, task_room - 1) if len(tasks) > task_room else set()
    processes = sum(flow.nodes[position].processes for position in others)
    nodes = [
        node._replace(name="", note="", processes=processes) if position in others else node
        for position, node in enumerate(flow.nodes)
    ]
    flow = _fold_results(replace(flow, nodes=nodes))
    return _keep_largest_data(flow, limit)


def _keep_largest_data(flow: Flow, limit: int) -> Flow:
    """Fold the smallest groups of files into `OTHER_GROUPS`: inputs, results, what is between, the rest."""
    data = [position for position, node in enumerate(flow.nodes) if node.kind in DATA_KINDS]
    excess = len(flow.nodes) - limit
    if excess <= 0:
        return flow
    before, after = neighbours(len(flow.nodes), flow.flows)
    others = _smallest(flow.nodes, data, max(len(data) - excess - OTHER_GROUPS, 0))
    keys: list[Key] = [
        ("others", bool(before[position]), bool(after[position])) if position in others else (position,)
        for position in range(len(flow.nodes))
    ]
    return _merge(flow, keys)


def _smallest(nodes: Sequence[Node], positions: Iterable[int], keep: int) -> set[int]:
    """Return all but the *keep* largest; of equals the first are kept."""
    return set(sorted(positions, key=lambda position: -nodes[position].members)[keep:])


def _regroup(flow: Flow, made_key: Callable[[Node], Key], loose_key: Callable[[Node], Key]) -> Flow:
    """Merge nodes of one kind and name; files by the tasks that made them, else by *loose_key*."""
    nodes = flow.nodes
    made = {target for _, target in flow.flows}
    makers: dict[int, set[str]] = {}
    for source, target in flow.flows:
        if nodes[source].kind is Kind.TASK:
            makers.setdefault(target, set()).add(nodes[source].name)
    keys: list[Key] = []
    for position, node in enumerate(nodes):
        if node.kind not in DATA_KINDS:
            keys.append((node.kind, node.name))
        elif position in makers:
            keys.append(("made", tuple(sorted(makers[position])), made_key(node)))
        else:
            keys.append(("loose", position in made, loose_key(node)))
    return _merge(flow, keys)


def _merge(flow: Flow, keys: Sequence[Key]) -> Flow:
    """Return the flow with all nodes of one key made one, in the order of their first."""
    groups: dict[Key, list[Node]] = {}
    number: dict[Key, int] = {}
    for node, key in zip(flow.nodes, keys, strict=True):
        number.setdefault(key, len(number))
        groups.setdefault(key, []).append(node)
    place = {position: number[key] for position, key in enumerate(keys)}
    return _linked([_merged(nodes) for nodes in groups.values()], place, flow.flows, flow.starts)


def _linked(nodes: list[Node], place: dict[int, int], flows: Iterable[Pair], starts: Iterable[Pair]) -> Flow:
    """Return a flow with links moved to where their ends now are; each once, none to itself."""
    moved = dict.fromkeys((place[source], place[target]) for source, target in flows)
    started = dict.fromkeys((place[source], place[target]) for source, target in starts)
    return Flow(
        nodes,
        [pair for pair in moved if pair[0] != pair[1]],
        [pair for pair in started if pair not in moved],
    )


def _merged(nodes: list[Node]) -> Node:
    """Return one node for several."""
    first = nodes[0]
    if len(nodes) == 1:
        return first
    kinds = {node.kind for node in nodes}
    return Node(
        kind=first.kind if len(kinds) == 1 else Kind.FILE,
        name=first.name if all(node.name == first.name for node in nodes) else "",
        place=_common_folder({node.place for node in nodes}),
        extensions=tuple(sorted({extension for node in nodes for extension in node.extensions})),
        members=sum(node.members for node in nodes),
        processes=max(node.processes for node in nodes),
        failed=sum(node.failed for node in nodes),
        published=any(node.published for node in nodes),
    )


def _common_folder(places: set[str]) -> str:
    """Return the deepest folder that holds all of these, or ""; the scheme of a URI is none."""
    levels = zip(*(place.split("/") for place in places), strict=False)
    common = "/".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)).rstrip("/")
    return "" if common.endswith(":") else common
