# SPDX-License-Identifier: Apache-2.0
"""What every benchmark is made of: variants run in turn, pairs compared, figures with intervals.

A benchmark is a module bench/NAME/figures.py with

    VARIANTS   name -> Program, ours and its peers
    CASES      the loads, each a dict with a name; and `variants`, when it is not for all of them
    GOALS      what our variants have to reach against which peers
    measure(program, case)   one run: metric -> number
    tables(results)          optional: the tables of its page, when one a case would be too many

Machines are noisy, so only what was measured in one run is compared: in each round every variant
runs once, in another order each time, and a ratio is formed within a round. A figure is the median
of its rounds, with the interval in which 95 % of the medians of resampled rounds lie.
"""
import glob
import os
import random
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = os.path.join(ROOT, "build", "release", "bench")
SERVER_CPU, LOAD_CPU = 0, 1


@dataclass
class Program:
    """One variant: a program of build/release/bench, or anything else that is installed."""
    command: list
    environment: dict = field(default_factory=dict)

    def argv(self, *more):
        return [self.path(), *self.command[1:], *map(str, more)]

    def path(self):
        name = self.command[0]
        return name if os.path.isabs(name) else os.path.join(PROGRAMS, name)

    def there(self):
        return os.path.exists(self.path())


@dataclass
class Goal:
    """`ours` to the better one of `peers` is at most (or at least) `bound` times."""
    metric: str
    ours: str
    peers: tuple
    bound: float
    at_least: bool = False
    cases: tuple = ()  # names; all when empty
    absolute: bool = False  # `bound` is a number of the metric itself, and there are no peers


def pin(cpu):
    """What a child does before it starts, to have one CPU for itself."""
    cpus = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cpus[cpu % len(cpus)]})


def cpu_seconds(*pids):
    """What all threads of some processes have used up to now."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(path) as stat:
                    total += int(stat.read().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass  # the thread has ended
    return total / 1e9


def resident_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"no Rss of process {pid}")


class Server:
    """A server on its CPU while the block lasts; its first line names its port."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            program.argv(*arguments), stdout=subprocess.PIPE, preexec_fn=pin(SERVER_CPU),
            env={**os.environ, **program.environment})
        self.pid = self.process.pid
        line = self.process.stdout.readline().decode().strip()
        if not line:
            self.process.wait()
            sys.exit(f"bench: {program.command[0]} did not start")
        self.port = line.rpartition(":")[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def figures_of(output):
    """The lines `name number` that our programs print."""
    pairs = (line.split() for line in output.decode().splitlines())
    return {name: float(number) for name, number in pairs}


def load(name, *arguments):
    """Runs a load beside the server and gives its figures."""
    argv = [os.path.join(PROGRAMS, name), *map(str, arguments)]
    return figures_of(subprocess.run(argv, stdout=subprocess.PIPE, check=True,
                                     preexec_fn=pin(LOAD_CPU)).stdout)


def alone(program, *arguments, cpu=SERVER_CPU):
    """Runs a program that measures itself; cpu None: on all."""
    done = subprocess.run(program.argv(*arguments), stdout=subprocess.PIPE, check=True,
                          env={**os.environ, **program.environment},
                          preexec_fn=None if cpu is None else pin(cpu))
    return figures_of(done.stdout)


@dataclass
class Figure:
    value: float
    low: float
    high: float


def figure_of(numbers, resamples=2000):
    """The median and its 95 % bootstrap interval."""
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(numbers, k=len(numbers)))
                     for _ in range(resamples))
    return Figure(statistics.median(numbers), medians[int(0.025 * resamples)],
                  medians[int(0.975 * resamples) - 1])


@dataclass
class Verdict:
    goal: Goal
    case: str
    peer: str
    ratio: Figure
    met: bool


def run_rounds(bench, rounds, only):
    """case -> variant -> metric -> one number a round."""
    names = [name for name, program in bench.VARIANTS.items()
             if program.there() and (not only or name in only)]
    for name in sorted(set(bench.VARIANTS) - set(names)):
        print(f"bench: {name} is left out", file=sys.stderr)
    dice = random.Random(2)
    results = {}
    for case in bench.CASES:
        mine = [name for name in names if name in case.get("variants", names)]
        if not mine:
            continue
        runs = results[case["name"]] = {name: {} for name in mine}
        for round_number in range(rounds):
            for name in dice.sample(mine, len(mine)):
                for metric, number in bench.measure(bench.VARIANTS[name], case).items():
                    runs[name].setdefault(metric, []).append(number)
            if sys.stderr.isatty():
                print(f"\r{case['name']}: round {round_number + 1} of {rounds} ", end="",
                      file=sys.stderr)
        if sys.stderr.isatty():
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return results


def ratio_of(runs, metric, ours, peer):
    pairs = zip(runs[ours][metric], runs[peer][metric])
    return figure_of([a / b for a, b in pairs if b > 0])


def judge(bench, results):
    """Holds the goals against the results; what a goal names and was left out is not judged."""
    for goal in bench.GOALS:
        for case, runs in results.items():
            if goal.cases and case not in goal.cases:
                continue
            if goal.metric not in runs.get(goal.ours, {}):
                continue
            if goal.absolute:
                peer, ratio = "", figure_of(runs[goal.ours][goal.metric])
            else:
                peers = [peer for peer in goal.peers if goal.metric in runs.get(peer, {})]
                if not peers:
                    continue
                better = max if goal.at_least else min
                peer = better(peers, key=lambda name: statistics.median(runs[name][goal.metric]))
                ratio = ratio_of(runs, goal.metric, goal.ours, peer)
            met = ratio.high >= goal.bound if goal.at_least else ratio.low <= goal.bound
            yield Verdict(goal, case, peer, ratio, met)
