// What core ipywidgets leave out for those who use a screen reader: names of slider handles and radio groups,
// alternative text of images, and captions that are announced when they change. Adds attributes, nothing else.

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
  }
  for (const image of view.querySelectorAll("img.widget-image")) image.alt = alt;
  for (const text of view.querySelectorAll(".mlearn-spoken > div")) {
    text.setAttribute("role", "status"); // a polite live region
    text.setAttribute("aria-live", "polite");
  }
}

function render({ model, el }) {
  let observer = null;
  let timer = null;
  function begin() {
    const view = el.closest(".mlearn-view");
    if (view === null) {
      timer = setTimeout(begin, 50); // not in the page yet
      return;
    }
    const labelAll = () => label(view, model.get("alt"));
    observer = new MutationObserver(labelAll);
    observer.observe(view, { childList: true, subtree: true });
    labelAll();
  }
  begin();
  return () => {
    clearTimeout(timer);
    observer?.disconnect();
  };
}

export default { render };
