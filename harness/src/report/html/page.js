"use strict";
// Moves through the steps of a run: the arrow keys, Home and End, the buttons, a click on a box.
for (const run of document.querySelectorAll(".witness")) {
  const steps = [...run.querySelectorAll(".happening")];
  const shapes = new Map([...run.querySelectorAll(".shape")].map((shape) => [shape.dataset.step, shape]));
  const box = run.querySelector(".drawing");
  let at = -1;
  const show = (next, scroll) => {
    next = Math.max(0, Math.min(steps.length - 1, next));
    if (next === at) return;
    at = next;
    steps.forEach((step, index) => { step.hidden = index !== at; });
    for (const shape of shapes.values()) shape.classList.remove("current");
    const shape = shapes.get(steps[at].id);
    if (!shape) return;
    shape.classList.add("current");
    if (scroll) shape.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  if (steps.length === 0) continue;
  run.classList.add("stepping");
  run.querySelector(".controls").hidden = false;
  for (const button of run.querySelectorAll("[data-go]")) {
    button.addEventListener("click", () => show(at + Number(button.dataset.go), true));
  }
  for (const [id, shape] of shapes) {
    shape.addEventListener("click", () => show(steps.findIndex((step) => step.id === id), false));
  }
  const keys = {
    ArrowDown: () => at + 1, ArrowRight: () => at + 1,
    ArrowUp: () => at - 1, ArrowLeft: () => at - 1,
    Home: () => 0, End: () => steps.length - 1,
  };
  run.press = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !keys[event.key]) return;
    event.preventDefault();
    show(keys[event.key](), true);
  };
  const wrong = steps.findIndex((step) => step.classList.contains("wrong"));
  show(Math.max(wrong, 0), false);
  box.scrollLeft = 0;
}
document.addEventListener("keydown", (event) => {
  // The run that has the focus, or else the first: a page seldom has more than one.
  const focused = event.target.closest && event.target.closest(".witness");
  if (!focused && event.target !== document.body) return;
  const run = focused || document.querySelector(".witness");
  if (run && run.press) run.press(event);
});
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
