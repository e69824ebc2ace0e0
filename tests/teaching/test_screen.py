"""The screen lets every right answer of the course pass, and sees what an answer has no use for."""

import ast

import pytest
from judge import own_names
from screen import patches, screen

from mlearn_utils.course.grading.exercise import Exercise
from tests.course.lesson_tests import EXERCISES


def findings(text: str, name: str = "answer", allowed: tuple[str, ...] = ()) -> list[str]:
    return [finding.what for finding in screen([(node, 0) for node in ast.parse(text).body], name, allowed)]


@pytest.mark.parametrize(("number", "exercise"), EXERCISES)
def test_solutions_and_stubs_pass_without_a_word(number: str, exercise: Exercise) -> None:
    for text in (exercise.solved_source(), exercise.stub_source()):
        assert findings(text, exercise.name, tuple(own_names(exercise))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\ndef answer(x):\n    return np.mean(x)",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    def __call__(self):\n        pass",
        "def answer(x):\n    '''Has {__words__} of {f_back}.'''\n    x.grad = None\n    return f'{x:.2f}'",
        "def answer(x):\n    print('{} of {}'.format(x, 1))\n    return getattr(x, 'item')()",
        "import os\ndef answer(x):\n    return x",
        "class P:\n    def __mul__(self, other):\n        self._n = other\n        return self._n",
        "import torch\nfrom torch.nn import functional as F\nanswer = F.relu, torch.linalg.norm",
        "from sklearn.linear_model import Ridge\nimport scipy.stats\nanswer = scipy.stats.norm",
    ],
)
def test_usual_code_passes(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\nanswer = pickle.loads",
        "from os import system as answer",
        "def answer(x):\n    return x.__class__",
        "def answer(x):\n    return getattr(x, '__dict__')",
        "def answer(x):\n    return getattr(x, 'a' + 'b')",
        "def answer(x):\n    return ('{0.' + x + '}').format(x)",
        "def answer(x):\n    return '{0.f_back}'",
        "def answer(x):\n    return x.f_back",
        "def answer(x):\n    match x:\n        case object(f_back=y):\n            return y",
        "def answer(x, _=setattr(int, 'a', 1)):\n    return x",
        "import torch\ndef answer(x):\n    return torch.load(x)",
        "import torch\ndef answer(x):\n    return torch._C",
        "import numpy as np\ndef answer(x):\n    np.random.rand = x",
        "import torch\ndef answer(x):\n    for torch.autograd in x:\n        pass",
        "import torch\ndef answer(x):\n    del torch.sin",
        "def answer(x):\n    return type('A', (), {})",
        "class A:\n    def __getattr__(self, name):\n        return 1",
        "def answer(x):\n    return __builtins__",
        "from mlearn_utils import course as c\ndef answer(x):\n    return c.lesson_04.exercises.answer(x)",
        "from mlearn_utils.course.lesson_04 import exercises\nanswer = exercises.answer",
        "from mlearn_utils.course.lesson_04 import *\nanswer = answer",
        "class A:\n    from mlearn_utils.course.lesson_04.exercises import b\nanswer = A.b",
        "import mlearn_utils\nm = mlearn_utils\nanswer = m.course.lesson_04.exercises.f",
        "import mlearn_utils.rl\nanswer = [mlearn_utils][0].rl",
        "import numpy as np\ndef answer(x):\n    n = np\n    n.maximum = max",
        "import numpy as np\nanswer = [0 for np.maximum in [max]]",
        "import numpy as np\ndef answer(x):\n    np.testing.runstring(x, {})",
        "import enum\ndef answer(x):\n    return enum.bltns.eval(x)",
        "import typing\ndef answer(x):\n    return typing.get_type_hints(x)",
        "from functools import reduce\ndef answer(x):\n    return reduce(getattr, ['__globals__'], x)",
        "from operator import *\ndef answer(x):\n    return attrgetter('a')(x)",
        "from functools import update_wrapper as u\ndef answer(x):\n    u(x, x, updated=('__globals__',))",
        "from mlearn_utils.course.lesson_04 import quadratics as allowed\nanswer = allowed.best_start",
        "import torch\nanswer = torch.from_file",
        "import gymnasium\nanswer = gymnasium.make",
        "import pandas as pd\nanswer = pd.read_pickle",
    ],
)
def test_what_an_answer_has_no_use_for_is_seen(text: str) -> None:
    assert findings(text)


def test_a_patch_that_is_not_run_is_pointed_out() -> None:
    text = "import torch\ntype(lesson).check = print\nlesson.check = print\ntorch.sin = torch.cos\nfig.x = 2"
    found = patches([(node, 3) for node in ast.parse(text).body])
    assert [str(finding) for finding in found] == [
        "cell 4, line 2: changes `type(lesson).check`; it was not run",
        "cell 4, line 3: changes `lesson.check`; it was not run",
        "cell 4, line 4: changes `torch.sin`; it was not run",
    ]
