// Lays the slides out once all is loaded: nothing is wider or higher than a slide. What is too wide gets
// smaller letters. What is too high gets a smaller picture or smaller letters, or at last a second slide.

const WIDTH = 1280, HEIGHT = 720;
const ROOM = HEIGHT - 34; // below it stands the number of the slide
const LARGEST = 24, COMFORTABLE = 18, SMALLEST = 16; // sizes of code, in pixels
const TEXT = 28, SMALL_TEXT = 25;
const THINGS = "p, li, table, blockquote, pre, .picture, h3, h4"; // a slide can begin with any of them
const SHRINK = 0.7; // a picture may become this much smaller to stay with its text

window.MathJax = {
  tex: { inlineMath: [["$", "$"], ["\\(", "\\)"]], processEscapes: true },
  options: { enableMenu: false },
  startup: { pageReady: () => MathJax.startup.defaultPageReady().then(layOut) },
};

const all = (node, selector) => [...node.querySelectorAll(selector)];
const sizeOf = (node) => parseFloat(getComputedStyle(node).fontSize);
const bottomOf = (node) => node.getBoundingClientRect().bottom;

async function layOut() {
  await document.fonts.ready;
  await Promise.all(all(document, "img").map((image) => image.decode()));
  all(document, ".slides pre").forEach(putLines);
  let title = document.title;
  for (const section of all(document, ".slides > section > section")) {
    const room = document.createElement("div");
    room.className = "room";
    room.append(...section.childNodes);
    section.append(room);
    if (!room.textContent.trim() && !room.querySelector("img")) {
      section.remove();
      continue;
    }
    const heading = room.querySelector("h1, h2");
    title = heading ? heading.textContent : title;
    settle(room, title);
  }
  all(document, ".slides > section:empty").forEach((section) => section.remove());
  document.documentElement.classList.remove("laying-out");
  await Reveal.initialize({
    width: WIDTH, height: HEIGHT, margin: 0, minScale: 0.1, maxScale: 5, center: false,
    transition: "none", hash: true, slideNumber: "c/t", controlsTutorial: false,
  });
  document.documentElement.dataset.ready = "yes";
}

// Puts every line of a pre into an element of its own, where a slide can end.
function putLines(pre) {
  const lines = pre.innerHTML.replace(/^<span><\/span>/, "").replace(/\n+$/, "").split("\n");
  pre.innerHTML = lines.map((line) => `<span class="line">${line}</span>`).join("");
}

// Makes the content of a slide fit; what does not goes to slides after it.
function settle(room, title) {
  if (!room.querySelector(":scope > .where, :scope > .text:first-child > :is(h1, h2):first-child")) {
    room.insertAdjacentHTML("afterbegin", '<p class="where"></p>');
    room.firstChild.textContent = title;
  }
  fitWidths(room);
  const over = () => bottomOf(room) - room.parentElement.getBoundingClientRect().top - ROOM;
  if (over() <= 0) return;
  const pictures = all(room, ".picture");
  if (pictures.length === 1) {
    const [picture] = pictures;
    const height = picture.height - over();
    if (height >= SHRINK * picture.height) {
      picture.style.height = `${Math.floor(height)}px`;
      return;
    }
  }
  if (shrinkText(room, over) || shrinkCode(room, over, COMFORTABLE)) return;
  let next = firstToMove(room);
  if (!room.querySelector(".text, .picture") && shrinkCode(room, over, SMALLEST)) return;
  next = next || firstToMove(room, ".line, tr");
  if (!next) return;
  const item = next.closest("ol > li"); // a numbered list counts on
  const number = item ? item.parentElement.start + [...item.parentElement.children].indexOf(item) : 0;
  const rest = document.createRange();
  rest.setStartBefore(next);
  rest.setEndAfter(room.lastChild);
  const section = document.createElement("section");
  section.innerHTML = '<div class="room"></div>';
  section.firstChild.append(rest.extractContents());
  room.parentElement.after(section);
  if (item) section.querySelector("ol").start = number;
  settle(room, title);
  settle(section.firstChild, title);
}

