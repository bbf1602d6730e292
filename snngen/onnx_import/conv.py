"""Conv, one- and two-dimensional, and the window attributes it shares with pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import MAX_ELEMENTS, Refused, Value, as_chw, guard_size
from snngen.ops import Conv, Shape, Window


@dataclass(frozen=True)
class Sliding:
    """A node's window over an input of shape `source`, and the rank (1 or 2) it was written in."""

    window: Window
    source: str
    shape: Shape
    rank: int

    def output(self, chw: Shape) -> tuple[int, ...]:
        """The per-sample ONNX shape of an output."""
        return chw if self.rank == 2 else (chw[0], chw[2])


def read_image(net: Network, node: OnnxNode) -> tuple[str, int]:
    """The node's activation as (C, H, W) or (C, 1, L): its source, and the spatial rank."""
    view = node.view()
    rank = view.index.ndim - 2
    if rank not in (1, 2):
        raise Refused(
            "only 1-D and 2-D windows are supported",
            f"an input of shape {list(view.shape)}",
            "the input must be (N, C, L) or (N, C, H, W)",
        )
    index = net.per_sample(view)
    return net.read(node.name, view.source, index.reshape(as_chw(index.shape))), rank


def read_window(net: Network, node: OnnxNode, kernel: Sequence[int] | None = None) -> Sliding:
    """kernel_shape, strides, pads, dilations and auto_pad of a Conv or pool.

    `kernel` is the shape of a Conv's weight, which has the last word.
    """
    source, rank = read_image(net, node)
    shape = net.shapes[source]
    declared = node.integer_list("kernel_shape")
    if kernel is None:
        kernel = declared
    if kernel is None or len(kernel) != rank:
        raise Refused(f"the kernel must have {rank} dimensions", kernel)
    if declared is not None and list(declared) != list(kernel):
        raise Refused("kernel_shape contradicts the weight", f"{declared} and {list(kernel)}")
    strides = node.integer_list("strides") or [1] * rank
    dilations = node.integer_list("dilations") or [1] * rank
    pads = node.integer_list("pads") or [0] * (2 * rank)
    if len(strides) != rank or len(dilations) != rank or len(pads) != 2 * rank:
        raise Refused(
            f"strides and dilations need {rank} numbers, pads {2 * rank}",
            f"strides {strides}, dilations {dilations}, pads {pads}",
        )
    if min(*kernel, *strides, *dilations) < 1 or min(pads) < 0:
        raise Refused(
            "kernel, strides and dilations must be at least 1, pads at least 0",
            f"kernel {list(kernel)}, strides {strides}, dilations {dilations}, pads {pads}",
        )
    auto_pad = node.text("auto_pad", "NOTSET")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        sizes = shape[3 - rank :]
        pads = _same_pads(sizes, kernel, strides, dilations, upper=auto_pad == "SAME_UPPER")
    elif auto_pad == "VALID":
        pads = [0] * (2 * rank)
    elif auto_pad != "NOTSET":
        raise Refused("auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID", auto_pad)
    top, left = _pair(pads[:rank], 0)
    bottom, right = _pair(pads[rank:], 0)
    window = Window(
        _pair(kernel, 1), _pair(strides, 1), (top, left, bottom, right), _pair(dilations, 1)
    )
    guard_window(window, shape)
    return Sliding(window, source, shape, rank)


def guard_window(window: Window, shape: Shape) -> None:
    """Raise Refused for a window that does not fit, or has too many taps in all to be counted."""
    if max(window.stride) > MAX_ELEMENTS:
        raise Refused(f"strides may be at most {MAX_ELEMENTS}", list(window.stride))
    try:
        positions = window.positions(*shape[1:])
    except ValueError as error:
        raise Refused("the window does not fit", error) from None
    guard_size((*window.kernel, *positions), "the window, at all its positions,")
    top, left, bottom, right = window.pads
    guard_size((shape[1] + top + bottom, shape[2] + left + right), "the padded input")


def _pair(values: Sequence[int], fill: int) -> tuple[int, int]:
    """One value per spatial axis as (vertical, horizontal); a signal lies horizontally."""
    return (fill, values[0]) if len(values) == 1 else (values[0], values[1])


def _same_pads(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    upper: bool,
) -> list[int]:
    """Pads that make the output ceil(size / stride); an odd total leaves its extra one at the end
    (`upper`) or at the beginning.
    """
    begin, end = [], []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        steps = -(-size // stride) - 1
        total = max(0, steps * stride + (k - 1) * dilation + 1 - size)
        small, large = total // 2, total - total // 2
        begin.append(small if upper else large)
        end.append(large if upper else small)
    return begin + end


def import_conv(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Conv: groups, depthwise, strides, dilations, asymmetric and automatic pads."""
    weight = node.weights(1, "the weight")
    if weight.ndim not in (3, 4) or weight.size == 0:
        raise Refused(
            "the weight must be (O, I/group, kw) or (O, I/group, kh, kw)", f"{weight.shape}"
        )
    sliding = read_window(net, node, weight.shape[2:])
    bias = None if node.input(2) is None else node.weights(2, "the bias")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise Refused("the bias must hold one number per output channel", f"{bias.shape}")
    weight = weight.reshape(*weight.shape[:2], *sliding.window.kernel)
    try:
        op = Conv(weight, sliding.window, node.integer("group", 1))
    except ValueError as error:
        raise Refused("the weight does not fit", error) from None
    name = net.add(node.name, op, (sliding.source,), bias)
    return [net.view(name, sliding.output(net.shapes[name]))]
