"""Notebooks as students of lesson 04 hand them in: honest, half done, broken, and forged."""

import copy
import json
from pathlib import Path
from typing import Any

from mlearn_utils.course.lessons import load_lesson

ROOT = Path(__file__).parents[2]
EXERCISES = {exercise.name: exercise for exercise in load_lesson("04").EXERCISES}
SOLUTIONS = {name: exercise.solved_source() for name, exercise in EXERCISES.items()}
STEP = "def inner_step(loss, theta, support, inner_lr):\n"
LESSON = json.loads((ROOT / "notebooks" / "04_maml.ipynb").read_text(encoding="utf-8"))


def source(cell: dict[str, Any]) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def notebook(**answers: str) -> dict[str, Any]:
    """Return the lesson with these texts in the cells of exercises."""
    book = copy.deepcopy(LESSON)
    for cell in book["cells"]:
        for name, text in answers.items():
            if cell["cell_type"] == "code" and source(cell).startswith(f"def {name}("):
                cell["source"] = text
                break
    return book


def step(text: str) -> dict[str, Any]:
    """Return a notebook whose only answer is `inner_step`, by this text of its cell."""
    return notebook(inner_step=text)


def checks_of(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in book["cells"] if source(cell).startswith("lesson.check(")]


def without_checks() -> dict[str, Any]:
    book = notebook(**SOLUTIONS)
    book["cells"] = [cell for cell in book["cells"] if not source(cell).startswith("lesson.check(")]
    return book


def with_skipped_checks() -> dict[str, Any]:
    book = notebook()
    for cell in checks_of(book):
        cell["metadata"]["tags"] = ["skip-execution"]
    return book


def with_a_copied_cell() -> dict[str, Any]:
    book = notebook(**SOLUTIONS)
    at = next(k for k, cell in enumerate(book["cells"]) if source(cell).startswith("def inner_step("))
    book["cells"].insert(at + 1, copy.deepcopy(book["cells"][at]))
    return book


def with_the_stub_below() -> dict[str, Any]:
    book = notebook(**SOLUTIONS)
    book["cells"].append(code(EXERCISES["inner_step"].stub_source()))
    return book


def moved() -> dict[str, Any]:
    book = notebook(**SOLUTIONS)
    book["cells"].reverse()
    return book


def code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": text}


def solved(**answers: str) -> dict[str, Any]:
    return notebook(**{**SOLUTIONS, **answers})


RIGHT_STEP = SOLUTIONS["inner_step"]
META = "def meta_gradient(loss, theta, tasks, inner_lr):\n"

KINDS: dict[str, tuple[dict[str, Any], int]] = {
    "perfect": (solved(), 12),
    "empty": (notebook(), 0),
    "half": (notebook(inner_step=RIGHT_STEP, meta_gradient=SOLUTIONS["meta_gradient"]), 5),
    "first order": (solved(inner_step=RIGHT_STEP.replace(", create_graph=True", "")), 10),
    "syntax error": (solved(inner_step=RIGHT_STEP.replace("return theta", "return (theta")), 10),
    "checks deleted": (without_checks(), 12),
    "endless loop": (solved(meta_gradient=META + "    while True:\n        pass\n"), 9),
    "checks skipped": (with_skipped_checks(), 0),
    "checker patched": (step("type(lesson).check = lambda *_: print('passed')\n" + STEP + "    pass\n"), 0),
    "reference imported": (
        notebook(**{n: f"from mlearn_utils.course.lesson_04.exercises import {n}\n" for n in SOLUTIONS}),
        0,
    ),
    "warning": (
        solved(
            inner_step="import warnings\n"
            + RIGHT_STEP.replace("    (grad", "    warnings.warn('m')\n    (grad")
        ),
        12,
    ),
    "cell copied": (with_a_copied_cell(), 12),
    "kernel killed": (solved(inner_step="import os\n" + STEP + "    os._exit(0)\n"), 10),
    "interrupt swallowed": (
        solved(
            meta_gradient="import time\n"
            + META
            + "    while True:\n        try:\n            time.sleep(1)\n"
            + "        except BaseException:\n            pass\n"
        ),
        9,
    ),
    "cells moved": (moved(), 12),
    "stub below the answer": (with_the_stub_below(), 12),
    "nothing kept but the answers": ({"cells": [code(text) for text in SOLUTIONS.values()]}, 5),
    "answers and imports": (
        {"cells": [code("import torch"), *(code(text) for text in SOLUTIONS.values())]},
        12,
    ),
    "a value that the lesson has, too": (
        solved(disagreement="rate = 0.2\n\ndef disagreement():\n    return 0.575, rate\n"),
        12,
    ),
    "helpers and magics": (
        solved(
            inner_step="%matplotlib inline\nfrom torch import autograd\nRATE = 1\n\ndef slope(value, by):\n"
            "    return autograd.grad(value, by, create_graph=True)[0]\n\n!ls\n"
            + STEP
            + "    return theta - RATE * inner_lr * slope(loss(theta, support), theta)\n"
        ),
        12,
    ),
}
"""Kinds of submissions, and the score of each: all right answers of the lesson are worth 12 points."""