// Returns the first thing that does not fit and may begin a slide; not the first thing of this one.
function firstToMove(room, selector = THINGS) {
  const limit = room.parentElement.getBoundingClientRect().top + ROOM;
  const things = all(room, selector).filter((thing) => !thing.matches(".where"));
  let k = things.findIndex((thing) => bottomOf(thing) > limit);
  if (k < 0) return null;
  const cell = things[k].closest(".cell"); // an output goes with its code, but a picture can stand alone
  if (cell && !things[k].matches(".picture") && precededBy(room, cell)) {
    k = things.findIndex((thing) => cell.contains(thing));
  }
  if (things[k].parentElement.matches("li") && !things[k].previousElementSibling) k--; // with its li
  const gap = things.findLastIndex((thing, i) => i < k && !thing.textContent.trim()); // an empty line of code
  if (selector !== THINGS && gap > k / 2) k = gap + 1;
  while (k > 0 && leads(things[k - 1]) && precededBy(room, things[k - 1])) k--;
  if (!precededBy(room, things[k])) return null;
  return (things[k].matches("pre") && things[k].closest(".highlight")) || things[k];
}

// Whether something goes with what is below it: a heading, a line that announces it, the text of an exercise.
function leads(thing) {
  if (thing.matches("h3, h4")) return true;
  const words = thing.textContent.trim(), strong = all(thing, "strong").map((node) => node.textContent);
  const announces = strong[0] === words || words.endsWith(":") || strong.some((text) => /^Exercise/.test(text));
  return thing.matches("p") && thing.offsetHeight < 160 && announces;
}

// Whether anything but headings stands above `thing` in the room.
function precededBy(room, thing) {
  const before = document.createRange();
  before.setStart(room, 0);
  before.setEndBefore(thing);
  const copy = before.cloneContents();
  all(copy, ".where, h1, h2").forEach((node) => node.remove());
  return copy.textContent.trim() !== "" || copy.querySelector("img") !== null;
}

function fitWidths(room) {
  for (const pre of all(room, "pre")) {
    pre.classList.remove("wraps");
    pre.style.fontSize = `${LARGEST}px`;
    const size = Math.floor((LARGEST * 10 * pre.clientWidth) / pre.scrollWidth) / 10;
    pre.style.fontSize = `${Math.max(size, SMALLEST)}px`;
    pre.classList.toggle("wraps", size < SMALLEST);
  }
  for (const wide of all(room, "table, mjx-container[display]")) {
    const width = wide.matches("table") ? wide.offsetWidth : wide.firstElementChild.offsetWidth;
    const space = wide.parentElement.clientWidth;
    if (width > space) wide.style.fontSize = `${(sizeOf(wide) * space) / width}px`;
  }
  for (const picture of all(room, ".picture")) {
    const most = ROOM - 70, ratio = picture.naturalWidth / picture.naturalHeight;
    picture.style.height = `${Math.floor(Math.min(most, room.clientWidth / ratio))}px`;
  }
}

// Gives the text smaller letters, if that is enough.
function shrinkText(room, over) {
  room.style.fontSize = `${SMALL_TEXT}px`;
  if (over() > 0) room.style.fontSize = `${TEXT}px`;
  return over() <= 0;
}

// Gives code smaller letters until all fits; leaves it as it is, and returns false, if that does not help.
function shrinkCode(room, over, least) {
  const codes = all(room, "pre, table"), before = codes.map(sizeOf);
  for (let size = LARGEST - 1; size >= least; size--) {
    codes.forEach((pre, k) => (pre.style.fontSize = `${Math.min(before[k], size)}px`));
    if (over() <= 0) return true;
  }
  codes.forEach((pre, k) => (pre.style.fontSize = `${before[k]}px`));
  return false;
}
