"""FixedNet -> C files. Pure: the same network and options give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from snngen import __version__
from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.fixed_file import digest
from snngen.neurons import Accumulate
from snngen.resources import resource_dir
from snngen.simulate import simulate
from snngen.targets.c.budget import PROCESSOR, budget_of
from snngen.targets.c.build import RUNTIME
from snngen.targets.c.constants import ModelView, harmless, wrapped
from snngen.targets.c.packages import PACKAGES, PLAIN, arranged, readme_facts
from snngen.targets.c.schedule import Optimise, Plan, Preference, plan
from snngen.targets.c.views import model_view
from snngen.targets.known import known_images
from snngen.targets.manifest import MANIFEST, manifest
from snngen.targets.trace_hash import trace_hashes

KNOWN_IMAGES = 2
OF_STREAMS = {"example_main.c.j2": "example_stream.c.j2"}
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
    on: str = PROCESSOR,
    selftest_images: NDArray[np.uint8] | None = None,
) -> Mapping[str, bytes]:
    """The files of a C99 project that runs `net`, by their relative paths.

    `prefix` begins every public name. `schedule`: "smallest" arena, or "fastest". `optimise`:
    "speed", the "size" of weights in flash, or for processors with "vectors". `package`: one of
    PACKAGES. `on`: the processor of the manifest's budget. `selftest_images` (n, C, H, W), of a
    stream (n, T, C, H, W), are embedded with the hashes of their traces; without them, two drawn
    ones. ConversionError where the prefix is no C identifier or the network exceeds the runtime's
    sizes.
    """
    check_prefix(prefix)
    if package not in PACKAGES:
        raise ConversionError(
            Problem("the package", f"must be one of {', '.join(PACKAGES)}", package)
        )
    chosen = plan(net, schedule, optimise)
    view = model_view(net, chosen)
    facts = facts_of(net, chosen, view, prefix, selftest_images) | readme_facts(package, prefix)
    files = arranged(c_files(facts, prefix), package)
    facts["package_sources"] = [name for name in sorted(files) if name.endswith(".c")]
    wrapping = {**PACKAGES[package].templates, "README.txt": "README.txt.j2"}
    files |= {
        name: render(OF_STREAMS.get(template, template) if net.is_stream else template, facts)
        for name, template in wrapping.items()
    }
    options = {
        "prefix": prefix,
        "schedule": schedule,
        "optimise": optimise,
        "package": package,
        "on": on,
    }
    known = asdict(budget_of(net, chosen, view, on))
    files[MANIFEST] = manifest(net, "c", files, options, budget=known)
    return {name: files[name] for name in sorted(files)}


def facts_of(
    net: FixedNet,
    chosen: Plan,
    view: ModelView,
    prefix: str,
    selftest_images: NDArray[np.uint8] | None = None,
) -> dict[str, object]:
    """What the templates of C files are filled in with."""
    channels, height, width = net.input.shape
    facts: dict[str, object] = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "network": harmless(net.name),
        "method": harmless(net.method),
        "version": __version__,
        "digest": digest(net),
        "arena_bytes": chosen.arena_bytes,
        "channels": channels,
        "height": height,
        "width": width,
        "image_is_chw": int(net.input.layout == "CHW"),
        "input_bytes": int(np.prod(net.input.shape)),
        "input_layout": net.input.layout,
        "input_shape": "x".join(map(str, net.input.shape)),
        "outputs": int(np.prod(net.layers[-1].shape)),
        "output_layout": net.output_layout,
        "timesteps": net.timesteps,
        "output_scale": repr(float(net.output_scale)),
        "const_bytes": view.const_bytes,
        "bytes_on_8_bit": sum(array.bytes_on_8_bit for array in view.arrays),
        "layers_at_once": chosen.at_once,
        "layer_count": len(net.layers),
        "model": view,
        "known": _known_answers(net, selftest_images),
        "sources": [name for name in runtime_files() if name.endswith(".c")],
    }
    return facts | _calls(net, facts)


def c_files(facts: Mapping[str, object], prefix: str) -> dict[str, bytes]:
    """The sources and headers, those of the runtime below runtime/."""
    made = {name: render(template, facts) for name, template in _templates(prefix).items()}
    return made | {f"{RUNTIME}{name}": content for name, content in runtime_files().items()}


def _calls(net: FixedNet, facts: Mapping[str, object]) -> dict[str, object]:
    """What the caller sees of a network of images, or of streams."""
    kind = "image"
    running = f"{net.timesteps}; {facts['layers_at_once']} of {len(net.layers)} layers run for all"
    limits: dict[str, object] = {"running": f"{running} timesteps at once"}
    last = net.layers[-1]
    if net.is_stream:
        assert isinstance(last.neuron, Accumulate) and last.neuron.limit is not None
        kind, limit = "stream", last.neuron.limit
        most = max(abs(last.current.min), abs(last.current.max), 1)
        limits = {
            "limit": limit,
            "steps_to_limit": -(-limit // most),
            "running": "any number, one at a call",
        }
    names = {"declarations": f"{kind}_calls.h.j2", "definitions": f"{kind}_calls.c.j2"}
    rendered = {what: render(name, {**facts, **limits}) for what, name in names.items()}
    return limits | {what: text.decode("ascii") for what, text in rendered.items()}


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
    """The self-test's images or streams, in the user's layout, and the hashes of their traces."""
    if images is None:
        images = known_images(net, KNOWN_IMAGES)
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    ordered = images if net.input.layout == "CHW" else np.moveaxis(images, -3, -1)
    return {
        "count": len(images),
        "timesteps": images.shape[1] if net.is_stream else 1,
        "function": "snn_selftest_streams" if net.is_stream else "snn_selftest",
        "bytes": [wrapped([str(int(b)) for b in image.ravel()]) for image in ordered],
        "hashes": wrapped([f"0x{h:08X}u" for h in trace_hashes(net, trace)]),
    }