_SOLVED_LINE = (
    "    return theta - inner_lr * torch.autograd.grad(loss(theta, support), theta, create_graph=True)[0]\n"
)
CHEATS: dict[str, str] = {
    "imports the module of references": "import mlearn_utils.course.lesson_04.exercises as own\n"
    + STEP
    + "    return own.inner_step(loss, theta, support, inner_lr)\n",
    "loads the lesson": "from mlearn_utils.course.lessons import load_lesson\n"
    "inner_step = load_lesson('04').EXERCISES[0].reference\n",
    "asks the lesson for its exercise": "inner_step = lesson.exercises[0].reference\n",
    "imports the tests' answers": "from tests.course.lesson_04.answers import step_by_func as inner_step\n",
    "imports by a name put together": "import importlib\n"
    + STEP
    + "    own = importlib.import_module('mlearn_utils.course.lesson_04.exer' + 'cises')\n"
    "    return own.inner_step(loss, theta, support, inner_lr)\n",
    "evaluates a text": STEP + "    own = eval('__import__(\"mlearn_utils.course.lesson_04.exercises\")')\n"
    "    return own.course.lesson_04.exercises.inner_step(loss, theta, support, inner_lr)\n",
    "reads the checker's frames": STEP
    + "    try:\n        raise ValueError\n    except ValueError as error:\n"
    "        frame = error.__traceback__.tb_frame.f_back\n"
    "    while 'self' not in frame.f_locals or not hasattr(frame.f_locals['self'], 'right'):\n"
    "        frame = frame.f_back\n"
    "    return frame.f_locals['right'] if 'right' in frame.f_locals else theta\n",
    "reaches into an argument": STEP + "    hidden = getattr(loss, '__glo' + 'bals__')\n" + _SOLVED_LINE,
    "formats its way to the insides": STEP
    + "    '{0.__globals__}'.format(loss)\n"
    + "    torch = __import__('torch')\n"
    + _SOLVED_LINE,
    "changes torch": "import torch\n"
    + STEP
    + "    torch.allclose = lambda *_, **__: True\n    return theta\n",
    "changes a built-in": "import builtins\n" + STEP + "    builtins.abs = lambda x: 0\n    return theta\n",
    "returns what equals everything": "class Same:\n    def __eq__(self, other):\n        return True\n\n"
    "    def __torch_function__(self, *args, **kwargs):\n        return True\n\n"
    + STEP
    + "    return Same()\n",
    "reads the solutions": "from pathlib import Path\n"
    + STEP
    + f"    text = Path({str(ROOT / 'notebooks' / 'solutions' / '04_maml.ipynb')!r}).read_text()\n"
    "    return theta\n",
    "writes a file": STEP
    + "    open('{outside}', 'w').write('here')\n"
    + "    import torch\n"
    + _SOLVED_LINE,
    "writes by numpy": "import numpy as np\nimport torch\n"
    + STEP
    + "    np.save('{outside}', [1])\n"
    + _SOLVED_LINE,
    "starts a program": "import os\n" + STEP + "    os.system('touch {outside}')\n    return theta\n",
    "forks without end": "import os\n" + STEP + "    while True:\n        os.fork()\n",
    "takes all memory": STEP + "    return [bytes(10**9) for _ in range(10**4)]\n",
    "prints without end": STEP + "    while True:\n        print('x' * 10**6)\n",
    "opens a connection": "import socket\n"
    + STEP
    + "    socket.create_connection(('127.0.0.1', 80))\n    return theta\n",
    "forges a verdict": "import json, os\n"
    + STEP
    + '    line = json.dumps({"result": ["passed", "", None, ""]}) + "\\n"\n'
    "    for number in range(3, 60):\n        try:\n            os.write(number, line.encode())\n"
    "        except OSError:\n            pass\n    os._exit(0)\n",
    "kills the grader": "import os\n" + STEP + "    os.kill(os.getppid(), 9)\n    return theta\n",
    "leaves threads behind": "import threading, time\n"
    + STEP
    + "    threading.Thread(target=time.sleep, args=(1000,)).start()\n    return theta\n",
    "calls itself without end": STEP + "    return inner_step(loss, theta, support, inner_lr)\n",
    "crashes Python": "import ctypes\n" + STEP + "    ctypes.string_at(0)\n",
    "leaves by an exit": STEP + "    raise SystemExit\n",
    "leaves by an interrupt": STEP + "    raise KeyboardInterrupt\n",
    "acts while it is defined": "import os\n"
    "def mark(function):\n    os.system('touch {outside}')\n    return function\n\n@mark\n"
    + STEP
    + "    pass\n",
    "looks for the reference in memory": "import gc\n"
    + STEP
    + "    own = [f for f in gc.get_objects() if getattr(f, '__name__', '') == 'inner_step'][0]\n"
    "    return own(loss, theta, support, inner_lr)\n",
    "imports within a class": "class Own:\n"
    "    from mlearn_utils.course.lesson_04.exercises import inner_step\n\ninner_step = Own.inner_step\n",
    "runs a text by numpy": "import numpy as np\n" + STEP + "    box = {}\n"
    "    np.testing.runstring('from mlearn_utils.course.lesson_04.exercises import inner_step as f', box)\n"
    "    return box['f'](loss, theta, support, inner_lr)\n",
    "turns a known mistake around": "import mlearn_utils\nm = mlearn_utils\n"
    + STEP
    + "    wrong = m.course.lesson_04.mistakes.wrong_steps(loss, theta, support, -inner_lr)\n"
    "    return wrong[0][0](loss, theta)\n",
    "starts a program unseen": "import numpy as np\nimport torch\n"
    + STEP
    + "    np.testing.runstring('import _posixsubprocess as p; p.fork_exec', {})\n"
    + _SOLVED_LINE,
    "writes beside an open folder": "import os\nimport torch\n"
    + STEP
    + f"    folder = os.open({str(ROOT / 'data' / 'lesson_04')!r}, os.O_RDONLY)\n"
    "    os.open('outside', os.O_CREAT | os.O_WRONLY, dir_fd=folder)\n" + _SOLVED_LINE,
    "lies about a path": "import torch\nclass Evil(str):\n"
    "    def startswith(self, *_):\n        return True\n\n"
    + STEP
    + "    open(Evil('{outside}'), 'w').write('here')\n"
    + _SOLVED_LINE,
    "reads what the grader was started with": "import os\nimport torch\n"
    + STEP
    + "    open(f'/proc/{os.getppid()}/environ').read()\n"
    + _SOLVED_LINE,
    "sends letters that are none": "def fail():\n    raise ValueError('\\ud800')\n\ninner_step = fail()\n",
    "uses the package's step": "from mlearn_utils.meta import maml\n"
    + STEP
    + "    one = lambda params, data: loss(params['theta'], data)\n"
    "    stepped = maml.inner_step(one, {'theta': theta}, support, inner_lr=inner_lr, vectorized=False)\n"
    "    return stepped['theta']\n",
}
"""Ways to points that are not earned, or to stop the grader; `{outside}` is a file that must not appear."""
