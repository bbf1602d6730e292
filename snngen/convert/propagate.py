"""The float spiking network in motion: currents and spikes of one layer after the other, for
calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED, MaxPool, Op, SumPool
from snngen.parallel import over_batch
from snngen.spiking import INPUT, Floats, Synapse

Values = NDArray[np.float32]  # (T, batch, C, H, W), or T = 1 where they do not change over time


class Propagation:
    """What every layer so far sends, in units of its own spikes, and what one of them is worth: its
    amplitude.

    Start it with the calibration images as model values (batch, C, H, W), or with those of streams
    (batch, T, C, H, W); then, layer by layer, take `current`, decide on the neuron, and `send` what
    it fires.
    """

    def __init__(self, images: NDArray[np.floating], timesteps: int, uses: Sequence[str]) -> None:
        """`uses` names the source of every synapse to come, so that values are dropped after their
        last use.
        """
        self.timesteps = timesteps
        given = images[None] if images.ndim == 4 else images.swapaxes(0, 1)
        self.values: dict[str, Values] = {INPUT: given.astype(np.float32)}
        self.amplitude: dict[str, Floats] = {INPUT: np.ones(images.shape[-3])}
        self._left = {name: list(uses).count(name) for name in uses}

    def current(self, synapses: Sequence[Synapse], bias: Floats | None) -> Values:
        """The current of a layer in the CNN's units for weighted synapses, in the source's for
        wiring.
        """
        total: Values | None = None
        for synapse in synapses:
            part = self._through(synapse)
            total = part if total is None else total + part
            self._left[synapse.source] -= 1
            if self._left[synapse.source] == 0:
                del self.values[synapse.source]
        assert total is not None
        return total if bias is None else total + bias[:, None, None].astype(np.float32)

    def send(self, name: str, values: Values, amplitude: Floats) -> None:
        self.values[name] = values
        self.amplitude[name] = amplitude

    def _through(self, synapse: Synapse) -> Values:
        op, source = synapse.op, self.values[synapse.source]
        if isinstance(op, MaxPool):
            steps = np.broadcast_to(source, (self.timesteps, *source.shape[1:]))
            largest = _apply(op, np.cumsum(steps, 0, dtype=np.float32))
            return np.diff(largest, axis=0, prepend=np.zeros_like(largest[:1]))
        if isinstance(op, WEIGHTED):
            scaled = op.scale_inputs(self.amplitude[synapse.source])
            return _apply(replace(scaled, weight=scaled.weight.astype(np.float32)), source)
        return _apply(op, source)


def wiring_amplitude(synapses: Sequence[Synapse], amplitude: dict[str, Floats]) -> Floats:
    """What one unit is worth that a wiring layer passes on: (C,) from the sources' amplitudes."""
    op, source = synapses[0].op, amplitude[synapses[0].source]
    if isinstance(op, SumPool):
        return source / op.divisor
    if isinstance(op, MaxPool):
        return source
    worth = None
    for synapse in synapses:
        channels = synapse.op.channels  # type: ignore[union-attr]  # only Selects are left
        part = np.where(channels >= 0, amplitude[synapse.source][channels], 0.0)
        worth = part if worth is None else worth + part
    assert worth is not None
    return np.where(worth == 0, 1.0, worth)


def fire(neuron: IF | Level, current: Values, timesteps: int) -> Values:
    """The spikes (T, batch, C, H, W) or counts (1, batch, C, H, W) that `current` drives the
    neurons to.
    """
    if isinstance(neuron, Level):
        counts = np.zeros(current.shape, np.uint8)  # at most 255 levels, and bytes add fast
        for threshold in neuron.thresholds.T:
            counts += current >= threshold[:, None, None].astype(np.float32)
        return counts.astype(np.float32) + np.float32(neuron.lowest)
    theta = neuron.threshold[:, None, None].astype(np.float32)
    clamps = None
    if neuron.v_min is not None and neuron.v_max is not None:
        clamps = [c[:, None, None].astype(np.float32) for c in (neuron.v_min, neuron.v_max)]
    v = np.broadcast_to(neuron.v_init[:, None, None].astype(np.float32), current.shape[1:]).copy()
    spikes = np.empty((timesteps, *v.shape), np.float32)
    balance = np.zeros_like(v)
    for t in range(timesteps):
        v += current[t % len(current)]
        if clamps is not None:
            np.clip(v, *clamps, out=v)
        np.greater_equal(v, theta, out=spikes[t], casting="unsafe")
        if neuron.signed:
            spikes[t] -= (v < 0) & (balance > 0)
            balance += spikes[t]
        v -= spikes[t] * theta
    return spikes


def _apply(op: Op, values: Values) -> Values:
    steps, batch = values.shape[:2]
    result = over_batch(op.forward, values.reshape(steps * batch, *values.shape[2:]))
    return result.reshape(steps, batch, *result.shape[1:])
