// What a designer would mark on a page of the course, measured where the browser has put it.
() => {
  const LETTERS = 90; // of a line of prose
  const TRACK = 100; // pixels that a slider needs at least
  const seen = (css) => [...document.querySelectorAll(`.jp-Notebook ${css}`)].filter((node) => node.offsetParent);
  const name = (node) => `${node.className || node.tagName}: ${(node.textContent ?? "").trim().slice(0, 40)}`;
  const page = document.querySelector(".jp-Notebook").closest(".jp-NotebookPanel").querySelector(".jp-WindowedPanel-outer");
  const edge = page.getBoundingClientRect().right + 1;

  const textWidth = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect().width;
  };
  const isCut = (button) => textWidth(button) > button.clientWidth || button.scrollHeight > button.clientHeight + 1;

  // What ends beyond the page is fine in a box that scrolls and ends on it.
  const scrolls = (node) => {
    for (let box = node; box && !box.matches(".jp-Notebook"); box = box.parentElement) {
      const style = getComputedStyle(box).overflowX;
      if ((style === "auto" || style === "scroll") && box.getBoundingClientRect().right <= edge) return true;
    }
    return false;
  };
  const beyond = (css) => seen(css).filter((node) => node.getBoundingClientRect().right > edge && !scrolls(node));

  const linesOf = (block) => {
    const lines = {};
    const range = document.createRange();
    const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode;
      if (text.parentElement.closest("p, li") !== block || text.parentElement.closest("mjx-container")) continue;
      for (const word of text.data.matchAll(/\S+\s?/g)) {
        range.setStart(text, word.index);
        range.setEnd(text, word.index + 1);
        const line = Math.round(range.getBoundingClientRect().bottom / 6);
        lines[line] = (lines[line] ?? "") + word[0];
      }
    }
    return Object.values(lines).map((line) => line.trim());
  };
  const prose = seen(":is(.jp-RenderedMarkdown, .jp-RenderedHTML, .mlearn-view) :is(p, li)");

  const tracks = (explorer) =>
    [...explorer.querySelectorAll(".mlearn-controls .noUi-target")].map((track) => track.getBoundingClientRect());
  const explorers = seen(".mlearn-explorer").map((explorer) => [name(explorer), tracks(explorer)]);
  const places = (boxes) => new Set(boxes.map((box) => `${Math.round(box.left)} to ${Math.round(box.right)}`));

  const shrunk = seen(".jp-OutputArea-output img").filter(
    (image) => image.naturalWidth && image.clientWidth < (0.79 * image.naturalWidth) / 2,
  );

  // A picture scrolls by itself: neither its sliders and caption with it, nor a row of buttons.
  const overflows = (box) => box.scrollWidth > box.clientWidth + 1;
  const rows = seen(".widget-hbox").filter((row) => row.querySelector(":scope > button") && overflows(row));
  const views = seen(".mlearn-view").map((view) => view.closest(".jp-OutputArea-output")).filter(overflows);

  return {
    scrolling_rows: [...rows, ...views].map(name),
    cut_buttons: seen(":is(.mlearn-view, .mlearn-game) button").filter(isCut).map(name),
    beyond_the_page: beyond(":is(table, img, button, pre, mjx-container, .mlearn-view *)").map(name),
    page_scrolls_sideways: page.scrollWidth > page.clientWidth + 1,
    short_tracks: seen(".noUi-target").filter((track) => track.clientWidth < TRACK).map(name),
    shrunk_pictures: shrunk.map(name),
    long_lines: prose.flatMap(linesOf).filter((line) => line.length > LETTERS),
    ragged_sliders: explorers.filter(([, boxes]) => places(boxes).size > 1).map(([name]) => name),
  };
}
