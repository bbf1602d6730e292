"""The geometry shared by convolution and pooling: a window that slides over the last two axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]  # (C, H, W)
Pads = tuple[int, int, int, int]  # (top, left, bottom, right)
Array = NDArray[Any]


@dataclass(frozen=True)
class Window:
    """A kernel of `kernel` = (kh, kw) taps, `dilation` apart, moved by `stride` over an input
    padded by `pads`.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if min(*self.kernel, *self.stride, *self.dilation) < 1 or min(self.pads) < 0:
            raise ValueError(f"kernel, stride and dilation must be >= 1 and pads >= 0, not {self}")

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width that the dilated kernel spans."""
        return (
            (self.kernel[0] - 1) * self.dilation[0] + 1,
            (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    @property
    def is_pointwise(self) -> bool:
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.pads == (0, 0, 0, 0)

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """Output height and width; raises ValueError where the kernel does not fit once."""
        top, left, bottom, right = self.pads
        eh, ew = self.extent
        h, w = height + top + bottom - eh, width + left + right - ew
        if h < 0 or w < 0:
            raise ValueError(
                f"a window of {eh}x{ew} does not fit an input of {height}x{width} "
                f"padded by {self.pads}"
            )
        return h // self.stride[0] + 1, w // self.stride[1] + 1

    def pad(self, x: Array, value: float = 0) -> Array:
        """`x` (..., H, W) surrounded by `value`."""
        if self.pads == (0, 0, 0, 0):
            return x
        top, left, bottom, right = self.pads
        widths = [(0, 0)] * (x.ndim - 2) + [(top, bottom), (left, right)]
        return np.pad(x, widths, constant_values=value)

    def taps(self, x: Array, value: float = 0) -> Array:
        """Every window of `x` (..., H, W) as a view of shape (..., kh, kw, H_out, W_out)."""
        out_h, out_w = self.positions(x.shape[-2], x.shape[-1])
        padded = self.pad(x, value)
        sy, sx = padded.strides[-2:]
        (dy, dx), (step_y, step_x) = self.dilation, self.stride
        return np.lib.stride_tricks.as_strided(
            padded,
            padded.shape[:-2] + self.kernel + (out_h, out_w),
            (*padded.strides[:-2], sy * dy, sx * dx, sy * step_y, sx * step_x),
            writeable=False,
        )

    def scatter(self, taps: Array, height: int, width: int) -> Array:
        """The adjoint of `taps`: every window of (..., kh, kw, H_out, W_out) added back where it
        was taken from, (..., `height`, `width`).
        """
        (dy, dx), (sy, sx) = self.dilation, self.stride
        out_h, out_w = taps.shape[-2:]
        top, left, bottom, right = self.pads
        total = np.zeros(
            (*taps.shape[:-4], height + top + bottom, width + left + right), taps.dtype
        )
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                total[..., ky * dy :, kx * dx :][
                    ..., : (out_h - 1) * sy + 1 : sy, : (out_w - 1) * sx + 1 : sx
                ] += taps[..., ky, kx, :, :]
        return total[..., top : top + height, left : left + width]

    def coverage(self, height: int, width: int) -> NDArray[np.int64]:
        """How many windows each input position lies in, with the tap multiplicity: (H, W)."""
        out_h, out_w = self.positions(height, width)
        top, left, bottom, right = self.pads
        padded = np.zeros((height + top + bottom, width + left + right), np.int64)
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                y, x = ky * self.dilation[0], kx * self.dilation[1]
                padded[
                    y : y + (out_h - 1) * self.stride[0] + 1 : self.stride[0],
                    x : x + (out_w - 1) * self.stride[1] + 1 : self.stride[1],
                ] += 1
        return padded[top : top + height, left : left + width]

    def taps_inside(self, height: int, width: int) -> NDArray[np.int64]:
        """How many taps of each output position fall on the input rather than on padding: (H_out,
        W_out).
        """
        counts: NDArray[np.int64] = self.taps(np.ones((height, width), np.int64)).sum((0, 1))
        return counts
