"""The file that says what emitted files were made from: snngen.json, the same for every target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from snngen import __version__
from snngen.fixed import FixedNet
from snngen.fixed_file import digest

MANIFEST = "snngen.json"


def manifest(
    net: FixedNet,
    target: str,
    files: Mapping[str, bytes],
    options: Mapping[str, Any],
    **facts: Any,
) -> bytes:
    """Of `files`, which `options` of `target` made; `facts` are the target's own."""
    return as_json(
        {
            "format": 1,
            "generator": f"snngen {__version__}",
            "target": target,
            "network": {
                "name": net.name,
                "digest": digest(net),
                "method": net.method,
                "timesteps": net.timesteps,
                "output_scale": net.output_scale,
                "input": {
                    "shape": net.input.shape,
                    "layout": net.input.layout,
                    "coding": net.input.coding,
                },
                "output_layout": net.output_layout,
                "layers": [{"name": layer.name, "shape": layer.shape} for layer in net.layers],
            },
            "options": dict(options),
            "files": {name: sha256(files[name]).hexdigest() for name in sorted(files)},
            **facts,
        }
    )


def as_json(value: object) -> bytes:
    """The same text for the same value."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")
