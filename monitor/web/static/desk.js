// The desk with a keyboard and without reloading. Everything here can be done without it.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const caseShown = $("#case");
const seen = (element) => element && element.getClientRects().length > 0;

/* ---- Keys: what a key does stands at its control, in aria-keyshortcuts ---- */

const writes = (target) => target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
let waitsForPlace = 0;

function titles() { return $$(".items .title"); }

function current() {
  const focused = document.activeElement?.closest?.(".item");
  return focused ? $(".title", focused) : null;
}

function step(by) {
  const link = caseShown && $(by > 0 ? '.moves [rel="next"]' : '.moves [rel="prev"]');
  if (link) { link.click(); return; }
  const all = titles();
  if (!all.length) return;
  const at = all.indexOf(current());
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)];
  next.focus({ preventScroll: true });
  next.closest(".item").scrollIntoView({ block: "nearest" });
}

function use(control) {
  if (!control || control.disabled) return false;
  if (control.matches("summary")) {
    const fold = control.parentElement;
    fold.open = true;
    $("button, select, input:not([type=hidden])", fold)?.focus();
    fold.scrollIntoView({ block: "nearest" });
  } else if (control.matches("textarea, input")) {
    control.focus();
    control.scrollIntoView({ block: "center" });
  } else {
    control.click();
  }
  return true;
}

// In the list, a key means the post that has the focus.
function fromList(key) {
  const link = current();
  if (!link) return false;
  const form = $("#several");
  if (form && (key === "c" || key === "a")) {
    for (const box of $$('input[name="case"]', form)) box.checked = false;
    $('input[name="case"]', link.closest(".item")).checked = true;
    if (key === "a") $('select[name="assignee"]', form).selectedIndex = 0;
    $(`button[value="${key === "c" ? "claim" : "assign"}"]`, form).click();
    return true;
  }
  if ("rxze123n".includes(key)) { location.assign(`${link.href}#key-${key}`); return true; }
  return false;
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  const keys = $("#keys");
  if (event.key === "Escape") {
    if (keys?.open) return; // the dialog closes itself
    const openFold = event.target.closest?.("details[open]");
    if (openFold) { openFold.open = false; $("summary", openFold).focus(); return; }
    if (writes(event.target)) { event.target.blur(); (caseShown ? $("#case-title") : current() ?? titles()[0])?.focus(); return; }
    if (caseShown) { $(".to-list").click(); }
    return;
  }
  if (writes(event.target) || keys?.open) return;
  const key = event.key;
  if (waitsForPlace) {
    clearTimeout(waitsForPlace);
    waitsForPlace = 0;
    const place = { d: "/desk", t: "/", a: "/alerts" }[key];
    const link = place && $$(".bar a").find((one) => new URL(one.href).pathname === new URL($('.bar a.brand').href).pathname.replace(/\/$/, "") + place);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  let done = true;
  if (key === "j") step(1);
  else if (key === "k") step(-1);
  else if (key === "o") { const link = current(); done = Boolean(link); link?.click(); }
  else if (key === "g") waitsForPlace = setTimeout(() => { waitsForPlace = 0; }, 1200);
  else if (key === "?") keys?.showModal();
  else if (key === "/") { const field = $('input[type="search"]'); if (seen(field)) { field.focus(); field.select(); } else done = false; }
  else if (!event.shiftKey && /^[a-z0-9]$/.test(key)) {
    done = (caseShown ? false : fromList(key)) || use($$(`[aria-keyshortcuts="${key}"]`).find(seen));
  } else done = false;
  if (done) event.preventDefault();
}
document.addEventListener("keydown", pressed);

// A key that was pressed in the list goes on in the case: it opens what it means, and decides nothing by itself.
if (caseShown) {
  const asked = /^#key-([a-z0-9])$/.exec(location.hash)?.[1];
  const control = asked && $(`[aria-keyshortcuts="${asked}"]`, caseShown);
  history.replaceState(history.state, "", location.pathname + location.search + (asked ? "" : location.hash));
  if (control?.matches("button")) control.focus();
  else if (control) use(control);
  else if (!location.hash) $("#case-title")?.focus({ preventScroll: true });
}

/* ---- The open item stays in sight in its list ---- */
const openItem = $(".queue .item[aria-current]");
const pane = $(".queue");
if (openItem && pane && pane.scrollHeight > pane.clientHeight) {
  const below = openItem.offsetTop + openItem.offsetHeight > pane.clientHeight; // else it is seen as it is
  pane.scrollTop = below ? Math.max(openItem.offsetTop - pane.clientHeight / 3, 0) : 0;
}

/* ---- The reply ---- */
const editor = $("#text");
if (editor) {
  const count = $("#length");
  const longest = Number(editor.dataset.longest) || 0;
  const words = new Intl.NumberFormat("en");
  const tell = () => {
    const length = [...editor.value.replace(/\r\n/g, "\n").trim()].length;
    count.textContent = longest
      ? (length > longest ? `${words.format(length - longest)} characters too many` : `${words.format(length)} of ${words.format(longest)}`)
      : `${words.format(length)} characters`;
    count.classList.toggle("over", longest > 0 && length > longest);
  };
  let begun = editor.value;
  let leaves = false;
  editor.addEventListener("input", tell);
  tell();
  for (const button of $$("[data-insert]")) {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      const at = editor.selectionStart === editor.selectionEnd && document.activeElement !== editor && !editor.value ? 0 : editor.selectionStart;
      const before = editor.value.slice(0, at), after = editor.value.slice(editor.selectionEnd);
      const gap = before && !/\s$/.test(before) ? "\n" : "";
      editor.value = before + gap + button.dataset.insert + after;
      editor.focus();
      editor.selectionStart = editor.selectionEnd = (before + gap + button.dataset.insert).length;
      tell();
    });
  }
  $("#answer").addEventListener("submit", () => { leaves = true; });
  addEventListener("beforeunload", (event) => { if (!leaves && editor.value !== begun) event.preventDefault(); });
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("#answer .under button")?.click();
  });
}

