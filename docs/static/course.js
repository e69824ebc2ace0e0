/* What the course's widgets do on a page without a kernel: they show what was drawn and written in advance.
 *
 * Each widget is a <div class="web" data-kind="..."> with its data as JSON in it (docs/exports.py writes both).
 * A kind is one function below. It adds behavior to plain form elements, so all of it works by keyboard. */
"use strict";

(() => {
  const find = (box, css) => box.querySelector(css);
  const all = (box, css) => [...box.querySelectorAll(css)];
  const read = (box) => JSON.parse(find(box, ":scope > script[type='application/json']").textContent);

  /** Put HTML into a node; math in it is typeset once MathJax is there. */
  function say(node, html) {
    node.innerHTML = html;
    if (/\\[([]/.test(html)) {
      const ready = window.MathJax?.startup?.promise ?? Promise.resolve();
      ready.then(() => window.MathJax?.typesetPromise?.([node])).catch((error) => console.error(error));
    }
  }

  /** Have a slider tell its place in words: to the eye beside it, and to a screen reader. */
  function name_places(box) {
    for (const slider of all(box, "input[type=range]")) {
      const texts = JSON.parse(find(slider.parentNode, "script").textContent);
      const tell = () => {
        const text = texts[Number(slider.value)];
        find(slider.parentNode, "output").textContent = text;
        slider.setAttribute("aria-valuetext", text);
      };
      slider.addEventListener("input", tell);
      tell();
    }
  }

  /** Set a slider as its user would. */
  function move(slider, value) {
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** Explorers, steppers and films: the picture and the caption follow the controls. */
  function follow(box) {
    const { sizes, frames } = read(box);
    const controls = all(box, ".web-controls :is(input, select)");
    const image = find(box, ".web-scroll img");
    const caption = find(box, ".web-caption");
    const buttons = Object.fromEntries(all(box, "button").map((button) => [button.dataset.does, button]));
    const [first] = controls;
    let shown = -1;
    const place = () => controls.reduce((k, control, axis) => k * sizes[axis] + Number(control.value), 0);
    const fetch_near = (k) => {
      const stride = frames.length / sizes[0];
      for (const near of [k - stride, k + stride, k + 2 * stride]) {
        if (frames[near]) new Image().src = frames[near][0];
      }
    };
    const show = () => {
      const k = place();
      if (k === shown) return;
      if (shown >= 0) {
        image.src = frames[k][0];
        say(caption, frames[k][1]);
        fetch_near(k);
      }
      shown = k;
      if (buttons.back) buttons.back.disabled = Number(first.value) === 0;
      if (buttons.on) buttons.on.disabled = Number(first.value) === sizes[0] - 1;
    };
    name_places(box);
    controls.forEach((control) => control.addEventListener("input", show));
    box.addEventListener("pointerenter", () => fetch_near(shown), { once: true });
    box.addEventListener("focusin", () => fetch_near(shown), { once: true });
    buttons.back?.addEventListener("click", () => move(first, Number(first.value) - 1));
    buttons.on?.addEventListener("click", () => move(first, Number(first.value) + 1));
    if (buttons.play) play(buttons.play, first, sizes[0] - 1);
    find(box, ".web-controls").hidden = false;
    show();
    if ("plays" in box.dataset && motion_is_welcome()) buttons.play.click();
  }

  const motion_is_welcome = () => !window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  /** Let a button run a slider to its end; pressed again, it stops there. */
  function play(button, slider, last) {
    let timer = 0;
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = "▶ Play";
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(slider.value) === last) move(slider, 0);
      button.textContent = "❚❚ Pause";
      timer = setInterval(() => {
        move(slider, Number(slider.value) + 1);
        if (Number(slider.value) === last) stop();
      }, 600);
    });
    slider.addEventListener("pointerdown", stop);
    slider.addEventListener("keydown", stop);
  }

  /** An animated picture: moves, unless its reader wants no motion; the button stops it and lets it go on. */
  function animation(box) {
    const image = find(box, "img");
    const button = find(box, "button");
    const still = image.getAttribute("src");
    let moves = motion_is_welcome();
    const show = () => {
      image.src = moves ? image.dataset.moving : still;
      button.textContent = moves ? "❚❚ Pause" : "▶ Play";
    };
    button.addEventListener("click", () => {
      moves = !moves;
      show();
    });
    button.closest("[hidden]").hidden = false;
    show();
  }

  /** A prediction: commit to a guess, then see the answer to it. */
  function predict(box) {
    const { frames, first } = read(box);
    const inputs = all(box, "input");
    const slider = inputs.find((input) => input.type === "range");
    const button = find(box, "button[data-does=reveal]");
    const picture = find(box, ".web-scroll");
    let moved = false;
    name_places(box);
    slider?.addEventListener("input", () => (moved = true));
    button.addEventListener("click", () => {
      const guess = slider ? (moved ? slider : null) : inputs.find((input) => input.checked);
      if (!guess) return say(find(box, ".web-caption"), first);
      const [source, answer] = frames[Number(guess.value)];
      say(find(box, ".web-caption"), answer);
      if (picture) {
        find(picture, "img").src = source;
        picture.hidden = false;
      }
      for (const control of [button, ...inputs]) control.disabled = true;
    });
  }

  /** A quiz: each question is answered once, with the reason for every choice. */
  function quiz(box) {
    const score = find(box, ".web-score");
    const total = all(box, ".web-question").length;
    let right = 0;
    let answered = 0;
    for (const card of all(box, ".web-question")) {
      const answers = read(card);
      const button = find(card, "button[data-does=check]");
      const inputs = all(card, "input");
      button.addEventListener("click", () => {
        const picked = inputs.findIndex((input) => input.checked);
        if (picked < 0) return say(find(card, ".web-feedback"), answers.first);
        say(find(card, ".web-feedback"), answers.said[picked]);
        for (const control of [button, ...inputs]) control.disabled = true;
        right += answers.right[picked];
        answered += 1;
        const numbers = [right, answered, total];
        score.textContent = score.textContent.replace(/\d+/g, () => numbers.shift());
      });
    }
  }

  /** Hints: the next one is offered once the one before it was opened. */
  function hints(box) {
    const listed = all(box, "details.web-hint");
    listed.forEach((hint, k) => {
      hint.hidden = k > 0;
      hint.addEventListener("toggle", () => {
        if (hint.open && listed[k + 1]) listed[k + 1].hidden = false;
      });
    });
  }

  const KINDS = {
    explorer: follow, stepper: follow, film: follow, animation, predict, quiz, hints, exercise: hints,
  };

  /** What is wider than the page scrolls, also by keyboard. */
  function reach_wide_parts() {
    const css = ".web-scroll, .web-output, .bd-article :is(pre, table, div.math, mjx-container, .pst-scrollable-table-container)";
    for (const part of document.querySelectorAll(css)) {
      const scrolls = ["auto", "scroll"].includes(getComputedStyle(part).overflowX);
      if (scrolls && part.scrollWidth > part.clientWidth) part.tabIndex = 0;
      else part.removeAttribute("tabindex");
    }
  }

  for (const box of document.querySelectorAll(".web")) KINDS[box.dataset.kind]?.(box);
  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    reach_wide_parts();
  });
  window.addEventListener("resize", reach_wide_parts);
  document.documentElement.dataset.course = "ready";
})();
