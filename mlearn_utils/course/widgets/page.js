// What core ipywidgets leave out for those who use a keyboard or a screen reader: names of slider handles and
// radio groups, arrow keys within them, alternative text of images, captions that are announced when they
// change. It only sets attributes.

const CONTROLS = "input, select, button, .noUi-handle";
const KEYS = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown", "Enter", " "];

function label(view, alt) {
  const nameOf = (widget) => widget.querySelector(".widget-label")?.textContent ?? "";
  for (const slider of view.querySelectorAll(".widget-slider")) {
    slider.querySelector(".noUi-handle")?.setAttribute("aria-label", nameOf(slider));
    slider.querySelector(".widget-readout")?.setAttribute("role", "textbox");
    slider.querySelector(".widget-readout")?.setAttribute("aria-label", `${nameOf(slider)}, type a value`);
  }
  for (const group of view.querySelectorAll(".widget-radio")) {
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", nameOf(group));
    group.dataset.group ??= Math.random().toString(36).slice(2);
    for (const radio of group.querySelectorAll("input")) radio.name = group.dataset.group;
  }
  for (const image of view.querySelectorAll("img.widget-image")) image.alt = alt;
  for (const text of view.querySelectorAll(".mlearn-spoken > div")) {
    text.setAttribute("role", "status"); // a polite live region
    text.setAttribute("aria-live", "polite");
  }
}

function keepKeys(view, signal) {
  // JupyterLab would move to another cell on an arrow key. It leaves alone what has this attribute; all other
  // shortcuts stay. The window comes before the document, where JupyterLab listens.
  const onKey = (event) => {
    if (!view.contains(event.target) || !event.target.matches(CONTROLS)) return;
    const modified = event.ctrlKey || event.altKey || event.metaKey || event.shiftKey;
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !modified && KEYS.includes(event.key));
  };
  window.addEventListener("keydown", onKey, { capture: true, signal });
}

function render({ model, el }) {
  const stop = new AbortController();
  let timer = null;
  function begin() {
    const view = el.closest(".mlearn-view");
    if (view === null) {
      timer = setTimeout(begin, 50); // not in the page yet
      return;
    }
    const labelAll = () => label(view, model.get("alt"));
    const observer = new MutationObserver(labelAll);
    observer.observe(view, { childList: true, subtree: true });
    stop.signal.addEventListener("abort", () => observer.disconnect());
    keepKeys(view, stop.signal);
    labelAll();
  }
  begin();
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}

export default { render };
