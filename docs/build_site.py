"""Build the web edition: `python docs/build_site.py` writes `docs/_build/html`, with warnings as errors.

Every stored notebook becomes a page, in two processes; every `docs/*.md` and `docs/teaching/*.md` is one.
What did not change since the last build is taken from there. Nothing is loaded from the network.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "notebooks"))

from environment import only_one
from links import SiteError, page_name, site_links

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
BUILT = DOCS / "_build"
MATHJAX = "sphinx-mathjax-offline"
PROCESSES = 2
Widgets = dict[str, dict[str, list[str]]]
"""Number of a lesson -> kind of a widget -> the HTML of each, in order."""


def build(root: Path = ROOT, built: Path = BUILT) -> Path:
    """Build the site of the checkout `root` below `built`, unless it is there already; return its folder.

    Raises:
        SiteError: if a page cannot be made, or Sphinx warns.
    """
    built.mkdir(parents=True, exist_ok=True)
    with only_one(built / ".lock", "build of the site"):
        html, stamp, address = built / "html", built / "site.txt", repository(root)
        wanted = digest([*inputs(root), *root.glob("docs/static/*"), *written(root), *guide(root)], address)
        if stamp.exists() and stamp.read_text() == wanted and (html / "index.html").exists():
            return html
        stamp.unlink(missing_ok=True)
        widgets = make_lessons(root, built, address)
        lay_out(root, built, widgets, address)
        run_sphinx(built, address)
        drop_icons(html)
        copy_mathjax(html / "_static" / "mathjax")
        stamp.write_text(wanted)
    return html


def lessons(root: Path) -> list[Path]:
    """Return the stored notebooks of the course, in order."""
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def written(root: Path) -> list[Path]:
    """Return the pages that are written as Markdown, in the order of the navigation."""
    first = ("index", "do", "teach_and_research")
    return sorted((root / "docs").glob("*.md"), key=lambda path: (path.stem not in first, path.stem))


def guide(root: Path) -> list[Path]:
    """Return the pages of the teacher's guide: that of the course, then those of the lessons."""
    found = (root / "docs" / "teaching").glob("*.md")
    return sorted(found, key=lambda path: (path.stem != "index", path.stem))


def inputs(root: Path) -> list[Path]:
    """Return every file that all lessons depend on or may read."""
    code = [*root.glob("docs/*.py"), *(root / "mlearn_utils").rglob("*.py")]
    tables = [path for path in (root / "data").rglob("*") if path.is_file() and ".parts" not in path.parts]
    return [*code, *tables, *lessons(root), root / "README.md"]


def digest(files: Iterable[Path], *more: str) -> str:
    """Return what identifies the content of files."""
    found = hashlib.sha256("\n".join(more).encode())
    for path in sorted(files):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def repository(root: Path) -> str:
    """Return the address of the repository on GitHub, "" if there is none.

    A workflow says it in GITHUB_REPOSITORY; elsewhere it is asked of git.
    """
    if os.environ.get("GITHUB_REPOSITORY"):
        return f"https://github.com/{os.environ['GITHUB_REPOSITORY']}"
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
    match = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?$", asked)
    return f"https://github.com/{match[1]}" if match else ""


def make_lessons(root: Path, built: Path, address: str) -> Widgets:
    """Make the page of every lesson, but for those that are there already; return their widgets."""
    code = [path for path in inputs(root) if path.suffix != ".ipynb" and "lesson_" not in str(path)]
    pages, todo = built / "pages", []
    pages.mkdir(exist_ok=True)
    for notebook in lessons(root):
        own = [path for path in inputs(root) if f"lesson_{notebook.stem[:2]}" in path.parts]
        wanted, stamp = digest([notebook, *code, *own], address), pages / f"{notebook.stem}.json"
        if not stamp.exists() or json.loads(stamp.read_text(encoding="utf-8"))["digest"] != wanted:
            todo.append((notebook, wanted))
    todo.sort(key=lambda entry: -entry[0].stat().st_size)
    if todo:
        with ProcessPoolExecutor(
            min(PROCESSES, len(todo)), mp_context=get_context("spawn"), initializer=set_quiet
        ) as pool:
            jobs = [pool.submit(make_lesson, notebook, built, address, wanted) for notebook, wanted in todo]
            for job in jobs:
                print(job.result(), flush=True)
    made = {}
    for notebook in lessons(root):
        stored = json.loads((pages / f"{notebook.stem}.json").read_text(encoding="utf-8"))
        made[notebook.stem[:2]] = stored["widgets"]
    return made


def set_quiet() -> None:
    """Give a process that makes widgets no display, one thread, and a progress log of its own."""
    log = Path(tempfile.mkdtemp(prefix="site-"), "progress.jsonl")
    os.environ.update(MLEARN_PROGRESS=str(log), MPLBACKEND="Agg", OMP_NUM_THREADS="1")
    os.environ.pop("MLEARN_DEVICE", None)


def make_lesson(notebook: Path, built: Path, address: str, wanted: str) -> str:
    """Make one page; return a line that says so."""
    from pages import make_page  # imports torch and matplotlib, in this process only

    started, pictures = time.time(), built / "extra" / "pictures" / notebook.stem[:2]
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    widgets = make_page(notebook, built / "pages", pictures, address)
    stored = json.dumps({"digest": wanted, "widgets": widgets})
    (built / "pages" / f"{notebook.stem}.json").write_text(stored, encoding="utf-8")
    return f"{time.time() - started:5.1f} s  {notebook.name}"


