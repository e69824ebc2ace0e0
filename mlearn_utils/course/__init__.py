"""What a student touches: exercises that answer, quizzes, widgets, figure style, progress.

A notebook needs two lines::

    from mlearn_utils import course
    lesson = course.start("04")

This room alone imports ipywidgets, anywidget, IPython and matplotlib; importing it sets nothing global.
"""

from mlearn_utils.course.animation import animation
from mlearn_utils.course.canvas import Canvas, CanvasEvent
from mlearn_utils.course.compare import expect, expect_close
from mlearn_utils.course.controls import Button, choice, int_slider, slider, toggle
from mlearn_utils.course.drag import DragExplorer
from mlearn_utils.course.exercises import Exercise, NotYet
from mlearn_utils.course.explorer import Explorer
from mlearn_utils.course.lessons import Lesson, start
from mlearn_utils.course.predict import Predict
from mlearn_utils.course.progress import Progress
from mlearn_utils.course.quizzes import Quiz
from mlearn_utils.course.report import Report
from mlearn_utils.course.statistics import interval
from mlearn_utils.course.stepper import Stepper
from mlearn_utils.course.style import COLORS, PALETTE, band

__all__ = [
    "COLORS",
    "PALETTE",
    "Button",
    "Canvas",
    "CanvasEvent",
    "DragExplorer",
    "Exercise",
    "Explorer",
    "Lesson",
    "NotYet",
    "Predict",
    "Progress",
    "Quiz",
    "Report",
    "Stepper",
    "animation",
    "band",
    "choice",
    "expect",
    "expect_close",
    "int_slider",
    "interval",
    "slider",
    "start",
    "toggle",
]
