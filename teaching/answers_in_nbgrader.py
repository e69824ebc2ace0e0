"""The steps of nbgrader 0.9.6 that are ours: how a submission is mended, judged and exported.

nbgrader would run the whole notebook in one kernel, in which an answer can change the checker, end the kernel
or catch its interrupt; and it believes the metadata that come back. Here the metadata are put back from the
course, and the answers are judged one by one as `python3 teaching grade` does; the rest is not run at all.
"""

import csv
import json
import os
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from build import ROOT as NOTEBOOKS
from children import run_all
from for_nbgrader import mend
from grade import warm_up
from judge import Verdict, judge
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader import preprocessors as steps  # pyright: ignore[reportMissingImports]
from nbgrader.api import Gradebook  # pyright: ignore[reportMissingImports]
from nbgrader.plugins import ExportPlugin  # pyright: ignore[reportMissingImports]
from sqlalchemy.exc import SAWarning

from mlearn_utils.course.grading.events import safe_cell
from mlearn_utils.course.grading.exercise import Exercise
from mlearn_utils.course.lessons import load_lesson

SECONDS, MEGABYTES = 20.0, 2000.0  # for an answer, as `python3 teaching grade` has them
FLAGS = "to_look_at"
FACTS = ("student", "assignment", "score", "max_score", "flag")
FOREIGN = "This check is none of the course's, so it was not run: grade it by hand."


def configure(c: Any) -> None:
    """Set nbgrader up for the course; `c` is its configuration."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a process with CUDA cannot fork
    warnings.filterwarnings("ignore", category=SAWarning)
    c.GenerateAssignment.preprocessors = [  # without ClearSolutions, which would replace a planted bug
        steps.LockCells,
        steps.ClearOutput,
        steps.CheckCellMetadata,
        steps.ComputeChecksums,
        steps.SaveCells,
    ]
    c.Autograde.sanitize_preprocessors = [
        steps.ClearOutput,
        Mend,
        steps.OverwriteKernelspec,
        steps.OverwriteCells,
        steps.CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        Judge,
        steps.LimitOutput,
        SaveJudged,
        steps.AssignLatePenalties,
        steps.CheckCellMetadata,
    ]
    c.OverwriteCells.add_missing_cells = True
    c.Execute.timeout = int(SECONDS)
    c.ExportApp.plugin_class = Grades


@cache
def exercises_of(notebook: str) -> tuple[Exercise, ...]:
    """Return the exercises of a lesson's notebook, none for one that is not the course's."""
    if not (NOTEBOOKS / "source" / f"{notebook}.py").exists():
        return ()
    return load_lesson(notebook[:2]).EXERCISES


@cache
def get_ready(notebook: str) -> None:
    """Compute once what the checks of a lesson need first."""
    warm_up({"": exercises_of(notebook)}, {""})


class Mend(steps.NbGraderPreprocessor):
    """`mend`, as a step of nbgrader."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Mend a submission."""
        place = resources["nbgrader"]
        exercises = exercises_of(place["notebook"])
        with Gradebook(place["db_url"]) as gradebook:
            cells = gradebook.find_notebook(place["notebook"], place["assignment"]).source_cells
            names = {cell.name for cell in cells}
        ours = {prefix + exercise.name for exercise in exercises for prefix in ("", "check-")}
        mend(nb, exercises, names - ours)
        return nb, resources


class Judge(steps.Execute):
    """Judges the answers of a lesson; a notebook that is not the course's is run, as nbgrader does."""

    def preprocess(self, nb: NotebookNode, resources: Any, km: Any = None) -> tuple[NotebookNode, Any]:
        """Put the verdict on each exercise below its check."""
        place = resources["nbgrader"]
        exercises = exercises_of(place["notebook"])
        if not exercises:
            return super().preprocess(nb, resources, km)
        get_ready(place["notebook"])
        sources = tuple(cell.source for cell in nb.cells if cell.cell_type == "code")
        outputs, flags = judged(exercises, sources)
        for cell in nb.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if name in outputs:
                cell.outputs = [outputs[name]]
            elif cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"):
                cell.outputs = [new_output("error", ename="NotRun", evalue=FOREIGN, traceback=[FOREIGN])]
                flags[name] = [FOREIGN]
        nb.metadata[FLAGS] = flags
        for name, told in flags.items():
            self.log.warning("%s, %s: look at %s", place["student"], shorter(name), "; ".join(told))
        return nb, resources


