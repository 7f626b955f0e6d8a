#!/usr/bin/env python3
"""Times Tapline and every other engine that is installed, in turns, within one run.

    compare.py                          the blocks of blocks.py, each in all forms
    compare.py --networks DIR...        folders of networks in the layout of ONNX' backend tests; models/ is one
    compare.py --packaged               models that come inside Python packages, of those that are installed
    compare.py MODEL...                 any model
    compare.py --all --networks ../data --markdown docs/performance.md --svg docs/performance.svg

For each model every engine gets its turn in each of several rounds, and so does a program that measures what the
machine can do at most; a time is the least of all runs. Tapline's slowest form counts, and of the others the fastest.
bench/README.md says what has to be installed."""
import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

import blocks
import chart
import report
import stages
from engines import Driver, EngineError, library_bytes, packaged_model, peak, peers, tapline

ROOT = pathlib.Path(__file__).parent.parent
LOADS = 5

# What comes in Python packages: title, package, file, inputs (a shape, or a value). The audio is noise: no model here
# takes another way for it.
STATE = {'h': (1, 1, 128), 'c': (1, 1, 128)}
PACKAGED = [
    ('silero-vad, 16 kHz or 8', 'silero_vad', 'data/silero_vad.onnx',
     {'input': (1, 576), 'state': (2, 1, 128), 'sr': np.int64(16000)}),
    ('silero-vad, half', 'silero_vad', 'data/silero_vad_half.onnx', {'input': (1, 576), 'state': (2, 1, 128)}),
    ('silero-vad, 32 windows', 'silero_vad', 'data/silero_vad_16k_sequence.onnx', {'input': (32, 576), **STATE}),
    ('faster-whisper, VAD, 32 windows', 'faster_whisper', 'assets/silero_vad_v6.onnx', {'input': (32, 576), **STATE}),
    ('rapidocr, detection', 'rapidocr_onnxruntime', 'models/ch_PP-OCRv4_det_infer.onnx', {'x': (1, 3, 320, 320)}),
    ('rapidocr, recognition', 'rapidocr_onnxruntime', 'models/ch_PP-OCRv4_rec_infer.onnx', {'x': (1, 3, 48, 320)}),
    ('rapidocr, direction', 'rapidocr_onnxruntime', 'models/ch_ppocr_mobile_v2.0_cls_infer.onnx',
     {'x': (1, 3, 48, 192)}),
    ('basic-pitch', 'basic_pitch', 'saved_models/icassp_2022/nmp.onnx',
     {'serving_default_input_2:0': (1, 43844, 1)}),
]


# ---- Models and their inputs

def graph_inputs(model):
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def random_array(shape, element_type):
    dtype = helper.tensor_dtype_to_np_dtype(element_type)
    if np.issubdtype(dtype, np.floating):
        return np.random.default_rng(1).standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)


def made_inputs(path, dims, given):
    """Random inputs; `dims` sizes of symbols (1 where none is given), `given` arrays or shapes by input name."""
    inputs = []
    for value in graph_inputs(onnx.load(path, load_external_data=False)):
        kind = value.type.tensor_type
        array = given.get(value.name)
        if array is None:
            array = tuple(d.dim_value if d.HasField('dim_value') else dims.get(d.dim_param, 1)
                          for d in kind.shape.dim)
        if isinstance(array, tuple):
            array = random_array(array, kind.elem_type)
        inputs.append((value.name, np.asarray(array)))
    return inputs


def case_inputs(folder):
    """A test case's inputs; of a batch whose size is free the first, as these networks are used."""
    inputs = []
    for i, value in enumerate(graph_inputs(onnx.load(folder / 'model.onnx', load_external_data=False))):
        array = numpy_helper.to_array(onnx.load_tensor(folder / 'test_data_set_0' / f'input_{i}.pb'))
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].HasField('dim_value'):
            array = array[:1]
        inputs.append((value.name, array))
    return inputs


def network_cases(folders):
    found = []
    for folder in folders:
        for path in sorted(pathlib.Path(folder).glob('*/model.onnx')):
            inputs = case_inputs(path.parent)
            shape = ', '.join('x'.join(map(str, array.shape)) for _, array in inputs)
            found.append((f'{path.parent.name} ({shape})', path, inputs))
    return found


def model_title(path):
    path = pathlib.Path(path)
    return path.resolve().parent.name if path.name == 'model.onnx' else path.stem


