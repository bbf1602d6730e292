"""What several commands begin with: a network from a model or an .snn file, and images for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from snngen import data, fixed_file
from snngen.cli.console import complain, warn
from snngen.cli.options import Conversion
from snngen.convert import METHODS, Options, resolve
from snngen.convert.options import check_options
from snngen.data.published import is_name
from snngen.errors import ConversionError, DataError, FileError, Problem
from snngen.evaluate import Ann, Evaluation
from snngen.files import read_file
from snngen.fixed import FixedNet
from snngen.graph import Graph, shapes
from snngen.ops import Shape
from snngen.pipeline import build, calibration_size, read_model
from snngen.targets.c.budget import Budget
from snngen.targets.c.packages import PACKAGES, unarranged
from snngen.targets.manifest import MANIFEST

SUFFIX = ".snn"
SYNTHETIC_SAMPLES = 32
SYNTHETIC_STREAMS, LEAST_STEPS = 8, 64
MAX_EMITTED_BYTES = 2**26
FAILED = 1  # the exit code where snngen worked, and the answer is no
LEAST_AGREEMENT, LEAST_LIKENESS = 0.9, 0.98  # below both the user is warned


@dataclass(frozen=True, eq=False)
class Obtained:
    """A network, and where the user named a model: the CNN that the model is, `source`, the CNN
    that the network was made of (another one with --without cmb), the images that it was calibrated
    on, and the options, "auto" resolved.
    """

    net: FixedNet
    ann: Ann | None
    source: Ann | None
    calibration: data.Bytes | None
    options: Options


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model about to be converted with `options`: `ann`, `source` and `calibration` as in
    Obtained.
    """

    ann: Ann
    source: Ann
    calibration: data.Bytes
    options: Options


def obtain(path: Path, conversion: Conversion, *, evaluated_on: str | None = None) -> Obtained:
    """Read the network in an .snn file, or convert the model in an ONNX file.

    Where the options name no calibration images, they come from the data that it is `evaluated_on`.
    """
    if path.suffix == SUFFIX:
        if conversion.given:
            rule = "applies to a model; this network is converted already"
            raise ConversionError(Problem(f"option {conversion.given[0]}", rule, str(path)))
        return Obtained(fixed_file.load(path), None, None, None, Options())
    p = prepare(path, conversion, evaluated_on=evaluated_on)
    net = build(p.source, p.calibration, p.options)
    return Obtained(net, p.ann, p.source, p.calibration, p.options)


def prepare(path: Path, conversion: Conversion, *, evaluated_on: str | None = None) -> Prepared:
    """Read the model in an ONNX file and the images to calibrate on."""
    options, normalisation = conversion.options, conversion.normalisation
    if options.method != "auto":
        check_options(options, METHODS)  # before anything takes time
    graph = read_model(path, input_shape=conversion.shape, output=conversion.output)
    options = resolve(graph, options)
    ann = Ann(graph, normalisation.preprocess(graph.input.shape[0]))
    count = calibration_size(graph, options) if conversion.samples is None else conversion.samples
    calibrate = conversion.calibrate
    if calibrate is None and not METHODS[options.method].quantised:
        calibrate = None if evaluated_on is None else evaluation_calibration(evaluated_on)
        if calibrate is None:
            warn_of_synthetic_images()
    images = _calibration_images(calibrate, count, graph.input.shape, options, conversion.fitting)
    source = ann
    if "cmb" in options.without:
        source = Ann(_without_epsilon(path, conversion), ann.preprocess)
    return Prepared(ann, source, images, options)


def _without_epsilon(path: Path, conversion: Conversion) -> Graph:
    return read_model(
        path, input_shape=conversion.shape, output=conversion.output, keep_epsilon=False
    )


def _calibration_images(
    source: str | None, count: int, shape: Shape, options: Options, fitting: data.Fitting
) -> data.Bytes:
    if source is not None:
        images = data.load(
            source,
            shape,
            split="train",
            limit=count,
            fitting=fitting,
            coding=options.coding,
            steps=options.timesteps if options.coding == "events" else 1,
        ).images
        if options.coding == "events" and images.shape[1] != options.timesteps:
            rule = f"a recording must have the network's {options.timesteps} timesteps"
            hint = f"add --timesteps {images.shape[1]}"
            raise DataError(Problem(source, rule, f"{images.shape[1]} timesteps", hint))
        return images
    if count < 1:
        raise ConversionError(Problem("option --samples", "must be at least 1", str(count)))
    images = data.synthetic(shape, count)
    return data.over_time(images, options.timesteps) if options.coding == "events" else images


def warn_of_synthetic_images() -> None:
    """Say that no training images were given."""
    warn(
        Problem(
            "calibration",
            "thresholds were balanced on synthetic images, which fit no real data",
            hint="give training images with --data",
        )
    )


def evaluation_calibration(source: str) -> str:
    """The calibration source of `evaluate` where none is given: the training part of `source`."""
    if is_name(source):
        return source.split(":")[0]
    if not source.endswith(".npz"):
        warn(
            Problem(
                "calibration",
                "thresholds were balanced on the images that the accuracy is measured on",
                source,
                "give training images with --calibrate",
            )
        )
    return source


def labelled_images(
    source: str, limit: int | None, net: FixedNet, fitting: data.Fitting
) -> data.Samples:
    """The images to evaluate on; DataError where a label names no output of `net`."""
    samples = samples_for(net, source, limit, fitting)
    loaded = samples.read(0, len(samples))
    data.check_labels(loaded, int(np.prod(net.layers[-1].shape)))
    return loaded


