"""What decides a bit that others recompute uses only arithmetic that is the same in every Python, NumPy and processor.

A replay compares every bit, and a score is recomputed by strangers. So this reads the modules that decide such bits,
and names each call whose result may differ elsewhere. What they may use is listed here, with the reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rewards.score.fixed import interpolated, magnitudes
from sim.draws import Draws

ROOT = Path(__file__).parents[1]
DECIDE = (
    "sim/tasks/**/*.py",
    "sim/motion/*.py",
    "sim/physics/*.py",
    "sim/robots/*.py",
    "sim/model/*.py",
    *(f"sim/{name}.py" for name in ("description", "draws", "robot", "rotation", "scene", "task")),
    "teleop/driving.py",
    "teleop/safety.py",
    *(f"teleop/wire/{name}.py" for name in ("delays", "messages", "setpoints")),
    "recorder/file/*.py",
    "recorder/proof/*.py",
    "rewards/score/*.py",
    "rewards/score/teaching/*.py",
    "rewards/score/references/*.py",
    "rewards/ledger/*.py",
    "rewards/people/qualification.py",
)
DECIDE_NOTHING = {
    "sim/tasks/parts/expert.py": "asks like an operator; an episode holds what was then applied",
    "sim/model/links.py": "draws pictures, which nobody compares",
    "rewards/score/starts.py": "chooses whose drive is shown beside another; nobody is paid by it",
    "rewards/score/references/making.py": "makes reference sets, which are data and have digests",
}
EXPERTS = {"Operator", "Puppet", "Wheels", "Script"}
"""Who takes or returns one of these is part of a task's scripted operator."""
PLAIN = {
    "float64",
    "float32",
    "int64",
    "int8",
    "intp",
    "integer",
    "uint8",
    "uint32",
    "uint64",
    "bool_",
    "int16",
    "int32",
    "str_",
    "dtype",
    "finfo",
    "ndarray",
}
CONSTANT = {"newaxis", "nan", "inf", "pi"}
PLACING = {
    *("array", "asarray", "ascontiguousarray", "atleast_1d", "frombuffer", "empty", "zeros", "ones", "eye", "arange"),
    *("full", "append", "unique", "union1d", "isnan"),
    *("concatenate", "stack", "hstack", "vstack", "where", "argwhere", "flatnonzero", "isin", "searchsorted", "sort"),
    *("shape", "ndim", "count_nonzero", "all", "any", "max", "min", "argmax", "argmin", "isfinite", "minimum"),
    *("maximum", "clip", "partition", "empty_like", "repeat", "load", "savez_compressed"),
}
"""These only place, pick, compare or count numbers."""
ROUNDED = {"abs", "sqrt", "diff", "ptp", "floor", "add", "subtract", "multiply"}
"""One operation a number, whose every bit IEEE 754 gives."""
SIZES = {"prod"}
"""Of shapes, which are integers."""
EXACT_NUMPY = PLAIN | CONSTANT | PLACING | ROUNDED | SIZES | {"random"}
RANDOM = {"PCG64", "SeedSequence"}
"""NumPy promises that these streams stay as they are."""
EXACT_MATH = {"pi", "inf", "nan", "isfinite", "isnan", "floor", "ceil", "copysign", "sqrt", "remainder", "fsum"} | {
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "cbrt", "exp", "log", "tanh")
}
"""Exact, or correctly rounded; the others are the C library's, and an episode's engine has their digest."""
METHODS = {"sum", "mean", "std", "var", "dot", "cumsum", "cumprod", "trace", "matmul", "prod"}
"""Of arrays: NumPy adds in pairs, as wide as the processor; BLAS in an order of its own, fused or not."""
MODULES = frozenset({"statistics", "random", "scipy", "fractions"})
WHOLE_NUMBERS = {
    ("sim/description.py", "exact_arrays"),
    ("sim/motion/control.py", "step"),
    ("sim/motion/control.py", "_finite"),
    ("teleop/wire/messages.py", "decode"),
    ("recorder/file/episode.py", "require_size"),
    ("recorder/file/episode.py", "nbytes"),
    ("recorder/file/films.py", "nbytes"),
    ("recorder/file/apart.py", "_decoding_bounds"),
    ("recorder/proof/checks/pictures.py", "require_decodable"),
    ("recorder/file/rows.py", "__init__"),
    ("rewards/ledger/ledger.py", "_require_sound"),
    ("rewards/ledger/settle.py", "total"),
    ("rewards/ledger/settle.py", "_require_payable"),
    ("rewards/score/score.py", "weigh"),
    ("rewards/score/metrics.py", "idle"),
    ("rewards/score/teaching/rules.py", "_added"),
    ("rewards/score/references/store.py", "states"),
}
"""(module, function) whose `sum` is of integers, or is only asked whether it is finite."""


