"""FixedNet -> C files. Pure: the same network and options give the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from snngen import __version__
from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.fixed_file import digest
from snngen.resources import resource_dir
from snngen.simulate import simulate
from snngen.targets.c.budget import budget_of
from snngen.targets.c.build import RUNTIME
from snngen.targets.c.constants import harmless, wrapped
from snngen.targets.c.packages import PACKAGES, PLAIN, arranged, readme_facts
from snngen.targets.c.schedule import Optimise, Preference, plan
from snngen.targets.c.trace_hash import trace_hashes
from snngen.targets.c.views import model_view

SYNTHETIC_IMAGES = 2
MANIFEST = "snngen.json"
RESERVED = re.compile(  # files of ours, and headers that <...> must go on finding
    "snn.*|example_main|harness|assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale"
    "|math|setjmp|signal|std.*|string|tgmath|time|wchar|wctype"
)


def emit(
    net: FixedNet,
    *,
    prefix: str = "model",
    schedule: Preference = "smallest",
    optimise: Optimise = "speed",
    package: str = PLAIN,
    selftest_images: NDArray[np.uint8] | None = None,
) -> Mapping[str, bytes]:
    """The files of a C99 project that runs `net`, by their relative paths.

    `prefix` begins every public name. `schedule`: "smallest" arena, or "fastest". `optimise`:
    "speed", the "size" of weights in flash, or for processors with "vectors". `package`: one of
    PACKAGES. `selftest_images` (n, C, H, W) are embedded with the hashes of their traces; without
    them, two synthetic images. ConversionError where the prefix is no C identifier or the network
    exceeds the runtime's sizes.
    """
    check_prefix(prefix)
    if package not in PACKAGES:
        raise ConversionError(
            Problem("the package", f"must be one of {', '.join(PACKAGES)}", package)
        )
    chosen = plan(net, schedule, optimise)
    view = model_view(net, chosen)
    budget = budget_of(net, chosen, view)
    names = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "network": harmless(net.name),
        "method": harmless(net.method),
        "version": __version__,
        "digest": digest(net),
    }
    sizes = {
        "arena_bytes": chosen.arena_bytes,
        "input_bytes": int(np.prod(net.input.shape)),
        "input_layout": net.input.layout,
        "input_shape": "x".join(map(str, net.input.shape)),
        "outputs": int(np.prod(net.layers[-1].shape)),
        "output_layout": net.output_layout,
        "timesteps": net.timesteps,
        "output_scale": repr(float(net.output_scale)),
        "const_bytes": budget.const_bytes,
        "layers_at_once": chosen.at_once,
        "layer_count": len(net.layers),
    }
    runtime = runtime_files()
    facts = {
        **names,
        **sizes,
        "model": view,
        "known": _known_answers(net, selftest_images),
        "sources": [name for name in runtime if name.endswith(".c")],
        **readme_facts(package, prefix),
    }
    made = {name: render(template, facts) for name, template in _templates(prefix).items()}
    made |= {f"{RUNTIME}{name}": content for name, content in runtime.items()}
    files = arranged(made, package)
    facts["package_sources"] = [name for name in sorted(files) if name.endswith(".c")]
    wrapping = {**PACKAGES[package].templates, "README.txt": "README.txt.j2"}
    files |= {name: render(template, facts) for name, template in wrapping.items()}
    files[MANIFEST] = _json(
        {
            "format": 1,
            "generator": f"snngen {__version__}",
            "target": "c",
            "network": {
                "name": net.name,
                "digest": names["digest"],
                "method": net.method,
                "timesteps": net.timesteps,
                "output_scale": net.output_scale,
                "input": {"shape": net.input.shape, "layout": net.input.layout},
                "output_layout": net.output_layout,
                "layers": [{"name": layer.name, "shape": layer.shape} for layer in net.layers],
            },
            "options": {
                "prefix": prefix,
                "schedule": schedule,
                "optimise": optimise,
                "package": package,
            },
            "budget": asdict(budget),
            "files": {name: sha256(files[name]).hexdigest() for name in sorted(files)},
        }
    )
    return {name: files[name] for name in sorted(files)}


def check_prefix(prefix: str) -> None:
    """ConversionError unless every public name can begin with `prefix`."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", prefix):
        rule = "must be a C identifier of at most 31 characters that begins with a letter"
        raise ConversionError(Problem("the prefix", rule, repr(prefix), "for example 'model'"))
    if RESERVED.fullmatch(prefix.lower()):
        rule = "must not be the name of a file of the runtime or of the C library"
        raise ConversionError(Problem("the prefix", rule, repr(prefix), "for example 'model'"))


def runtime_files() -> dict[str, bytes]:
    """The runtime library by file name: headers and sources in one flat folder."""
    root = resource_dir("runtime_c")
    found = [*(root / "include").glob("*.h"), *(root / "src").glob("*.[ch]")]
    return {path.name: path.read_bytes() for path in sorted(found, key=lambda path: path.name)}


def _templates(prefix: str) -> dict[str, str]:
    return {
        f"{prefix}.h": "model.h.j2",
        f"{prefix}.c": "model.c.j2",
        f"{prefix}_selftest.c": "model_selftest.c.j2",
    }


def render(template: str, facts: Mapping[str, object]) -> bytes:
    """A template of templates/c, filled in."""
    environment = Environment(
        loader=FileSystemLoader(resource_dir("templates") / "c"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(template).render(facts).encode("ascii")


def _known_answers(net: FixedNet, images: NDArray[np.uint8] | None) -> dict[str, object]:
    """The self-test's images, in the user's layout, and the hashes of their traces."""
    if images is None:
        seed = int(digest(net)[:16], 16)
        shape = (SYNTHETIC_IMAGES, *net.input.shape)
        images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    ordered = images if net.input.layout == "CHW" else images.transpose(0, 2, 3, 1)
    return {
        "count": len(images),
        "bytes": [wrapped([str(int(b)) for b in image.ravel()]) for image in ordered],
        "hashes": wrapped([f"0x{h:08X}u" for h in trace_hashes(net, trace)]),
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode("ascii")
