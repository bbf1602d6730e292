"""What tests ask of traces."""

from __future__ import annotations

import numpy as np

from snngen.fixed import FixedNet
from snngen.golden import Trace
from snngen.ops import Interval


def assert_same_traces(expected: Trace, got: Trace | None) -> None:
    """Every output and membrane of every layer."""
    assert got is not None and got.keys() == expected.keys()
    for name, want in expected.items():
        np.testing.assert_array_equal(got[name].output, want.output, err_msg=name)
        if want.membrane is None:
            assert got[name].membrane is None, name
        else:
            np.testing.assert_array_equal(got[name].membrane, want.membrane, err_msg=name)


def assert_within_bounds(net: FixedNet, trace: Trace | None) -> None:
    """All that is sent and held lies within what is proven of each layer."""
    assert trace is not None
    for layer in net.layers:
        got = trace[layer.name]
        assert_within(got.output, layer.output, layer.name)
        if got.membrane is not None:
            assert_within(got.membrane, layer.membrane or layer.current, layer.name)


def assert_within(values: np.ndarray, bounds: Interval, name: str) -> None:
    """(..., C, H, W) within the bounds of each channel."""
    assert np.all(values >= bounds.lo[:, None, None]), name
    assert np.all(values <= bounds.hi[:, None, None]), name
