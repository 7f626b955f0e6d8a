"""The engines that compare.py finds on this machine, and their drivers: a process for each engine and model (driver.c
describes what is said), stopped while it is not its turn, so that threads of one that spin cost the others nothing."""
import importlib.metadata
import importlib.util
import pathlib
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import numpy as np
from onnx import helper

HERE = pathlib.Path(__file__).parent


@dataclass
class Engine:
    name: str
    version: str
    command: list  # before THREADS MODEL ...
    forms: dict  # of a block: what a column is called -> form in blocks.py
    libraries: list  # what a program needs of it, the C library aside


class EngineError(Exception):
    pass


def _package_file(package, pattern):
    """A file of an installed Python package, without importing it; None if there is none."""
    spec = importlib.util.find_spec(package)
    found = sorted(pathlib.Path(spec.submodule_search_locations[0]).glob(pattern)) if spec else []
    return found[0] if found else None


def packaged_model(package, path):
    return _package_file(package, path)


def _stripped_size(path):
    with tempfile.NamedTemporaryFile() as file:
        done = subprocess.run(['strip', '-s', '-o', file.name, path], capture_output=True)
        return pathlib.Path(file.name if done.returncode == 0 else path).stat().st_size


def library_bytes(engine):
    return sum(map(_stripped_size, engine.libraries))


def tapline(build):
    """Tapline, or nothing to compare with."""
    driver = build / 'bench' / 'drive_tapline'
    if not driver.exists():
        sys.exit(f'error: no {driver}: cmake --build {build} --target bench')
    version = subprocess.run([build / 'tapline', '--version'], capture_output=True, text=True).stdout
    return Engine('Tapline', version.strip().removeprefix('tapline '), [driver, '-'],
                  {'3-D': 'conv3d', '4-D': 'conv4d', 'operator': 'custom'}, [(build / 'libtapline.so').resolve()])


def peak(build):
    return Engine('peak', '', [build / 'bench' / 'peak', '-'], {}, [])


def peers(build):
    """(engines that are here, [(name of one that is not, why)])"""
    found, absent = [], []
    pairs = {'3-D': 'conv3d', '4-D': 'conv4d'}
    for name, package, pattern, driver, others in [
            ('ONNX Runtime', 'onnxruntime', 'capi/libonnxruntime.so.*', 'drive_onnxruntime', []),
            ('OpenVINO', 'openvino', 'libs/libopenvino_c.so*', 'drive_openvino',
             ['libopenvino.so.*', 'libopenvino_intel_cpu_plugin.so', 'libopenvino_onnx_frontend.so.*', 'libtbb.so.*'])]:
        library = _package_file(package, pattern)
        if library is None:
            absent.append((name, f'no Python package {package}'))
        elif not (build / 'bench' / driver).exists():
            absent.append((name, f'no {driver} in {build}/bench; bench/README.md says how to build it'))
        else:
            libraries = [library] + [path for other in others for path in library.parent.glob(other)]
            found.append(Engine(name, importlib.metadata.version(package), [build / 'bench' / driver, library], pairs,
                                libraries))
    if importlib.util.find_spec('ai_edge_litert'):
        found.append(Engine('LiteRT', importlib.metadata.version('ai-edge-litert'),
                            [sys.executable, HERE / 'drive_litert.py'], {'1-D': 'keras1d', '2-D': 'keras2d'},
                            [_package_file('ai_edge_litert', 'libpywrap_litert_common.so')]))
    else:
        absent.append(('LiteRT', 'no Python package ai-edge-litert'))
    return found, absent


class Driver:
    """An engine with a model loaded. inputs: [(name, array)]. Times are in microseconds, memory in KiB."""

    def __init__(self, engine, threads, model, inputs, folder):
        arguments = [*engine.command, threads, model]
        for name, array in inputs:
            file = tempfile.NamedTemporaryFile(dir=folder, suffix='.raw', delete=False)
            with file:
                np.ascontiguousarray(array).tofile(file)
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            arguments += [name, kind, 'x'.join(map(str, array.shape)) or '-', file.name]
        self.folder = folder
        self.errors = tempfile.TemporaryFile(mode='w+')
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        try:
            self.load_us, self.first_us, self.load_kib, self.run_kib = self._answer('loaded')
        finally:
            for file in arguments[len(engine.command) + 5::4]:
                pathlib.Path(file).unlink()

    def _answer(self, word):
        words = self.process.stdout.readline().split()
        if not words or words[0] != word:
            self.close()
            self.errors.seek(0)
            lines = self.errors.read().strip().splitlines() or [f'ended with status {self.process.returncode}']
            raise EngineError(lines[-1].removeprefix('error: '))
        self.process.send_signal(signal.SIGSTOP)
        return [float(word) for word in words[1:]]

    def _ask(self, line, word):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        return self._answer(word)

    def run(self, milliseconds):
        """(least, median)"""
        return tuple(self._ask(f'run {milliseconds}', 'ran')[:2])

    def output(self, dtype='f'):
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            self._ask(f'output {file.name}', 'wrote')
            return np.fromfile(file.name, dtype)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
