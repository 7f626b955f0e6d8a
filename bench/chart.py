"""The blocks and networks of one run as bars against the machine's peak, as an SVG for light and dark pages."""
import math
from html import escape

import report

WIDTH, LEFT, RIGHT = 920, 226, 96
BAR, GAP, GROUP = 11, 2, 12
TOP = 58
COLORS = {'Tapline': '#e4572e', 'ONNX Runtime': '#4a86c5', 'OpenVINO': '#8d6cc0', 'LiteRT': '#2a9d8f'}
STYLE = """
  text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #6e7781 }
  .name { fill: #6e7781 } .value { font-size: 10px } .ours { font-weight: 600 }
  .grid { stroke: #8b949e; stroke-opacity: .35 } .peak { stroke: #8b949e; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) { text { fill: #9aa4ae } .name { fill: #c9d1d9 } }"""


def bars(row):
    """[(engine, us)]: Tapline's slowest form first, then each peer's fastest."""
    ours = report.slowest(row)
    found = [('Tapline', ours)] if ours else []
    return found + [(name, min(columns.values())) for name, columns in row['times'].items() if name != 'Tapline']


def text(x, y, content, kind='', anchor='start'):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def svg(result):
    rows = [row for row in result['blocks'] + result['networks'] + result['models'] if row['flops'] and bars(row)]
    longest = max([1, *(report.share(row, us) for row in rows for _, us in bars(row))])
    most = math.ceil(longest * 10) * 10  # percent; products on tiles go beyond the peak
    scale = (WIDTH - LEFT - RIGHT) * 100 / most
    engines = [name for name in ['Tapline', *result['columns']] if name in COLORS]
    engines = [name for name in dict.fromkeys(engines) if any(name in row['times'] for row in rows)]
    marks, y = [], TOP
    for row in rows:
        group = bars(row)
        name, _, shape = row['title'].partition(' (')
        middle = y + len(group) * (BAR + GAP) / 2
        marks.append(text(LEFT - 10, middle - 2, name, 'name', 'end'))
        marks.append(text(LEFT - 10, middle + 12, shape.rstrip(')'), 'value', 'end'))
        for name, us in group:
            share = report.share(row, us)
            length = max(1, share * scale)
            ours = 'ours' if name == 'Tapline' else ''
            marks.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="1.5" '
                         f'fill="{COLORS[name]}"/>')
            time = f'{us * 1e-3:.1f} ms' if us >= 9999.5 else f'{report.us(us)} us'
            marks.append(text(LEFT + length + 5, y + BAR - 1.5, f'{time}  {report.percent(share)}', f'value {ours}'))
            y += BAR + GAP
        y += GROUP
    grid = []
    for part in range(0, most + 1, 25):
        x = LEFT + scale * part / 100
        kind = 'peak' if part == 100 else 'grid'
        grid.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{y - GROUP + 4}" class="{kind}"/>')
        grid.append(text(x, TOP - 13, "the machine's peak" if part == 100 else f'{part}%', '', 'middle'))
    legend, x = [], LEFT
    for name in engines:
        label = f'{name} {result["engines"].get(name, "")}'.strip()
        legend.append(f'<rect x="{x}" y="12" width="{BAR}" height="{BAR}" rx="1.5" fill="{COLORS[name]}"/>')
        legend.append(text(x + BAR + 5, 22, label, 'ours' if name == 'Tapline' else ''))
        x += BAR + 22 + 7 * len(label)
    body = '\n'.join([*legend, *grid, *marks])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
            f'role="img">\n<title>Share of the machine\'s peak: Tapline\'s slowest form, the peers\' fastest</title>\n'
            f'<style>{STYLE}\n</style>\n{body}\n</svg>\n')
