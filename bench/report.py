"""What compare.py measured, as tables."""
import math
import os
import pathlib

SECTIONS = ['blocks', 'networks', 'packaged', 'models', 'double']
BEGIN = '<!-- measured: begin (bench/compare.py --markdown writes up to the end mark) -->'
END = '<!-- measured: end -->'
OURS = 'Tapline'


# ---- Figures of a row

def slowest(row):
    """Of Tapline's forms, in us; None if one of them failed: then there is no such figure."""
    if any(name.startswith(OURS) for name in row['failed']) or OURS not in row['times']:
        return None
    return max(row['times'][OURS].values())


def fastest_peer(row):
    times = [us for name, columns in row['times'].items() if not name.startswith(OURS) for us in columns.values()]
    return min(times, default=None)


def ahead(row):
    ours, best = slowest(row), fastest_peer(row)
    return best / ours if ours and best else None


def over(row, engine, column):
    ours, theirs = slowest(row), row['times'].get(engine, {}).get(column)
    return theirs / ours if ours and theirs else None


def at_peak(row):
    """How long the row would take at the machine's peak, in us."""
    return row['flops'] / row['peak_gflops'] * 1e-3 if row['flops'] else None


def share(row, us):
    return at_peak(row) / us if us and row['flops'] else None


def mean(values):
    values = [value for value in values if value]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


# ---- Text

def us(value):
    return '' if value is None else f'{value:.1f}' if value < 99.95 else f'{value:.0f}'


def times(value):
    return '' if value is None else f'{value:.2f}x'


def percent(value):
    return '' if value is None else f'{100 * value:.0f}%'


def table(head, rows):
    """Markdown that reads well as text, too: the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(head))]
    line = [[text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths))]
            for row in cells]
    rule = ['-' * w if i == 0 else '-' * (w - 1) + ':' for i, w in enumerate(widths)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in [line[0], rule, *line[1:]])


def bold_best(row, columns):
    """Times of (engine, column) pairs; the fastest peer's in bold."""
    best = fastest_peer(row)
    cells = []
    for engine, column in columns:
        value = row['times'].get(engine, {}).get(column)
        cells.append(f'**{us(value)}**' if value is not None and value == best else us(value) or '-')
    return cells


def blocks(result):
    columns = [(engine, column) for engine, forms in result['columns'].items() for column in forms]
    rows = [[row['title'], *bold_best(row, columns), times(ahead(row)), percent(share(row, slowest(row))),
             us(at_peak(row))] for row in result['blocks']]
    figures = [f'Geometric mean against the best peer: **{times(mean(map(ahead, result["blocks"]))) or "-"}** '
               f'(at the machine\'s peak it would be '
               f'{times(mean(fastest_peer(r) / at_peak(r) for r in result["blocks"] if fastest_peer(r))) or "-"})']
    if 'ONNX Runtime' in result['columns']:
        value = mean(over(row, 'ONNX Runtime', '3-D') for row in result['blocks'])
        figures.append(f'against ONNX Runtime\'s 3-D form: **{times(value) or "-"}**')
    head = ['block', *(f'{engine} {column}' for engine, column in columns), 'ahead', 'of peak', 'at peak']
    return table(head, rows) + '\n\n' + '; '.join(figures) + '.'


def networks(result, section):
    columns = [(engine, column) for engine in result['columns'] for column in ['', 'operator']
               if any(column in row['times'].get(engine, {}) for row in result[section])]
    rows = [[row['title'], *bold_best(row, columns), times(ahead(row)),
             percent(share(row, slowest(row))), us(at_peak(row))] for row in result[section]]
    engines = [f'{engine} {column}'.strip() for engine, column in columns]
    text = table(['model', *engines, 'ahead', 'of peak', 'at peak'], rows)
    return text + f'\n\nGeometric mean against the best peer: **{times(mean(map(ahead, result[section]))) or "-"}**.'


def double(result):
    rows = []
    for row in result['double']:
        few = row['times'].get(f'{OURS}, {row["threads"][0]}')
        many = slowest(row)
        rows.append([row['title'], us(max(few.values()) if few else None), us(many),
                     times(max(few.values()) / many if few and many else None), us(fastest_peer(row)),
                     times(ahead(row))])
    few, many = result['double'][0]['threads']
    head = ['run', f'Tapline, {few}', f'Tapline, {many}', 'faster', f'best peer, {many}', 'ahead']
    return table(head, rows)