def deciding() -> list[Path]:
    found = {path for pattern in DECIDE for path in ROOT.glob(pattern)}
    return sorted(path for path in found if str(path.relative_to(ROOT)) not in DECIDE_NOTHING)


def unsteady(source: str, whole: frozenset[str] = frozenset()) -> list[str]:
    """Return every use of something that may give other bits elsewhere; `sum` may be used in the functions `whole`."""
    found = []
    for node, function in _nodes(ast.parse(source)):
        if why := _why(node, function, whole):
            found.append(f"line {getattr(node, 'lineno', '?')}, {ast.unparse(node)[:40]}: {why}")
    return found


def _nodes(tree: ast.AST, function: str = "") -> Iterator[tuple[ast.AST, str]]:
    for node in ast.iter_child_nodes(tree):
        inner = function
        if isinstance(node, ast.FunctionDef):
            if _is_experts(node):
                continue
            inner = node.name
        if not _is_sorted(tree, node):
            yield node, inner
        yield from _nodes(node, inner)


def _is_sorted(call: ast.AST, argument: ast.AST) -> bool:
    """Whether what this yields is put into an order at once."""
    orders = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "sorted"
    return orders and isinstance(argument, ast.GeneratorExp)


def _is_experts(function: ast.FunctionDef) -> bool:
    said = [argument.annotation for argument in function.args.args] + [function.returns]
    return any(isinstance(one, ast.Name) and one.id in EXPERTS for one in said)


def _why(node: ast.AST, function: str, whole: frozenset[str]) -> str | None:
    match node:
        case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult()):
            return "`@` is BLAS's; write the sums out, or use sim.rotation.product"
        case ast.Attribute(value=ast.Attribute(value=ast.Name("np"), attr="random"), attr=name) if name not in RANDOM:
            return f"np.random.{name}: use sim.draws.Draws"
        case ast.Attribute(value=ast.Name("np"), attr=name) if name not in EXACT_NUMPY:
            return f"np.{name} may differ with NumPy, BLAS or the processor; write the arithmetic out"
        case ast.Attribute(value=ast.Name("math"), attr=name) if name not in EXACT_MATH:
            return f"math.{name} may differ with Python's version; write the arithmetic out"
        case ast.Call(func=ast.Name("sum")) if function not in whole:
            return "sum() of floats compensates since Python 3.12; write the sum out"
        case ast.Call(func=ast.Name("hash" | "id")):
            return "differs in every process"
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in METHODS and ast.unparse(owner) != "np":
            return f".{name}() adds in NumPy's order; write the sum out"
        case ast.Import(names=names) if found := [one.name for one in names if one.name.split(".")[0] in MODULES]:
            return f"{found[0]} may differ with Python's version"
        case ast.ImportFrom(module=str(module)) if module in {"math", "numpy"} or module.split(".")[0] in MODULES:
            return f"expected `import {module}`, so that what is used can be read, or nothing of it"
        case ast.For(iter=over) if _is_set(over):
            return "a set has an order of its own in every process; sort it"
        case ast.ListComp(generators=parts) | ast.GeneratorExp(generators=parts) if any(map(_over_a_set, parts)):
            return "a set has an order of its own in every process; sort it"
    return None


