"""What a student touches: exercises that answer, quizzes, widgets, figure style, progress.

A notebook needs two lines::

    from mlearn_utils import course
    lesson = course.start("04")

This room alone imports ipywidgets, anywidget, IPython and matplotlib; importing it sets nothing global.
"""

from mlearn_utils.course.figures.animation import animation
from mlearn_utils.course.figures.statistics import interval
from mlearn_utils.course.figures.style import COLORS, PALETTE, band
from mlearn_utils.course.grading.compare import expect, expect_close
from mlearn_utils.course.grading.exercise import Exercise, NotYet
from mlearn_utils.course.grading.progress import Progress
from mlearn_utils.course.grading.report import Report
from mlearn_utils.course.lessons import Lesson, start
from mlearn_utils.course.widgets.canvas import Canvas, CanvasEvent
from mlearn_utils.course.widgets.controls import Button, choice, int_slider, slider, toggle
from mlearn_utils.course.widgets.drag import DragExplorer
from mlearn_utils.course.widgets.explorer import Explorer
from mlearn_utils.course.widgets.predict import Predict
from mlearn_utils.course.widgets.quizzes import Quiz
from mlearn_utils.course.widgets.stepper import Stepper

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