/* ---- What happens meanwhile ---- */
const news = $("#news");
if (news && "EventSource" in window) {
  const address = new URL(news.dataset.live, location.href);
  address.searchParams.set("seen", news.dataset.seen);
  if (news.dataset.case) {
    address.searchParams.set("case", news.dataset.case);
    address.searchParams.set("version", news.dataset.version);
  }
  let source = null;
  const listen = () => {
    source = new EventSource(address);
    source.addEventListener("desk", (event) => show(JSON.parse(event.data)));
  };
  const show = (told) => {
    for (const [name, count] of Object.entries(told.counts)) {
      const place = $(`[data-count="${name}"]`);
      if (place) place.textContent = count.toLocaleString("en");
    }
    if (told.new > 0) {
      const words = `${told.new.toLocaleString("en")} new post${told.new === 1 ? "" : "s"}: show`;
      let link = $("a", news);
      if (!link) { link = document.createElement("a"); link.href = news.dataset.show; news.replaceChildren(link); }
      if (link.textContent !== words) link.textContent = words;
    }
    const changed = $("#changed");
    if (told.case && changed) {
      const { state, assignee, by } = told.case;
      const who = assignee && ["claimed", "waiting"].includes(state) ? `${assignee} has this post now (${state}).` : `This post is ${state} now${by ? `, by ${by}` : ""}.`;
      changed.replaceChildren(`${who} What you see is older: `);
      const link = document.createElement("a");
      link.href = location.pathname + location.search;
      link.textContent = "load it again";
      changed.append(link);
      changed.hidden = false;
    }
  };
  // A page in the background does not listen: it costs a connection, of which a browser has six for a site.
  const follow = () => {
    if (document.visibilityState === "visible") { if (!source) listen(); }
    else { source?.close(); source = null; }
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => { source?.close(); source = null; });
  addEventListener("pageshow", follow);
  follow();
}

/* ---- The claim holds while the page is open and in sight ---- */
if (caseShown?.dataset.beat) {
  const { beat, every, csrf } = caseShown.dataset;
  const send = async () => {
    if (document.visibilityState !== "visible") return;
    const answer = await fetch(beat, { method: "POST", body: new URLSearchParams({ csrf }) }).catch(() => null);
    if (answer?.status !== 409) return;
    clearInterval(timer);
    const { lost } = await answer.json();
    const changed = $("#changed");
    if (changed?.hidden) { changed.textContent = `You do not hold this post any more: ${lost}.`; changed.hidden = false; }
  };
  const timer = setInterval(send, Number(every) * 1000);
  document.addEventListener("visibilitychange", send);
}