def _over_a_set(part: ast.comprehension) -> bool:
    return _is_set(part.iter)


def _is_set(node: ast.AST) -> bool:
    match node:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name("set" | "frozenset")):
            return True
    return False


@pytest.mark.parametrize("path", deciding(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_decides_a_bit_uses_only_what_is_the_same_everywhere(path):
    name = str(path.relative_to(ROOT))
    whole = frozenset(function for module, function in WHOLE_NUMBERS if module == name)
    assert unsteady(path.read_text(), whole) == []


def test_every_exception_is_needed():
    for module in DECIDE_NOTHING:
        assert unsteady((ROOT / module).read_text()), f"{module} uses nothing special any more"
    for module, function in WHOLE_NUMBERS:
        others = frozenset(one for name, one in WHOLE_NUMBERS if name == module and one != function)
        assert unsteady((ROOT / module).read_text(), others), f"{function} in {module} has no sum() any more"


@pytest.mark.parametrize(
    "source",
    [
        "length = math.sqrt(sum(x * x for x in v))",
        "size = math.sqrt(v @ v)",
        "a @= b",
        "np.linalg.norm(v)",
        "np.dot(a, b)",
        "np.sum(a)",
        "a.mean()",
        "(a * b).sum(axis=1)",
        "np.interp(a, b, c)",
        "np.fft.rfft(a)",
        "np.sin(a)",
        "math.hypot(a, b)",
        "math.dist(a, b)",
        "math.sumprod(a, b)",
        "from math import hypot",
        "from statistics import fmean",
        "import statistics",
        "rng = np.random.Generator(np.random.PCG64(1))",
        "rng = np.random.default_rng(1)",
        "for name in {one, other}: pass",
        "[name for name in set(names)]",
        "hash(name)",
    ],
)
def test_a_call_that_may_differ_elsewhere_is_named(source):
    assert unsteady(source)


def test_a_scripted_operator_may_use_anything():
    assert not unsteady("def script(operator: Operator) -> Script:\n    yield np.linalg.norm(operator.at('x'))")


def test_draws_are_those_of_the_first_episodes():
    """NumPy's Generator of today still gives them. If one of tomorrow does not, the draws stay, and this test goes."""
    kinds = np.random.default_rng(1).integers(0, 4, (200, 12)).tolist()
    for seed, asked in enumerate(kinds):
        ours, theirs = Draws(seed), np.random.Generator(np.random.PCG64(seed))
        for kind in asked:
            if kind == 0:
                assert ours.random() == theirs.random()
            elif kind == 1:
                assert ours.uniform(-2.0, 5.0) == theirs.uniform(-2.0, 5.0)
            elif kind == 2:
                assert ours.permutation(3) == theirs.permutation(3).tolist()
            else:
                assert ours.choice((-1.0, 1.0)) == theirs.choice((-1.0, 1.0))


def test_a_spawned_stream_is_numpys():
    spawned = np.random.SeedSequence(7).spawn(1)[0]
    again = np.random.SeedSequence(7).spawn(1)[0]
    assert Draws(spawned).uniform(0.0, 1.0) == np.random.Generator(np.random.PCG64(again)).uniform(0.0, 1.0)


def test_interpolation_is_numpys_to_the_last_bit():
    random = np.random.default_rng(2)
    for count in (2, 3, 50):
        known_at, known = np.cumsum(random.random(count) + 1e-3), random.normal(size=count)
        at = np.concatenate([random.uniform(known_at[0] - 1.0, known_at[-1] + 1.0, 300), known_at])
        assert (interpolated(at, known_at, known) == np.interp(at, known_at, known)).all()


@pytest.mark.parametrize(("count", "size"), [(1, 2), (1, 16), (2, 4), (6, 128), (1000, 16384)])
def test_a_spectrum_is_that_of_a_fourier_transform(count, size):
    values = np.random.default_rng(3).random(count)
    expected = np.abs(np.fft.rfft(values, size))
    found = magnitudes(values, size)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-15 * np.log2(size) * expected.max() + 1e-300
