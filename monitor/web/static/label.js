// Keys for the page on which posts are judged: it works without them.
const form = document.querySelector("form.judge");
const questions = form ? [...form.querySelectorAll(".question")] : [];
let active = questions[0];

function choose(question) {
  active = question;
  for (const one of questions) one.toggleAttribute("data-active", one === question);
  question.scrollIntoView({ block: "nearest" });
}

function press(name) {
  const button = form.querySelector(`button[value=${name}]`);
  if (button) form.requestSubmit(button);
}

function follow(id) {
  const link = document.getElementById(id);
  if (link) link.click();
  return Boolean(link);
}

function typed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input[type=text], textarea, select, summary")) return false;
  const key = event.key.toLowerCase();
  if (key === "u") return follow("undo");
  if (!form) return false;
  if (key === "k") return follow("skip");
  if (key === "n") return press("other"), true;
  if (key === "enter" && !event.target.closest("a, button")) return press("save"), true;
  const asked = questions.find((one) => one.dataset.key === key);
  if (asked) return choose(asked), true;
  const chosen = active.querySelector(`input[data-code="${CSS.escape(key)}"]`);
  if (!chosen) return false;
  chosen.checked = true;
  choose(questions[0]); // a number alone is always about the feeling
  return true;
}

if (active) choose(active);
document.addEventListener("keydown", (event) => {
  if (typed(event)) event.preventDefault();
});