def samples_for(
    net: FixedNet, source: str, limit: int | None, fitting: data.Fitting
) -> data.StoredSamples:
    """The images, or streams, in the shape that `net` reads."""
    return data.open_samples(
        source,
        net.input.shape,
        limit=limit,
        fitting=fitting,
        coding=net.input.coding,
        steps=net.timesteps if net.is_stream else 1,
    )


def training_images(source: str, graph: Graph, fitting: data.Fitting) -> data.Samples:
    """All images to choose by; DataError where they are named as test images, or a label names no
    output of the model.
    """
    if source.endswith(":test"):
        rule = "what is chosen on test images cannot be tested on them any more"
        raise DataError(Problem("option --data", rule, source, f"give {source[:-5]}:train"))
    samples = data.load(source, graph.input.shape, split="train", fitting=fitting)
    data.check_labels(samples, int(np.prod(shapes(graph)[graph.output])))
    return samples


def verification_images(
    source: str | None, limit: int | None, net: FixedNet, fitting: data.Fitting
) -> data.Bytes:
    """The images or streams to verify on; without a source, half smooth and half noise."""
    if source is not None:
        samples = samples_for(net, source, limit, fitting)
        return samples.read(0, len(samples)).images
    shape = net.input.shape
    default = SYNTHETIC_STREAMS if net.is_stream else SYNTHETIC_SAMPLES
    count = default if limit is None else limit
    if count < 1:
        raise ConversionError(Problem("option --limit", "must be at least 1", str(count)))
    smooth = data.synthetic(shape, count - count // 2)
    if net.is_stream:
        steps = max(net.timesteps, LEAST_STEPS)
        noise = data.noisy_streams((count // 2, steps, *shape))
        return np.concatenate([data.over_time(smooth, steps), noise])
    noise = np.random.default_rng(1).integers(0, 256, (count // 2, *shape), dtype=np.uint8)
    return np.concatenate([smooth, noise])


def read_emitted(folder: Path, net: FixedNet) -> dict[str, bytes]:
    """The emitted C files in `folder` as they are now, edits included; FileError where they are not
    those of `net`.
    """
    try:
        manifest = json.loads(read_file(folder / MANIFEST, MAX_EMITTED_BYTES))
        names, found = [str(name) for name in manifest["files"]], manifest["network"]["digest"]
        if manifest["target"] != "c":
            rule = "holds no C: hardware is simulated as it would be emitted now"
            raise FileError(Problem(str(folder), rule, hint="leave out --out"))
        package = next(p for p in PACKAGES if p == manifest["options"]["package"])
    except (ValueError, TypeError, KeyError, StopIteration, RecursionError) as error:
        rule = "not the manifest of emitted files"
        raise FileError(
            Problem(str(folder / MANIFEST), rule, hint="emit the network again")
        ) from error
    if found != fixed_file.digest(net):
        rule = "the files were emitted from another network"
        raise FileError(Problem(str(folder), rule, hint="emit the network again"))
    files = {name: read_file(folder / name, MAX_EMITTED_BYTES) for name in names}
    plain = unarranged(files, package)
    return {MANIFEST: read_file(folder / MANIFEST, MAX_EMITTED_BYTES), **plain}


def warn_of_loss(agreement: float, likeness: float, options: Options) -> None:
    """Say so where the network does not do what the CNN does."""
    if agreement >= LEAST_AGREEMENT or likeness >= LEAST_LIKENESS:
        return
    hint = "check --scale, --mean and --std"
    if options.neuron == "if":
        hint += f"; try --neuron level, or --timesteps {4 * options.timesteps}"
    elif not METHODS[options.method].quantised:
        hint += f"; try --levels {2 * options.levels + 1}"
    warn(
        Problem(
            "the network",
            "gives other answers than the CNN that it was made of",
            f"the same class on {100 * agreement:.1f} % of the images",
            hint,
        )
    )


def warn_of_chance(found: Evaluation, outputs: int) -> None:
    """Say so where the CNN itself knows nothing: its input is probably not what it expects."""
    if found.ann_correct is None or outputs < 2 or found.ann_correct * outputs > 2 * found.images:
        return
    warn(
        Problem(
            "the CNN",
            "is hardly better than chance",
            f"{found.ann_correct} of {found.images} images right, {outputs} classes",
            "check --scale, --mean and --std, and that the labels belong to the images",
        )
    )


def enforce(budget: Budget, limits: tuple[int | None, int | None]) -> None:
    """Ends the command where `budget` exceeds the limits in bytes of RAM and flash."""
    problems = _over_limits(budget, *limits)
    if problems:
        complain(problems)
        raise typer.Exit(FAILED)


def _over_limits(budget: Budget, ram: int | None, flash: int | None) -> list[Problem]:
    """What of `budget` exceeds the limits in bytes."""
    return [
        Problem(
            f"option {option}",
            f"the network needs {needed:,} bytes of {what}, {needed - limit:,} more than allowed",
            ", ".join(f"{layer} {size:,}" for layer, size in largest[:5] if size),
            "fewer weight bits, fewer timesteps or level neurons need less",
        )
        for option, what, needed, limit, largest in (
            ("--max-ram", "RAM", budget.ram, ram, _largest_ram(budget)),
            ("--max-flash", "flash", budget.flash, flash, _largest_flash(budget)),
        )
        if limit is not None and needed > limit
    ]


def _largest_ram(budget: Budget) -> list[tuple[str, int]]:
    sizes = [
        (row.name, row.values_bytes + row.state_bytes + row.scratch_bytes) for row in budget.layers
    ]
    return sorted(sizes, key=lambda item: -item[1])


def _largest_flash(budget: Budget) -> list[tuple[str, int]]:
    return sorted(((r.name, r.const_bytes) for r in budget.layers), key=lambda item: -item[1])
