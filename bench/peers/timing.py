"""What the peers share: how PyTorch is set up at its best, and timed as bench/measure.cpp times Fovea."""
import statistics
import time

import torch


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "bf16", "tf32"], default="float32")
    parser.add_argument("--repeats", type=int, default=7)


def set_up(o):
    torch.set_num_threads(o.threads)
    torch.set_default_device(o.device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o.precision == "tf32"
    torch.manual_seed(0)


def dtype(o):
    return torch.bfloat16 if o.precision == "bf16" else torch.float32


def median_ms(o, run):
    """Of one run(): the median over repeats of at least 10 ms, the clock stopping when a GPU is done."""
    finish = torch.cuda.synchronize if o.device == "cuda" else lambda: None

    def seconds(runs):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        finish()
        return time.perf_counter() - start
    seconds(2)
    one = seconds(1)
    runs = max(1, min(1000, int(0.01 / one)))
    return 1e3 * statistics.median(seconds(runs) / runs for _ in range(o.repeats))