def weight_bytes(path):
    graph = onnx.load(path).graph
    tensors = list(graph.initializer) + [a.t for n in graph.node if n.op_type == 'Constant' for a in n.attribute]
    return sum(numpy_helper.to_array(tensor).nbytes for tensor in tensors)


# ---- Measuring

def agree(y, reference):
    return y.shape == reference.shape and np.allclose(y, reference, rtol=1e-3,
                                                      atol=1e-3 * np.abs(reference).max(initial=0))


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.build = pathlib.Path(options.build)
        self.models = self.build / 'bench' / 'models'
        self.models.mkdir(parents=True, exist_ok=True)
        self.tapline = tapline(self.build)
        self.peers, self.absent = peers(self.build)
        for name in options.without:
            self.absent += [(p.name, 'not wanted') for p in self.peers if p.name == name]
            self.peers = [p for p in self.peers if p.name != name]
        self.engines = [*self.peers, self.tapline]

    def flops(self, path, inputs):
        """Of one run, as `tapline inspect` counts them with these inputs' dimensions; None where it cannot, as in
        graphs within a graph."""
        graph = onnx.load(path, load_external_data=False)
        if any(attribute.HasField('g') for node in graph.graph.node for attribute in node.attribute):
            return None
        dims = {}
        for value, (_, array) in zip(graph_inputs(graph), inputs):
            for dim, size in zip(value.type.tensor_type.shape.dim, array.shape):
                if dim.dim_param:
                    dims[dim.dim_param] = size
        arguments = [x for name, size in dims.items() for x in ('--dim', f'{name}={size}')]
        done = subprocess.run([self.build / 'tapline', 'inspect', path, '--json', '-', *arguments],
                              capture_output=True, text=True)
        return json.loads(done.stdout).get('flops') if done.returncode == 0 else None

    def row(self, title, contenders, flops, common=lambda form, y: y):
        """contenders: [(engine, column, form, threads, model, inputs)]. A row's times are times[engine][column]."""
        row = {'title': title, 'flops': flops, 'times': {}, 'medians': {}, 'failed': {}, 'peak_gflops': None}
        drivers, reference = [], None
        meter = Driver(peak(self.build), self.options.threads, '-', [], self.folder)
        try:
            for engine, column, form, threads, model, inputs in contenders:
                self.progress(f'{title}: loading into {engine.name}')
                try:
                    driver = Driver(engine, threads, model, inputs, self.folder)
                except EngineError as error:
                    row['failed'][f'{engine.name} {column}'.strip()] = str(error)
                    continue
                drivers.append((engine.name, column, driver))
                y = common(form, driver.output())
                reference = y if reference is None else reference
                if not agree(y, reference):
                    row['failed'][f'{engine.name} {column}'.strip()] = 'its output is not that of the first engine'
            best = math.inf
            for number in range(self.options.rounds):
                self.progress(f'{title}: round {number + 1} of {self.options.rounds}')
                best = min(best, meter.run(self.options.ms / 4)[0])
                turn = number % max(1, len(drivers))
                for name, column, driver in drivers[turn:] + drivers[:turn]:
                    least, median = driver.run(self.options.ms)
                    times = row['times'].setdefault(name, {})
                    times[column] = min(least, times.get(column, math.inf))
                    row['medians'].setdefault(name, {}).setdefault(column, []).append(median)
            row['peak_gflops'] = meter.output('d')[0] / best * 1e-3
        finally:
            for driver in [meter] + [d for _, _, d in drivers]:
                driver.close()
        for columns in row['medians'].values():
            for column, medians in columns.items():
                columns[column] = sorted(medians)[len(medians) // 2]
        for name, message in row['failed'].items():
            self.progress('')
            print(f'{title}: {name}: {message}', file=sys.stderr)
        return row

    def block_contenders(self, block, engines, threads):
        contenders = []
        for engine in engines:
            for column, form in engine.forms.items():
                self.progress(f'{block.name}: writing {form}')
                path = blocks.write_block(block, form, self.models)
                contenders.append((engine, column, form, threads, path, [('x', blocks.block_input(block, form))]))
        return contenders

    def block_row(self, block):
        return self.row(block.title, self.block_contenders(block, self.engines, self.options.threads), block.flops,
                        lambda form, y: blocks.channels_first(block, form, y))

    def fused(self, path):
        """The model with its separable convolutions written as the operator; None if it has none."""
        target = pathlib.Path(self.folder) / f'{abs(hash(str(path)))}.onnx'
        done = subprocess.run([self.build / 'tapline', 'fuse', path, '-o', target], capture_output=True)
        if done.returncode != 0:
            return None
        nodes = onnx.load(target, load_external_data=False).graph.node
        return target if any(node.domain == 'tapline' for node in nodes) else None

    def model_contenders(self, path, inputs, engines, threads):
        """Engines that read ONNX files; Tapline a second time where the file has another form for it."""
        contenders = [(engine, '', '', threads, path, inputs) for engine in engines if '3-D' in engine.forms]
        fused = self.fused(path)
        return contenders + [(engine, 'operator', '', threads, fused, inputs) for engine in engines
                             if fused and 'operator' in engine.forms]

    def model_row(self, title, path, inputs):
        return self.row(title, self.model_contenders(path, inputs, self.engines, self.options.threads),
                        self.flops(path, inputs))

    def threads_row(self, first, contenders_of, common=lambda form, y: y):
        """The row again with twice the threads, and Tapline's with as many as before in turns with it."""
        few, many = self.options.threads, 2 * self.options.threads
        alone = replace(self.tapline, name=f'Tapline, {few}')
        row = self.row(first['title'], contenders_of(self.engines, many) + contenders_of([alone], few),
                       first['flops'], common)
        row['threads'] = [few, many]
        return row

    def load_rows(self, title, path, inputs):
        """Each engine several times in turns, a fresh process each: least time, and the median of memory."""
        row = {'title': title, 'weights': weight_bytes(path), 'engines': {}}
        starts = {}
        for number in range(LOADS):
            self.progress(f'{title}: loading, {number + 1} of {LOADS}')
            for engine in (engine for engine in self.engines if '3-D' in engine.forms):
                try:
                    driver = Driver(engine, self.options.threads, path, inputs, self.folder)
                except EngineError:
                    continue
                driver.close()
                starts.setdefault(engine.name, []).append(driver)
        for name, drivers in starts.items():
            kib = sorted(driver.load_kib for driver in drivers)
            row['engines'][name] = {'load_us': min(d.load_us for d in drivers), 'load_kib': kib[len(kib) // 2]}
        return row

    def scaling_row(self, path, length):
        self.progress(f'length {length}')
        x = np.random.default_rng(1).standard_normal((1, 1, length)).astype('f')
        driver = Driver(self.tapline, self.options.threads, path, [('x', x)], self.folder)
        least, median = driver.run(4 * self.options.ms)
        driver.close()
        return {'length': length, 'us': least, 'median_us': median, 'kib': driver.run_kib}

    def progress(self, text):
        if sys.stderr.isatty():
            print(f'\r\033[K{text}', end='', file=sys.stderr, flush=True)


# ---- The machine and the command line

def machine():
    info = {line.split(':')[0].strip(): line.split(':', 1)[1].strip()
            for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines() if ':' in line}
    caches = []
    for index in sorted(pathlib.Path('/sys/devices/system/cpu/cpu0/cache').glob('index*')):
        level, kind, size = ((index / name).read_text().strip() for name in ('level', 'type', 'size'))
        if kind != 'Instruction':
            caches.append(f'L{level} {size}')
    return {'processor': info.get('model name', platform.processor()), 'cores': os.cpu_count(),
            'caches': ', '.join(caches), 'kernel': platform.release()}


def pair(text):
    name, equals, value = text.partition('=')
    if not equals:
        raise argparse.ArgumentTypeError(f'{text} is not NAME=VALUE')
    return name, value


def parse(arguments):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('models', nargs='*', metavar='MODEL', help='.onnx files')
    p.add_argument('--blocks', nargs='*', metavar='NAME', help='the blocks, or some of them')
    p.add_argument('--networks', nargs='+', default=[], metavar='DIR', help='folders of networks')
    p.add_argument('--packaged', action='store_true', help='the models inside installed Python packages')
    p.add_argument('--scaling', type=int, nargs='?', const=10 ** 7, metavar='SAMPLES',
                   help='time and memory of Tapline for 100 samples, 1000, ... up to SAMPLES (default 10 million)')
    p.add_argument('--load', action='store_true', help="the models' load time and memory on top as well")
    p.add_argument('--double', action='store_true', help='whatever runs over 1 ms again with twice the threads')
    p.add_argument('--stages', action='store_true', help="the parts of the fused kernel's time on the blocks, by perf")
    p.add_argument('--all', action='store_true', help='all of these; the networks of models/, too')
    p.add_argument('--dim', type=pair, action='append', default=[], metavar='NAME=N', help="a symbol's size in MODEL")
    p.add_argument('--input', type=pair, action='append', default=[], metavar='NAME=NPY', help='an input of MODEL')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--rounds', type=int, default=8, help='turns of each engine (default 8)')
    p.add_argument('--ms', type=float, default=50, help='milliseconds of a turn (default 50; three runs at least)')
    p.add_argument('--without', action='append', default=[], metavar='ENGINE', help='leave an engine out, by its name')
    p.add_argument('--build', default=ROOT / 'build', help='where the target bench was built (default: build)')
    p.add_argument('--json', metavar='FILE', help='write everything measured')
    p.add_argument('--svg', metavar='FILE', help='draw the blocks and networks')
    p.add_argument('--markdown', metavar='FILE', help='put the tables between the two marks in FILE')
    p.add_argument('--from', dest='source', metavar='JSON', help='measure nothing: show what --json wrote')
    options = p.parse_intermixed_args(arguments)
    if options.all:
        options.packaged = options.load = options.double = options.stages = True
        options.scaling = options.scaling or 10 ** 7
        options.networks = [ROOT / 'models', *options.networks]
        options.blocks = options.blocks or []
    elif options.blocks is None and not (options.models or options.networks or options.packaged or options.scaling or
                                         options.stages):
        options.blocks = []
    return options


def measure(options, folder):
    bench = Bench(options, folder)
    result = {'date': datetime.date.today().isoformat(), 'machine': machine(), 'threads': options.threads,
              'rounds': options.rounds, 'ms': options.ms, 'engines': {e.name: e.version for e in bench.engines},
              'library_bytes': {e.name: library_bytes(e) for e in bench.engines},
              'columns': {e.name: list(e.forms) for e in bench.engines}, 'absent': bench.absent,
              'blocks': [], 'networks': [], 'packaged': [], 'models': [], 'double': [], 'load': [], 'scaling': [],
              'stages': []}
    wanted = options.blocks
    chosen = [b for b in blocks.BLOCKS if wanted is not None and (not wanted or b.name in wanted)]
    for block in chosen:
        row = bench.block_row(block)
        result['blocks'].append(row)
        if options.double and report.slowest(row) and report.slowest(row) > 1000:
            result['double'].append(bench.threads_row(
                row, lambda engines, n, block=block: bench.block_contenders(block, engines, n),
                lambda form, y, block=block: blocks.channels_first(block, form, y)))
    given = {name: np.load(path) for name, path in options.input}
    models = {'networks': network_cases(options.networks), 'packaged': [],
              'models': [(model_title(path), path, made_inputs(path, {n: int(v) for n, v in options.dim}, given))
                         for path in options.models]}
    for title, package, file, inputs in PACKAGED if options.packaged else []:
        path = packaged_model(package, file)
        if path is None:
            result['absent'].append((title, f'no Python package {package}'))
        else:
            models['packaged'].append((title, path, made_inputs(path, {}, inputs)))
    for section, cases in models.items():
        for title, path, inputs in cases:
            row = bench.model_row(title, path, inputs)
            result[section].append(row)
            if options.double and report.slowest(row) and report.slowest(row) > 1000:
                result['double'].append(bench.threads_row(
                    row, lambda engines, n, path=path, inputs=inputs: bench.model_contenders(path, inputs, engines, n)))
            if options.load:
                result['load'].append(bench.load_rows(title, path, inputs))
    if options.stages and stages.why_not():
        result['absent'].append(("the kernel's stages", stages.why_not()))
    elif options.stages:
        for block in chosen or blocks.BLOCKS:
            bench.progress(f'{block.name}: stages')
            result['stages'] += stages.rows(bench.build / 'bench' / 'kernels', block, folder)
    if options.scaling:
        path = blocks.write_free_length(bench.models)
        length = 100
        while length <= options.scaling:
            result['scaling'].append(bench.scaling_row(path, length))
            length *= 10
    bench.progress('')
    return result


def main():
    options = parse(sys.argv[1:])
    if options.source:
        result = json.loads(pathlib.Path(options.source).read_text())
    else:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(options, folder)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1))
    if options.svg:
        pathlib.Path(options.svg).write_text(chart.svg(result))
    text = report.markdown(result, options.svg, options.markdown)
    if options.markdown:
        report.replace(pathlib.Path(options.markdown), text)
    else:
        print(text)
    failed = (name for section in report.SECTIONS for row in result[section] for name in row['failed'])
    return 1 if any(name.startswith(report.OURS) for name in failed) else 0


if __name__ == '__main__':
    sys.exit(main())
