// The page's half of course.Canvas: shows a PNG that Python draws, sends pointer and key events to Python.
// One event is in flight at a time. While it is, a newer "move" replaces one that waits; "down", "up" and
// first key presses are never dropped.

const LEAST = 0.8; // of its width: on a page that is narrower the picture scrolls, so that it can be read

function eventQueue(model, signal) {
  const view = Math.random().toString(36).slice(2);
  const waiting = [];
  let count = 0;
  let inFlight = null;

  function pump() {
    if (inFlight !== null || waiting.length === 0) return;
    const { repeat, ...event } = waiting.shift();
    inFlight = `${view}-${count++}`;
    model.send({ ...event, id: inFlight });
  }
  function onDone(message) {
    if (message.done !== inFlight) return; // another view's event
    inFlight = null;
    pump();
  }
  model.on("msg:custom", onDone);
  signal.addEventListener("abort", () => model.off("msg:custom", onDone));

  return (event) => {
    const last = waiting.at(-1);
    const replaces = last && last.kind === event.kind && last.key === event.key && event.repeat;
    if (replaces) waiting.pop();
    waiting.push(event);
    pump();
  };
}

function showPicture(model, picture, signal) {
  let url = null;
  function show() {
    const old = url;
    url = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
    picture.src = url;
    if (old) URL.revokeObjectURL(old);
  }
  model.on("change:png", show);
  signal.addEventListener("abort", () => {
    model.off("change:png", show);
    URL.revokeObjectURL(url);
  });
  show();
}

function listenToPointer(surface, send, signal) {
  let held = null;
  const report = (kind, event) => {
    const box = surface.getBoundingClientRect();
    const u = (event.clientX - box.left) / box.width;
    const v = (event.clientY - box.top) / box.height;
    send({ kind, u, v, repeat: kind === "move" });
  };
  const on = (type, handle) => surface.addEventListener(type, handle, { signal });
  on("pointerdown", (event) => {
    if (event.button !== 0 || held !== null) return;
    held = event.pointerId;
    surface.setPointerCapture(held);
    surface.focus({ preventScroll: true });
    event.preventDefault();
    report("down", event);
  });
  on("pointermove", (event) => {
    if (event.pointerId === held) report("move", event);
  });
  const release = (event) => {
    if (event.pointerId !== held) return;
    held = null;
    report("up", event);
  };
  on("pointerup", release);
  on("pointercancel", release);
}

function listenToKeys(model, surface, send, signal) {
  // JupyterLab reads keys in the capture phase of the document; the window comes before it.
  const onKey = (event) => {
    const modified = event.ctrlKey || event.altKey || event.metaKey;
    if (event.target !== surface || modified || !model.get("listen").includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    send({ kind: "key", key: event.key, repeat: event.repeat });
  };
  window.addEventListener("keydown", onKey, { capture: true, signal });
}

function render({ model, el }) {
  const stop = new AbortController();
  const surface = document.createElement("div");
  surface.className = "mlearn-surface";
  const hasKeys = model.get("listen").length > 0; // without, there is nothing to do here by keyboard
  surface.tabIndex = hasKeys ? 0 : -1;
  surface.setAttribute("role", hasKeys ? "application" : "img");
  surface.setAttribute("aria-label", model.get("alt"));
  const picture = document.createElement("img");
  picture.alt = model.get("alt");
  picture.draggable = false;
  picture.style.width = `${model.get("width")}px`;
  picture.style.minWidth = surface.style.minWidth = `${LEAST * model.get("width")}px`;
  surface.append(picture);
  el.append(surface);

  const send = eventQueue(model, stop.signal);
  showPicture(model, picture, stop.signal);
  listenToPointer(surface, send, stop.signal);
  listenToKeys(model, surface, send, stop.signal);
  return () => stop.abort();
}

export default { render };