def load(result):
    engines = [engine for engine in result['columns'] if any(engine in row['engines'] for row in result['load'])]
    rows = []
    for row in result['load']:
        cells = [row['title'], f'{row["weights"] / 2**20:.2f}']
        for engine in engines:
            found = row['engines'].get(engine)
            cells += [f'{found["load_us"] * 1e-3:.1f}', f'{found["load_kib"] / 1024:.1f}'] if found else ['-', '-']
        rows.append(cells)
    head = ['model', 'weights, MiB', *(f'{engine}, {unit}' for engine in engines for unit in ('ms', 'MiB'))]
    sizes = ', '.join(f'{name} {size * 1e-6:.1f} MB' for name, size in result['library_bytes'].items())
    return table(head, rows) + f'\n\nLibraries, stripped, with those they need beside the C library: {sizes}.'


def scaling(result):
    rows = [[f'{row["length"]:,}', us(row['us']), f'{row["us"] * 1e3 / row["length"]:.2f}',
             f'{row["kib"] / 1024:.1f}', f'{row["kib"] * 1024 / row["length"]:.0f}'] for row in result['scaling']]
    return table(['samples', 'us', 'ns a sample', 'MiB on top', 'bytes a sample'], rows)


def stages(result):
    rows = []
    for row in result['stages']:
        cells = [row['title'], row['layout'], us(row['us']), percent(share(row, row['us']))]
        for stage in row['stages'].values():
            cells += [percent(stage['part']), percent(stage['gflops'] / row['peak_gflops'])]
        rows.append([*cells, percent(1 - sum(stage['part'] for stage in row['stages'].values()))])
    return table(['block', 'layout', 'us', 'of peak', 'pointwise: time', 'of peak', 'depthwise: time', 'of peak',
                  'rest: time'], rows)


def heading(result):
    machine = result['machine']
    engines = ', '.join(f'{name} {version}' for name, version in result['engines'].items())
    left_out = ''.join(f'\nLeft out: {name} ({why}).' for name, why in result['absent'])
    peaks = [row['peak_gflops'] for section in SECTIONS[:-1] for row in result[section] if row['peak_gflops']]
    peak = f', {max(peaks):.0f} GFLOP/s at most' if peaks else ''
    threads = f'{result["threads"]} thread{"s" if result["threads"] > 1 else ""}'
    return (f'{result["date"]}: {machine["processor"]}, {machine["cores"]} cores, {machine["caches"]}, Linux '
            f'{machine["kernel"]}; {threads}{peak}.\n{engines}.{left_out}')


def markdown(result, svg=None, target=None):
    """All tables of what was measured; `svg` is shown in it, by its path as seen from the file `target`."""
    of_peak = ('us; the fastest peer in bold. *Ahead*: that against Tapline\'s slowest form. *Of peak*: that form\'s '
               'share of what the machine can do at most.')
    parts = [heading(result)]
    if result['blocks']:
        parts.append(f'### One block\n\n{of_peak}\n\n{blocks(result)}')
    if svg and (result['blocks'] or result['networks']):
        start = pathlib.Path(target).parent if target else '.'
        parts.append(f'![Blocks and networks against the machine\'s peak]({os.path.relpath(svg, start)})')
    for section, title in [('networks', 'Networks'), ('packaged', 'Models from Python packages'), ('models', 'Models')]:
        if result[section]:
            parts.append(f'### {title}\n\n{networks(result, section)}')
    if result['double']:
        few, many = result['double'][0]['threads']
        parts.append(f'### {many} threads\n\nWhat runs for over 1 ms, in us: with {few} and {many} threads.\n\n'
                     f'{double(result)}')
    if result['load']:
        parts.append('### Loading\n\nA fresh process each: least time, and resident memory on top of what the engine '
                     f'itself takes.\n\n{load(result)}')
    if result['scaling']:
        parts.append('### Length\n\nFour separable convolutions over 8 channels, K = 9, dilations 1 to 8. Memory is '
                     'what loading and running take on top; the output, 32 bytes a sample, is part of it.\n\n'
                     f'{scaling(result)}')
    if result['stages']:
        parts.append('### Stages of the fused kernel\n\nThe kernel alone, by samples: the part of the time that each '
                     'stage takes, and the share of the peak at which it runs meanwhile. The rest are edges, windows, '
                     f'strides and last few steps.\n\n{stages(result)}')
    return '\n\n'.join(parts) + '\n'


def replace(path, text):
    """Puts the text between the marks in the file."""
    whole = path.read_text()
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f'error: {path} lacks the marks\n{BEGIN}\n{END}')
    path.write_text(f'{before}{BEGIN}\n\n{text}\n{END}{after}')