def judged(
    exercises: tuple[Exercise, ...], sources: tuple[str, ...]
) -> tuple[dict[str, NotebookNode], dict[str, list[str]]]:
    """Return the outputs of a notebook's checks, and the flags of those that have some, by the cell's name.

    All is done in a child process, so that a text on which Python itself fails costs one submission only.

    Raises:
        RuntimeError: if that process ended before it was done.
    """

    def work(tell: Any) -> Any:
        verdicts = judge(exercises, sources, SECONDS, MEGABYTES)
        return [[f"check-{v.exercise.name}", shown(v), v.flags] for v in verdicts]

    most = 60 + (2 * SECONDS + 5) * len(exercises)
    ((_, ended),) = run_all([("", work)], seconds=most)
    if ended.result is None:
        raise RuntimeError(f"judging this notebook ended the process in which it was done ({ended.how})")
    outputs = {name: NotebookNode(output) for name, output, _ in ended.result}
    return outputs, {name: flags for name, _, flags in ended.result if flags}


def shown(verdict: Verdict) -> NotebookNode:
    """Return the output of a check cell: a picture of the report, or an error, by which nbgrader scores."""
    report = verdict.report
    if report.ok:
        return new_output("display_data", data=report._repr_mimebundle_())
    return new_output("error", ename="AssertionError", evalue=report.message, traceback=[str(report)])


class SaveJudged(steps.SaveAutoGrades):
    """Saves the scores, and asks for a human eye where something was flagged; the score stands until then."""

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Save the scores of a submission."""
        self._flags = nb.metadata.get(FLAGS, {})
        return super().preprocess(nb, resources)

    def _add_score(self, cell: NotebookNode, resources: Any) -> None:
        super()._add_score(cell, resources)
        name = cell.metadata["nbgrader"]["grade_id"]
        if name in self._flags:
            grade = self.gradebook.find_grade(name, self.notebook_id, self.assignment_id, self.student_id)
            grade.needs_manual_grade = True
            self.gradebook.db.commit()


class Grades(ExportPlugin):
    """A line a submission: student, assignment, score, max_score, flag, and a column an exercise.

    What was not graded has no score, never a zero, and its flag says so.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Write the table to `--to`, else grades.csv."""
        lines, columns = [], dict.fromkeys(FACTS)
        for assignment in gradebook.assignments:
            for submission in assignment.submissions:
                if (self.assignment and assignment.name not in self.assignment) or (
                    self.student and submission.student.id not in self.student
                ):
                    continue
                line = self._line(submission)
                columns |= dict.fromkeys(line)
                lines.append(line)
        with Path(self.to or "grades.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows({key: safe_cell(value) for key, value in line.items()} for line in lines)
        self.log.info("%d submissions are in %s", len(lines), file.name)

    def _line(self, submission: Any) -> dict[str, Any]:
        books = {book.name: self._autograded(submission, book.name) for book in submission.notebooks}
        grades = sorted((grade for book in submission.notebooks for grade in book.grades), key=_order)
        missing = [
            grade.name
            for grade in grades
            if grade.manual_score is None and (grade.auto_score is None or not books[grade.notebook.name])
        ]
        flags = [f"not graded: {', '.join(map(shorter, missing))}"] if missing else []
        open_ones = {grade.name for grade in grades if grade.needs_manual_grade}
        for book in filter(None, books.values()):
            told = book["metadata"].get(FLAGS, {})
            flags += [f"{shorter(name)}: {flag}" for name in told if name in open_ones for flag in told[name]]
        score = "" if missing else max(0.0, submission.score - submission.late_submission_penalty)
        facts = (
            submission.student.id,
            submission.assignment.name,
            score,
            submission.max_score,
            "; ".join(flags),
        )
        earned = {shorter(grade.name): "" if grade.name in missing else grade.score for grade in grades}
        return dict(zip(FACTS, facts, strict=True)) | earned

    def _autograded(self, submission: Any, book: str) -> dict[str, Any] | None:
        """Return a notebook as `Judge` left it; None where nbgrader failed, even if an old score is there."""
        course, student = self.parent.coursedir, submission.student.id
        folder = course.format_path(course.autograded_directory, student, submission.assignment.name)
        path = Path(folder, f"{book}.ipynb")
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def shorter(name: str) -> str:
    """Return the exercise that a check is called by."""
    return name.removeprefix("check-")


def _order(grade: Any) -> tuple[str, int, str]:
    """Return where a grade's column stands: in the order of the lesson."""
    names = [f"check-{exercise.name}" for exercise in exercises_of(grade.notebook.name)]
    return grade.notebook.name, names.index(grade.name) if grade.name in names else len(names), grade.name
