// What the pages do beyond plain HTML. Without this file they work all the same.
"use strict";

// A reload or the way back loses nothing: what is typed is kept in this tab until it is saved.
// Secrets are not kept.
const kept = (input) =>
  input.name && input.type !== "password" && input.type !== "hidden" && !("secret" in input.dataset);
const draftOf = (form) => `draft ${form.dataset.draft} ${location.pathname}`;

function restore(form) {
  const draft = JSON.parse(sessionStorage.getItem(draftOf(form)) ?? "{}");
  for (const input of form.elements) {
    if (kept(input) && input.name in draft) input.value = draft[input.name];
  }
}

function remember(form) {
  const draft = {};
  for (const input of form.elements) if (kept(input)) draft[input.name] = input.value;
  sessionStorage.setItem(draftOf(form), JSON.stringify(draft));
}

for (const form of document.querySelectorAll("form[data-draft]")) {
  restore(form);
  form.addEventListener("input", () => remember(form));
}

// Some fields belong to a value of another one, as a password to a way to sign in: they are shown
// with it only, or while an error blames them. What is typed in them is kept.
function holds(form, condition) {
  const at = condition.indexOf("=");
  const value = form.elements.namedItem(condition.slice(0, at))?.value ?? "";
  const wanted = condition.slice(at + 1);
  return wanted.endsWith("*") ? value.startsWith(wanted.slice(0, -1)) : value === wanted;
}

function showWhatBelongs(form) {
  for (const field of form.querySelectorAll("[data-only-with]")) {
    const isBlamed = field.querySelector(".error").textContent.trim() !== "";
    const conditions = JSON.parse(field.dataset.onlyWith);
    field.hidden = !isBlamed && !conditions.some((one) => holds(form, one));
  }
}

for (const form of document.querySelectorAll("form:has([data-only-with])")) {
  form.addEventListener("input", () => showWhatBelongs(form));
  addEventListener("pageshow", () => showWhatBelongs(form)); // the way back brings values along
  showWhatBelongs(form);
}

// An answer that came in parts: mark the fields that it blames, show them, and go to the first.
function markErrors(form) {
  const wrong = [];
  for (const input of form.elements) {
    const error = document.getElementById(`error-${input.id}`);
    if (!error) continue;
    input.removeAttribute("aria-invalid");
    if (error.textContent.trim() === "") continue;
    input.setAttribute("aria-invalid", "true");
    input.closest("details")?.setAttribute("open", "");
    wrong.push(input);
  }
  wrong[0]?.focus();
}

document.body.addEventListener("htmx:afterSettle", (event) => {
  const form = event.detail.requestConfig?.elt;
  if (!(form instanceof HTMLFormElement) || !form.dataset.draft) return;
  showWhatBelongs(form);
  markErrors(form);
  if (document.querySelector("#result .good")) sessionStorage.removeItem(draftOf(form));
});

// The network, not the service, failed: say so where the answer would have stood.
function unreachable() {
  const result = document.getElementById("result");
  if (!result) return;
  const text = document.createElement("p");
  text.className = "outcome bad";
  text.textContent = "There is no answer from the service: check your network and try again.";
  result.querySelector(".outcome")?.remove();
  result.prepend(text);
}

document.body.addEventListener("htmx:sendError", unreachable);
document.body.addEventListener("htmx:timeout", unreachable);

// One box that ticks all the rows of its table. It has no name, so it is not sent; without this
// file it is not shown.
for (const all of document.querySelectorAll("[data-choose-all]")) {
  const boxes = all.closest("table").querySelectorAll("tbody input[type=checkbox]");
  const tell = () => {
    const ticked = [...boxes].filter((box) => box.checked).length;
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  for (const box of boxes) box.addEventListener("change", tell);
  addEventListener("pageshow", tell); // a reload or the way back brings ticks along
  tell();
}

// Live pages: what is marked data-live is brought up to date, and nothing else is touched, so that
// ticks, focus and what is typed stay. The service tells of every change (server-sent events); the
// slow look beside it keeps ages true. Without events the page looks by itself: quickly while
// something runs, slowly else, and not at all while nobody looks.
const QUICK = 2000;
const SLOW = 15000;
const AT_MOST_EACH = 800;
const ACTIVE = ".state.running, .state.queued, .state.retrying";

class LivePage {
  #page;
  #events = null;
  #timer = 0;
  #last = 0;
  #busy = false;
  #again = false;

  constructor(page) {
    this.#page = page;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#wake()));
    this.#follow();
    this.#later(page.querySelector(ACTIVE));
  }

  #follow() {
    if (!("EventSource" in window) || document.hidden) return;
    const events = (this.#events = new EventSource(this.#page.dataset.events));
    for (const name of ["changed", "log", "progress", "state"]) {
      events.addEventListener(name, () => this.#soon());
    }
    events.addEventListener("detail", (event) => {
      for (const [job, text] of Object.entries(JSON.parse(event.data))) {
        for (const part of this.#page.querySelectorAll(`[data-detail="${job}"]`)) part.textContent = text;
      }
    });
    events.addEventListener("end", () => {
      events.close();
      this.#soon();
    });
    events.addEventListener("error", () => {
      if (events.readyState !== EventSource.CLOSED) return; // it comes back by itself
      this.#events = null;
      this.#soon();
    });
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }

  #wake() {
    this.#follow();
    this.#refresh();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refresh(), Math.max(0, this.#last + AT_MOST_EACH - Date.now()));
  }

  #later(isActive) {
    clearTimeout(this.#timer);
    const quick = isActive && this.#events?.readyState !== EventSource.OPEN;
    this.#timer = setTimeout(() => this.#refresh(), quick ? QUICK : SLOW);
  }

  async #refresh() {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    let isActive = true;
    try {
      const answer = await fetch(location.href);
      if (answer.status === 401) {
        this.#rest();
        return this.#tell("This page is no longer brought up to date: ask for a new link.");
      }
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      this.#take(found);
      isActive = found.querySelector(ACTIVE) !== null;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // a TypeError: the network is away for a while
    } finally {
      this.#busy = false;
      this.#last = Date.now();
    }
    if (document.hidden) return;
    if (this.#again) {
      this.#again = false;
      this.#soon();
    } else this.#later(isActive);
  }

  #take(found) {
    for (const part of this.#page.querySelectorAll("[data-live]")) {
      const fresh = part.id && found.getElementById(part.id);
      if (fresh && !part.contains(document.activeElement) && fresh.innerHTML !== part.innerHTML) {
        part.innerHTML = fresh.innerHTML;
      }
    }
  }

  #tell(message) {
    const text = document.createElement("p");
    text.className = "outcome warn";
    text.setAttribute("role", "status");
    text.textContent = message;
    this.#page.prepend(text);
  }
}

const live = document.querySelector("[data-live-page]");
if (live) new LivePage(live);
