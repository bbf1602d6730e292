"""Simplify a float graph without changing what it computes.

Batch norm and other constants disappear into weights, biases and the input's normalisation; padding
and identity rewiring into windows; an activation moves in front of the max pool that it followed,
next to the layer whose activation it is. Each rule looks at one node and its neighbours; they are
applied until none fits any more.
"""

from __future__ import annotations

import numpy as np

from snngen.errors import ModelError, Problem
from snngen.fold.affine import (
    affine_into_consumer,
    affine_into_input,
    affine_into_producer,
    compress_affine,
    merge_affines,
)
from snngen.fold.quantised import (
    affine_into_thresholds,
    drop_requantiser,
    merge_into_levels,
    merge_twins,
)
from snngen.fold.reorder import (
    activation_above_max_pool,
    affine_above_add,
    affine_above_pool,
    affine_below_pool,
    pointwise_above_concat,
    pool_above_pointwise,
    shift_into_padded_conv,
)
from snngen.fold.rewrite import Rule, drop_dead, is_per_channel
from snngen.fold.wiring import drop_identity, merge_relus, merge_selects, pad_into_window
from snngen.graph import Affine, Graph, check_graph, shapes

__all__ = ["RULES", "fold"]


def fold(graph: Graph) -> Graph:
    """The simplified graph; raises ModelError where constants differ within a channel in a place
    that no dense layer can absorb.
    """
    graph = drop_dead(graph)
    while (simpler := _apply_rules(graph)) is not graph:
        graph = simpler
        check_graph(graph)
    problems = [
        Problem(
            f"node '{node.name}' (Affine)",
            "a constant added or multiplied must be the same all over a channel",
            f"constants of shape {np.broadcast_shapes(node.op.scale.shape, node.op.shift.shape)}",
            "constants per element are only possible directly before a dense layer",
        )
        for node in graph.nodes
        if isinstance(node.op, Affine) and not is_per_channel(node.op)
    ]
    if problems:
        raise ModelError(*problems)
    return graph


def _apply_rules(graph: Graph) -> Graph:
    """One pass of every rule over all nodes; the same graph where none applies."""
    for rule in RULES:
        known, position = shapes(graph), 0
        while position < len(graph.nodes):
            simpler = rule(graph, known, graph.nodes[position])
            if simpler is None:
                position += 1
            else:
                graph = drop_dead(simpler)
                known = shapes(graph)
                position = max(0, position - 2)  # what came before may fit now
    return graph


RULES: tuple[Rule, ...] = (
    drop_identity,
    merge_relus,
    merge_affines,
    merge_selects,
    compress_affine,
    pad_into_window,
    affine_into_producer,
    affine_into_input,
    affine_into_consumer,
    activation_above_max_pool,
    affine_above_pool,
    affine_above_add,
    pointwise_above_concat,
    merge_twins,
    drop_requantiser,
    affine_into_thresholds,
    merge_into_levels,
    affine_below_pool,
    pool_above_pointwise,
    shift_into_padded_conv,
)
"""In order of precedence; the first rule that fits anywhere is applied first."""
