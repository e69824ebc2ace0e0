// Runs canvas.js against a stand-in for the page, and prints what it sent to Python as JSON.
// argv: the module's path, and a JSON list of steps.

const [, , path, steps] = process.argv;

class Fake extends EventTarget {
  attributes = {};
  style = {};
  append() {}
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  getBoundingClientRect() {
    return { left: 100, top: 50, width: 400, height: 200 };
  }
  setPointerCapture() {}
  focus() {
    this.focused = true;
  }
}

const made = [];
globalThis.window = new Fake();
globalThis.document = { createElement: () => made[made.push(new Fake()) - 1] };
URL.createObjectURL = () => "blob:";
URL.revokeObjectURL = () => {};

const state = { png: new Uint8Array(), alt: "A point.", listen: ["ArrowLeft", "a"], width: 400 };
const handlers = {};
const sent = [];
const model = {
  get: (name) => state[name],
  on: (name, handle) => (handlers[name] = handle),
  off: (name) => delete handlers[name],
  send: (content) => sent.push(content),
};

const { default: widget } = await import(path);
const cleanUp = widget.render({ model, el: new Fake() });
const [surface, picture] = made;

function fire(type, init) {
  const event = new Event(type, { cancelable: true });
  Object.assign(event, { pointerId: 1, button: 0 }, init);
  // key events reach the window with the surface as their target
  if (type === "keydown") Object.defineProperty(event, "target", { value: init.elsewhere ? null : surface });
  (type === "keydown" ? window : surface).dispatchEvent(event);
  return event.defaultPrevented;
}

const prevented = [];
for (const [what, init] of JSON.parse(steps)) {
  if (what === "done") handlers["msg:custom"]?.({ done: init ?? sent.at(-1).id });
  else if (what === "clean up") cleanUp();
  else prevented.push(fire(what, init));
}
const events = sent.map(({ id, ...event }) => event);
const { attributes, tabIndex, focused } = surface;
console.log(JSON.stringify({ events, prevented, attributes, tabIndex, focused, alt: picture.alt, left: Object.keys(handlers) }));
