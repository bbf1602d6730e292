"""Pooling: averages, maxima, global pools, and reductions over space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from math import lcm

import numpy as np
from numpy.typing import NDArray

from snngen.onnx_import.conv import Sliding, guard_window, read_image, read_window
from snngen.onnx_import.linear import dense
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Refused, Value, View, as_chw
from snngen.ops import MaxPool, SumPool, Window


def import_max_pool(net: Network, node: OnnxNode) -> Sequence[Value]:
    """MaxPool; its Indices output may exist but not be used."""
    if node.uses_output(1):
        raise Refused("the Indices output cannot be used")
    sliding = _with_ceil(node, read_window(net, node))
    name = net.add(node.name, MaxPool(sliding.window), (sliding.source,))
    return [net.view(name, sliding.output(net.shapes[name]))]


def import_average_pool(net: Network, node: OnnxNode) -> Sequence[Value]:
    """AveragePool; a window divides by its taps on the input, or with count_include_pad also by
    those on declared padding, but never by those that hang over the end under ceil_mode.
    """
    declared = read_window(net, node)
    sliding = _with_ceil(node, declared)
    window, (_, height, width) = sliding.window, sliding.shape
    inside = np.ones((height, width), np.int64)
    if node.integer("count_include_pad", 0):
        inside = declared.window.pad(inside, 1)
        bottom, right = (window.pads[k] - declared.window.pads[k] for k in (2, 3))
        window_on_padded = replace(window, pads=(0, 0, bottom, right))
    else:
        window_on_padded = window
    try:
        counts: NDArray[np.int64] = window_on_padded.taps(inside).sum((0, 1))
    except ValueError as error:
        raise Refused("the window does not fit", error) from None
    if counts.min() < 1:
        raise Refused("a window lies wholly on padding", f"pads {list(window.pads)}")
    sizes = [int(c) for c in np.unique(counts)]
    if lcm(*sizes) >= 2**31:
        raise Refused(
            "its windows have too many different sizes for integer arithmetic",
            f"{len(sizes)} sizes from {sizes[0]} to {sizes[-1]}",
            "count the padding (count_include_pad=True), or use less of it",
        )
    name = net.add(node.name, SumPool.average(window, counts), (sliding.source,))
    return [net.view(name, sliding.output(net.shapes[name]))]


def _with_ceil(node: OnnxNode, sliding: Sliding) -> Sliding:
    """Under ceil_mode, with the pads extended at the end so that a last, partial window fits; but
    only if that window starts on the input or on the padding before it.
    """
    if not node.integer("ceil_mode", 0):
        return sliding
    window = sliding.window
    pads = list(window.pads)
    for axis in (0, 1):
        size, stride, extent = sliding.shape[1 + axis], window.stride[axis], window.extent[axis]
        begin, end = pads[axis], pads[2 + axis]
        steps = max(0, -(-(size + begin + end - extent) // stride))
        if steps * stride >= size + begin:
            steps -= 1
        pads[2 + axis] = max(end, steps * stride + extent - size - begin)
    window = replace(window, pads=(pads[0], pads[1], pads[2], pads[3]))
    guard_window(window, sliding.shape)
    return replace(sliding, window=window)


def import_global_average(net: Network, node: OnnxNode) -> Sequence[Value]:
    """GlobalAveragePool."""
    return _global(net, node, average=True)


def import_global_max(net: Network, node: OnnxNode) -> Sequence[Value]:
    """GlobalMaxPool."""
    return _global(net, node, average=False)


def _global(net: Network, node: OnnxNode, *, average: bool) -> Sequence[Value]:
    source, rank = read_image(net, node)
    channels, height, width = net.shapes[source]
    window = Window((height, width))
    op = SumPool(window, height * width) if average else MaxPool(window)
    return [net.view(net.add(node.name, op, (source,)), (channels, *[1] * rank))]


def import_reduce(net: Network, node: OnnxNode) -> Sequence[Value]:
    """ReduceMean, ReduceSum and ReduceMax over the spatial axes (whichever they are), and
    ReduceMean and ReduceSum over everything.
    """
    view = node.view()
    rank = view.index.ndim
    axes = node.integers_of("axes", 1)
    if not axes:
        if node.integer("noop_with_empty_axes", 0):
            return [view]
        axes = list(range(rank))
    if not all(-rank <= a < rank for a in axes):
        raise Refused(f"axes must be within the {rank} axes of its input", axes)
    reduced = {a % rank for a in axes}
    index = net.per_sample(view)
    if 0 in reduced:
        if net.batch > 1:
            raise Refused("the batch cannot be reduced", f"axes {axes}")
        reduced.discard(0)
    per_sample_axes = {a - 1 for a in reduced}
    keep = node.integer("keepdims", 1)
    kept_shape = tuple(1 if a in per_sample_axes else s for a, s in enumerate(index.shape))
    if not per_sample_axes:
        result = view
    elif all(s == 1 for s in kept_shape) and node.op != "ReduceMax":
        weight = np.ones((1, index.size)) / (index.size if node.op == "ReduceMean" else 1)
        result = dense(net, node, View(view.source, view.index.reshape(net.batch, -1)), weight)
    else:
        result = _pool_axes(net, node, view, per_sample_axes)
    if keep:
        return [View(result.source, result.index.reshape(net.batch, *kept_shape))]
    shape = tuple(s for a, s in enumerate(index.shape) if a not in per_sample_axes)
    lead = () if 0 in {a % rank for a in axes} else (net.batch,)
    return [View(result.source, result.index.reshape(*lead, *shape))]


def _pool_axes(net: Network, node: OnnxNode, view: View, reduced: set[int]) -> View:
    """The pool whose window spans the `reduced` per-sample axes, in the order of the axes kept."""
    index = net.per_sample(view)
    kept = [a for a in range(index.ndim) if a not in reduced]
    if index.ndim > 3 or not kept:
        raise Refused(
            "only a reduction over height and width is supported",
            f"axes {sorted(a + 1 for a in reduced)} of {list(view.shape)}",
        )
    refusal: Refused | None = None
    for order in permutations(range(index.ndim)):
        if order[0] in reduced:
            continue
        want = index.transpose(order)
        spans = [s if a in reduced else 1 for a, s in zip(order, want.shape, strict=True)]
        want, kernel = want.reshape(as_chw(want.shape)), as_chw(tuple(spans))[1:]
        try:
            source = net.read(node.name, view.source, want)
        except Refused as error:
            refusal = refusal or error
            continue
        window = Window(kernel)
        op = (
            MaxPool(window)
            if node.op == "ReduceMax"
            else SumPool(window, kernel[0] * kernel[1] if node.op == "ReduceMean" else 1)
        )
        name = net.add(node.name, op, (source,))
        order_kept = [a for a in order if a not in reduced]
        pooled = net.view(name, tuple(index.shape[a] for a in order_kept))
        back = [1 + order_kept.index(a) for a in kept]
        return View(name, pooled.index.transpose(0, *back))
    assert refusal is not None
    raise refusal
