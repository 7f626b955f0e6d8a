"""LiteRT (TensorFlow Lite with XNNPACK), driven by the lines that driver.c describes. Its package has no C interface to
its interpreter; what is timed here is the call into its extension module, which costs well under a microsecond.

    drive_litert.py THREADS MODEL [NAME TYPE DIMS FILE]...      the first input only
"""
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def resident_kib():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4


def main():
    threads, model, _, _, dims, file = sys.argv[1:7]
    x = np.fromfile(file, 'f').reshape([int(d) for d in dims.split('x')])
    before = resident_kib()
    start = time.perf_counter()
    interpreter = Interpreter(model_path=model, num_threads=int(threads))
    interpreter.allocate_tensors()
    load = time.perf_counter() - start
    loaded_kib = resident_kib() - before
    interpreter.set_tensor(interpreter.get_input_details()[0]['index'], x)
    run = interpreter._interpreter.Invoke  # without the checks that Interpreter.invoke makes in Python
    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    print(f'loaded {load * 1e6:.1f} {first * 1e6:.1f} {loaded_kib} {resident_kib() - before}', flush=True)
    for line in sys.stdin:
        command, argument = line.rstrip('\n').split(' ', 1)
        if command == 'run':
            times = []
            now = time.perf_counter_ns
            end = now() + float(argument) * 1e6
            while len(times) < 3 or now() < end:
                start = now()
                run()
                times.append(now() - start)
            times.sort()
            print(f'ran {times[0] * 1e-3:.3f} {times[len(times) // 2] * 1e-3:.3f} {len(times)}', flush=True)
        elif command == 'output':
            y = interpreter.get_tensor(interpreter.get_output_details()[0]['index'])
            y.tofile(argument)
            print(f'wrote {y.nbytes}', flush=True)


main()
