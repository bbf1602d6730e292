"""Static analysis of emitted C and its runtime: gcc -fanalyzer, clang-tidy, cppcheck, MISRA C:2012.

    python -m tests.assurance.analyse

Prints every finding, and exits with 1 if there is one. What clang-tidy checks is said in
.clang-tidy. Of MISRA's rules the required and mandatory ones count that cppcheck's addon checks;
deviations are the table of docs/misra.md, rule by rule and file by file, and one that no longer
occurs is a finding as well.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from snngen.targets.c.build import write_tree
from snngen.targets.c.emit import emit
from tests.networks import level_showcase, spiking_showcase

ROOT = Path(__file__).parents[2]
DEVIATIONS = ROOT / "docs/misra.md"
TOOLS = ("gcc", "clang-tidy", "cppcheck")
ADDONS = (Path("/usr/lib/x86_64-linux-gnu/cppcheck/addons"), Path("/usr/share/cppcheck/addons"))
INCLUDES = ["-I.", "-Iruntime"]
ADVISORY = {  # of MISRA C:2012; all others are required or mandatory
    "1.2", "2.3", "2.4", "2.5", "2.6", "2.7", "4.2", "5.9", "8.7", "8.9", "8.11", "8.13", "10.5",
    "11.4", "11.5", "12.1", "12.3", "12.4", "13.3", "13.4", "15.1", "15.4", "15.5", "17.5", "17.8",
    "18.4", "18.5", "19.2", "20.1", "20.5",
}  # fmt: skip
Findings = list[str]


def files_to_analyse() -> dict[str, bytes]:
    """Two networks that name every operator, with one runtime. The harness is not the user's."""
    nets = {"spiking": spiking_showcase(), "level": level_showcase()}
    files: dict[str, bytes] = {}
    for prefix, net in nets.items():
        emitted = emit(net, prefix=prefix)
        files |= {n: c for n, c in emitted.items() if n.endswith((".c", ".h"))}
    del files["example_main.c"]
    return files


def gcc_analyzer(folder: Path, sources: list[str]) -> Findings:
    """Paths through a function on which memory or values are misused, as gcc sees them."""
    said = _run(["gcc", "-std=c99", "-O2", "-fanalyzer", *INCLUDES, "-c", *sources], folder)
    return re.findall(r"^.*(?:warning|error):.*$", said, re.M)


def clang_tidy(folder: Path, sources: list[str]) -> Findings:
    """What .clang-tidy lists."""
    config = f"--config-file={ROOT / '.clang-tidy'}"
    said = _run(["clang-tidy", "--quiet", config, *sources, "--", "-std=c99", *INCLUDES], folder)
    return re.findall(r"^.*(?:warning|error):.*$", said, re.M)


def cppcheck(folder: Path, sources: list[str]) -> Findings:
    """Its warnings, style, performance and portability."""
    enabled = "--enable=warning,style,performance,portability"
    said = _run(
        ["cppcheck", "--std=c99", "--quiet", "--inline-suppr", enabled, *INCLUDES, *sources], folder
    )
    return re.findall(r"^\S+:\d+:\d+: .*$", said, re.M)


def misra(folder: Path, sources: list[str]) -> dict[tuple[str, str], list[int]]:
    """By rule and file that breaks it: in which lines."""
    portable = ["--std=c99", "--quiet", "--max-configs=1"]  # without vectors, DSP or AVR
    _run(["cppcheck", *portable, "--dump", *INCLUDES, *sources], folder)
    addon = next(path for path in (at / "misra.py" for at in ADDONS) if path.exists())
    dumps = [f"{source}.dump" for source in sources]
    said = _run([sys.executable, str(addon), "--no-summary", "-q", *dumps], folder)
    found: dict[tuple[str, str], set[int]] = {}
    for file, line, rule in re.findall(r"^\[(.*?):(\d+)\].*\[misra-c2012-([\d.]+)\]", said, re.M):
        if rule not in ADVISORY:
            found.setdefault((rule, Path(file).name), set()).add(int(line))
    return {key: sorted(lines) for key, lines in sorted(found.items())}


def listed_deviations() -> set[tuple[str, str]]:
    """The (rule, file) pairs of docs/misra.md."""
    rows = re.findall(r"^\| ([\d.]+) \| (.*?) \|", DEVIATIONS.read_text(), re.M)
    return {(rule, file) for rule, files in rows for file in re.findall(r"`(.*?)`", files)}


def misra_deviations(folder: Path, sources: list[str]) -> Findings:
    """Where docs/misra.md and the code differ."""
    found, listed = misra(folder, sources), listed_deviations()
    new = [
        f"{file}:{','.join(map(str, lines))}: rule {rule} is broken, which {DEVIATIONS.name} does"
        " not say"
        for (rule, file), lines in found.items()
        if (rule, file) not in listed
    ]
    gone = sorted(listed - found.keys())
    return new + [f"{DEVIATIONS.name}: rule {rule} is not broken in {file}" for rule, file in gone]


ANALYSES = {
    "gcc -fanalyzer": gcc_analyzer,
    "clang-tidy": clang_tidy,
    "cppcheck": cppcheck,
    "misra": misra_deviations,
}


def analyse(name: str, planted: Mapping[str, bytes] | None = None) -> Findings:
    """What analysis `name` finds in emitted files; or in those alone that are `planted` there."""
    files = files_to_analyse() | dict(planted or {})
    sources = sorted(n for n in planted or files if n.endswith(".c"))
    with TemporaryDirectory(prefix="snngen-") as folder:
        write_tree(files, Path(folder))
        return ANALYSES[name](Path(folder), sources)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def main() -> None:
    count = 0
    for name in ANALYSES:
        findings = analyse(name)
        count += len(findings)
        print(f"{name}: {len(findings)} findings", *findings, sep="\n    ", flush=True)
    sys.exit(count > 0)


if __name__ == "__main__":
    main()
