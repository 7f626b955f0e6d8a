"""Where the fused kernel's time goes: samples of bench/kernels by Linux' perf, told apart by function."""
import pathlib
import re
import shutil
import subprocess

# Functions of block.c or tiles.c, depthwise_lanes.c and depthwise_rows.c; the rest is splitting, windows, edges and last
# few steps. Where both layouts run the same function, each has its half of the samples.
STAGES = {
    'channels_first': {'pointwise': r'^by_rows', 'depthwise': r'^(tlk_depthwise_steps|rows_[148])'},
    'channels_last': {'pointwise': r'^by_lanes', 'depthwise': r'^tlk_depthwise_(lanes|direct)'},
}
SHARED = {'pointwise': r'^tlk_tiles_multiply', 'depthwise': r'^$'}
RESTS = {'channels_first': r'^(tlk_depthwise_first|fill_first|few_columns|output_finish|tlk_depthwise_rows)',
         'channels_last': r'^(tlk_depthwise_last|last_steps|fill_last)'}
SHARED_RESTS = r'^(put|multiply|split_\w+|turn|run)$'


def why_not():
    """Why there cannot be samples, or None."""
    return None if shutil.which('perf') else "no program perf (Debian package linux-perf)"


def _sample(program, name, folder):
    """({layout: (us, peak GFLOP/s)}, {function: samples})"""
    data = pathlib.Path(folder) / 'perf.data'
    command = ['perf', 'record', '-q', '-e', 'cpu-clock', '-F', '4000', '-o', data, program, '1', name]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = {layout: (float(us), float(peak)) for layout, us, peak in
             re.findall(r'(channels_\w+) +([\d.]+) us .* of ([\d.]+)', output)}
    command = ['perf', 'report', '-i', data, '--stdio', '--no-children', '-F', 'sample,symbol']
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return times, {function: int(n) for n, function in re.findall(r'^ *(\d+) +\[\.\] +(\S+)', output, re.M)}


def _count(samples, pattern):
    return sum(n for function, n in samples.items() if re.search(pattern, function))


def rows(program, block, folder):
    """For both layouts: time, and of both stages the part of the time and the GFLOP/s while it runs."""
    times, samples = _sample(program, block.name, folder)
    steps = block.flops / 2 / block.depth / (block.kernel + block.filters)
    flops = {'pointwise': 2 * steps * block.depth * block.filters, 'depthwise': 2 * steps * block.depth * block.kernel}
    found = []
    for layout, (us, peak) in times.items():
        counts = {stage: _count(samples, pattern) + _count(samples, SHARED[stage]) / 2
                  for stage, pattern in STAGES[layout].items()}
        total = sum(counts.values()) + _count(samples, RESTS[layout]) + _count(samples, SHARED_RESTS) / 2
        row = {'title': block.title, 'layout': layout, 'us': us, 'flops': block.flops, 'peak_gflops': peak,
               'stages': {}}
        for stage, n in counts.items():
            row['stages'][stage] = {'part': n / total, 'gflops': flops[stage] / (us * n / total) * 1e-3 if n else 0}
        found.append(row)
    return found
