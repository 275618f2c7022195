# SPDX-License-Identifier: Apache-2.0
"""A benchmark's results as a table for the terminal and one for a page, as a flat JSON object and
as a picture."""
import json
import os
import platform
from xml.sax.saxutils import escape

import measure


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.partition(":")[2].strip() for line in info
                      if line.startswith(("model name", "Model"))), platform.machine())
    release = platform.release().partition("-")[0]
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {release}"


def number(value):
    for limit, form in ((1000, "{:,.0f}"), (100, "{:.1f}"), (1, "{:.2f}")):
        if abs(value) >= limit:
            return form.format(value)
    return "{:.3f}".format(value)


def headline(bench, rounds):
    return f"{bench.TITLE}: medians of {rounds} rounds on {machine()}"


def metrics_of(runs):
    return list(dict.fromkeys(metric for row in runs.values() for metric in row))


def cells_of(row, metrics):
    return [number(measure.figure_of(row[metric]).value) if metric in row else ""
            for metric in metrics]


def sign_of(goal):
    return ">=" if goal.at_least else "<="


def print_table(bench, results, verdicts, rounds):
    print(headline(bench, rounds))
    for case, runs in results.items():
        metrics = metrics_of(runs)
        width = max(12, *(len(metric) + 2 for metric in metrics))
        print(f"\n{case}")
        print(" " * 16 + "".join(f"{metric:>{width}}" for metric in metrics))
        for variant, row in runs.items():
            cells = cells_of(row, metrics)
            print(f"  {variant:14}" + "".join(f"{cell:>{width}}" for cell in cells))
    if verdicts:
        print("\ngoals")
    for verdict in verdicts:
        goal, ratio = verdict.goal, verdict.ratio
        against = "" if goal.absolute else f" / {verdict.peer}"
        print(f"  {'met ' if verdict.met else 'MISS'} {verdict.case:12} {goal.metric}: {goal.ours}"
              f"{against} = {number(ratio.value)} [{number(ratio.low)}, {number(ratio.high)}]"
              f" {sign_of(goal)} {goal.bound:g}")


def markdown_row(cells):
    return "| " + " | ".join(cells) + " |\n"


def markdown_table(head, rows):
    return (markdown_row(head) + "|" + "---|" * len(head) + "\n"
            + "".join(markdown_row(row) for row in rows))


def goal_name(goal):
    peers = "" if goal.absolute else " / " + ", ".join(goal.peers)
    return f"{goal.metric}: {goal.ours}{peers} {sign_of(goal)} {goal.bound:.3g}"


def goal_cell(verdict):
    if verdict is None:
        return ""
    ratio = verdict.ratio
    text = f"{number(ratio.value)} [{number(ratio.low)}, {number(ratio.high)}]"
    return text if verdict.met else f"**{text}**"


def tables_of_cases(results):
    for case, runs in results.items():
        metrics = metrics_of(runs)
        yield ([case, *metrics],
               [[variant, *cells_of(row, metrics)] for variant, row in runs.items() if row])


def write_markdown(path, bench, results, verdicts, rounds):
    """The tables as bench/publish puts them into a page; a goal that was missed is bold."""
    parts = [headline(bench, rounds) + ".\n"]
    tables = getattr(bench, "tables", tables_of_cases)(results)
    parts += [markdown_table(head, rows) for head, rows in tables]
    by_goal = {}
    for verdict in verdicts:
        by_goal.setdefault(goal_name(verdict.goal), {})[verdict.case] = verdict
    if by_goal:
        rows = [[name, *(goal_cell(cells.get(case)) for case in results)]
                for name, cells in by_goal.items()]
        parts.append(markdown_table(["goal, against the best of its peers", *results], rows))
    with open(path, "w") as out:
        out.write("\n".join(parts))


def compared(runs):
    """Of which variants there are ratios: each of ours to each peer; where none is ours, each to
    the first."""
    ours = [name for name in runs if name.startswith("eddy")]
    if ours:
        return [(name, peer) for name in ours for peer in runs if peer not in ours]
    first, *rest = runs
    return [(name, first) for name in rest]


def flat(results):
    """figure name -> number: medians, intervals and ratios."""
    out = {}

    def put(name, figure):
        out[name] = round(figure.value, 4)
        out[name + ".low"] = round(figure.low, 4)
        out[name + ".high"] = round(figure.high, 4)

    for case, runs in results.items():
        for variant, row in runs.items():
            for metric, numbers in row.items():
                put(f"{case}.{metric}.{variant}", measure.figure_of(numbers))
        for name, peer in compared(runs):
            for metric in runs[name]:
                if metric in runs[peer] and any(n > 0 for n in runs[peer][metric]):
                    put(f"{case}.{metric}.{name}/{peer}",
                        measure.ratio_of(runs, metric, name, peer))
    return out


def write_json(path, results):
    with open(path, "w") as out:
        json.dump(flat(results), out, indent=1)
        out.write("\n")


def write_svg(path, bench, results):
    """Bars of the metric that matters, one group a case, with their intervals; less is better where
    the title says so."""
    metric = bench.PICTURE
    bars = [(case, variant, measure.figure_of(row[metric]))
            for case, runs in results.items() for variant, row in runs.items() if metric in row]
    height, left, right = 18, 190, 520
    parts, y, last = [], 56, None
    most = {case: max(f.high for c, _, f in bars if c == case) for case, _, _ in bars}
    for case, variant, figure in bars:
        if case != last:
            y += 22
            parts.append(f'<text x="8" y="{y - 6}" font-weight="bold">{escape(case)}</text>')
            last = case
        scale = right / (most[case] or 1)
        colour = "#2a6f97" if variant.startswith("eddy") else "#a9b4c0"
        middle = y + height / 2 - 2
        parts.append(
            f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{escape(variant)}</text>'
            f'<rect x="{left}" y="{y}" width="{figure.value * scale:.1f}" height="{height - 4}" '
            f'fill="{colour}"/>'
            f'<path d="M{left + figure.low * scale:.1f} {middle}H{left + figure.high * scale:.1f}" '
            f'stroke="#222"/>'
            f'<text x="{left + figure.high * scale + 6:.1f}" y="{y + 11}">'
            f'{number(figure.value)}</text>')
        y += height
    with open(path, "w") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="{y + 12}" '
                  f'font-family="sans-serif" font-size="12">'
                  f'<rect width="100%" height="100%" fill="#fff"/>'
                  f'<text x="8" y="22" font-size="15" font-weight="bold">{escape(bench.TITLE)}, '
                  f'{escape(metric)}</text>'
                  f'<text x="8" y="40" fill="#555">{escape(machine())}</text>'
                  + "".join(parts) + "</svg>\n")