def lay_out(root: Path, built: Path, widgets: Widgets, address: str) -> None:
    """Put together what Sphinx reads: the lessons' pages, `docs/*.md` and the teacher's guide."""
    source = built / "source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir()
    found = lessons(root)
    for notebook in found:
        shutil.copy(built / "pages" / notebook.name, source)
    pages = [*written(root), *guide(root)]
    names = {path: page_name(path, root) for path in pages}
    for path in pages:
        try:
            text = fill_in(path.read_text(encoding="utf-8"), root, widgets, address)
            text = site_links(text, path.parent, root, address, source)
        except SiteError as error:
            raise SiteError(f"{path.relative_to(root).as_posix()}: {error}") from None
        if names[path] == "index.md":
            text += table_of_contents("Lessons", [notebook.stem for notebook in found])
            text += table_of_contents("For teachers", [guide_entry(page.stem) for page in guide(root)])
            text += table_of_contents("Besides", [page.stem for page in written(root) if page != path])
        (source / names[path]).write_text(text, encoding="utf-8")


def fill_in(text: str, root: Path, widgets: Widgets, address: str) -> str:
    """Return a page with what its comments ask for: widgets, lessons, parts of the README, addresses.

    Raises:
        SiteError: if it asks for a widget that no lesson has, or for a section that README.md has not.
    """

    def widget(match: re.Match[str]) -> str:
        made = widgets.get(match[1], {}).get(match[2], [])
        if len(made) < int(match[3]):
            raise SiteError(f"lesson {match[1]} has {len(made)} widgets of the kind {match[2]!r}")
        shown = made[int(match[3]) - 1].replace('data-kind="film"', 'data-kind="film" data-plays')
        return f"```{{raw}} html\n{shown}\n```"

    def section(match: re.Match[str]) -> str:
        found = re.search(rf"^## {re.escape(match[1])}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
        if not found:
            raise SiteError(f"README.md has no section {match[1]!r}")
        return re.sub(r"\]\((?![a-z]+:|#)", "](../", found[1].strip())

    readme = (root / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"<!-- widget: (\d\d) (\w+) (\d+) -->", widget, text)
    text = re.sub(r"<!-- README: (.+?) -->", section, text)
    text = re.sub(r" · \*only as\* .+", "", text)  # by which phrases a term is found: for machines
    text = re.sub(r"(?<=\*Chinese\* )(.+?)(?= · )", r'<span lang="zh">\1</span>', text)
    rows = re.findall(r"^\|.*\|$", readme, re.MULTILINE)
    listed = [row for row in rows if re.match(r"\| \[\d\d ", row)]
    head = [rows[rows.index(listed[0]) - 2], rows[rows.index(listed[0]) - 1]] if listed else []
    text = text.replace(
        "<!-- lessons -->", "\n".join([*head, *listed]).replace("](notebooks/", "](../notebooks/")
    )
    name = address.removeprefix("https://github.com/")
    addresses = {
        "binder": f"https://mybinder.org/v2/gh/{name}/main?urlpath=lab/tree/notebooks/00_start_here.ipynb",
        "colab": f"https://colab.research.google.com/github/{name}/blob/main/notebooks/00_start_here.ipynb",
    }
    for where, link in addresses.items():
        here = f"Of this fork: [{where.capitalize()}]({link})." if address else ""
        text = text.replace(f"<!-- {where} -->", here)
    return text.replace("OWNER/REPOSITORY", name) if address else text


def guide_entry(stem: str) -> str:
    """Return how the navigation lists a page of the teacher's guide; that of a lesson has a short name."""
    return f"Lesson {stem} <teaching_{stem}>" if stem.isdigit() else f"teaching_{stem}"


def table_of_contents(caption: str, names: list[str]) -> str:
    """Return a part of the navigation."""
    listed = "\n".join(names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n"


def run_sphinx(built: Path, address: str) -> None:
    """Let Sphinx write `html` from `source`.

    Raises:
        SiteError: if it warns.
    """
    shutil.rmtree(built / "html", ignore_errors=True)
    options = ["-b", "html", "-W", "--keep-going", "-q", "-E", "-j", str(PROCESSES), "-c", str(DOCS)]
    folders = [str(built / "source"), str(built / "html"), "-d", str(built / "doctrees")]
    variables = {"SITE_EXTRA": str(built / "extra"), "SITE_REPOSITORY": address}
    command = [sys.executable, "-m", "sphinx", *options, *folders]
    done = subprocess.run(command, env=os.environ | variables, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SiteError(f"Sphinx is not content:\n{done.stderr.strip()}")


def drop_icons(html: Path) -> None:
    """Take the theme's script of icons, 1.5 MB, out of all pages: the font beside it has the same ones."""
    script = "_static/scripts/fontawesome.js"
    for page in html.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        kept = re.sub(rf'<(script|link)\b[^>]*"{re.escape(script)}[^>]*>(</script>)?', "", text)
        page.write_text(kept, encoding="utf-8")
    (html / script).unlink()


def copy_mathjax(target: Path) -> None:
    """Copy MathJax (Apache licence 2.0) with its fonts: 1.5 MB of a package of 20.

    Raises:
        SiteError: if the package that brings it is not installed.
    """
    wanted = re.compile(r"/mathjax/(tex-chtml\.js|output/chtml/fonts/woff-v2/\S+\.woff)$")
    try:
        files = importlib.metadata.files(MATHJAX) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [(match[1], file) for file in files if (match := wanted.search(file.as_posix()))]
    if not found:
        raise SiteError(f"MathJax is not there; install {MATHJAX}, which requirements.txt pins")
    for name, file in found:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(file.locate()), target / name)


def main() -> int:
    """Build the site and say where it is; return the exit code."""
    started = time.time()
    try:
        html = build()
    except SiteError as error:
        print(f"The site was not built. {error}", file=sys.stderr)
        return 1
    print(f"{html / 'index.html'} is ready after {time.time() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
