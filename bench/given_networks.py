"""Networks trained by others, from ONNX to verified C, on whole test sets.

    python -m bench.given_networks [NAME ...]

For each network: the float import against onnxruntime, the CNN's accuracy, that of its spiking
network with int8 weights as `if` (T = 16) and `level` (N = 15), and the emitted C against the
golden model: outputs and spike counts on every test image, every spike and membrane at every
timestep on 100. Options are snngen's defaults, calibration is on training images. Needs SNNGEN_DATA
and SNNGEN_MODELS. Writes bench/results/given_networks.json and docs/benchmarks/given_networks.md;
with names, only those rows are measured anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from bench.networks import MNIST, ROOT
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann, evaluate
from snngen.pipeline import build, calibration_size, read_model
from snngen.verify import verify

RESULTS = ROOT / "bench/results/given_networks.json"
TABLE = ROOT / "docs/benchmarks/given_networks.md"
TRACED = 100

HEADER = f"""# Networks trained by others

Printed by `python -m bench.given_networks`; the top of that file says what is measured. Accuracy
in % on all 10,000 test images, int8 weights, default options. *Import*: the largest difference from
onnxruntime, relative to the range of the outputs. *C = golden*: outputs and spike counts on all
images, every spike and membrane at every timestep on the first {TRACED}. Thresholds are set on
training images; the default options themselves were settled with these networks' test results in
view (docs/decisions/0007-thresholds.md).

| network | import | CNN | `if` T=16 | loss | `level` N=15 | loss | C = golden |
|---|---|---|---|---|---|---|---|"""


def measure(name: str) -> dict[str, object]:
    network = MNIST[name]
    graph = read_model(network.path)
    ann = Ann(graph, network.normalisation.preprocess(graph.input.shape[0]))
    test = load(network.data, graph.input.shape)
    row: dict[str, object] = {
        "network": name,
        "published": network.published,
        "onnxruntime": against_onnxruntime(ann, network.path, test.images),
    }
    for neuron in ("if", "level"):
        options = Options(neuron=neuron)
        count = calibration_size(graph, options)
        training = load(network.data, graph.input.shape, split="train", limit=count)
        net = build(ann, training.images, options)
        found = evaluate(net, test.images, test.labels, ann=ann)
        assert found.correct is not None and found.ann_correct is not None
        row["cnn"] = found.ann_correct / found.images * 100
        same = verify(net, test.images, full_trace_images=TRACED)
        row[neuron] = {
            "accuracy": int(found.correct[-1]) / found.images * 100,
            "synops": found.synops,
            "calibrated_on": count,
            "verified": str(same),
            "equal": same.is_equal,
        }
        print(name, neuron, row["cnn"], row[neuron], flush=True)
    return row


def against_onnxruntime(ann: Ann, file: Path, images: np.ndarray) -> float:
    """The largest difference of any output on any image, relative to the range of the outputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = ann.graph.input.model_shape
    values = ann.preprocess.apply(images)
    if ann.graph.input.layout == "HWC":
        values = values.transpose(0, 2, 3, 1)
    wanted = []
    for k in range(0, len(values), 1 if source.shape[0] == 1 else 500):
        part = values[k : k + (1 if source.shape[0] == 1 else 500)].reshape(-1, *shape)
        wanted.append(session.run(None, {source.name: part})[0])
    want = np.concatenate(wanted)
    got = ended_like(want, ann.outputs(images))
    return float(np.abs(want - got).max() / np.ptp(want))


def ended_like(want: np.ndarray, got: np.ndarray) -> np.ndarray:
    """`got` with the (log-)softmax that the model ends in, which snngen drops."""
    shifted = got - got.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    if np.allclose(want.sum(1), 1, atol=1e-3):
        return np.exp(logs)
    if np.allclose(np.exp(want).sum(1), 1, atol=1e-3):
        return logs
    return got


def table(rows: list[dict]) -> str:
    lines = [HEADER]
    for row in rows:
        spikes, level = row["if"], row["level"]
        equal = "yes" if spikes["equal"] and level["equal"] else "NO"
        numbers = [row["cnn"]]
        for accuracy in (spikes["accuracy"], level["accuracy"]):
            numbers += [accuracy, row["cnn"] - accuracy]
        cells = [row["network"], f"{row['onnxruntime']:.1e}", *(f"{x:.2f}" for x in numbers), equal]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    names = sys.argv[1:] or list(MNIST)
    known = {row["network"]: row for row in json.loads(RESULTS.read_text())}
    known |= {name: measure(name) for name in names}
    rows = [known[name] for name in MNIST if name in known]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    TABLE.write_text(table(rows))
    print(TABLE.read_text())


if __name__ == "__main__":
    main()
