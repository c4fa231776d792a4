// What the pages do beside links and forms: they listen to live events, and ask before something is changed without leaving the page.
// Everything works without it, too.
"use strict";

const base = document.body.dataset.base;
const live = document.getElementById("live");

// The text of a part of a page, asked for as its user.
async function part(path) {
  const response = await fetch(base + path, { headers: { "HX-Request": "true" } });
  if (!response.ok) throw new Error(response.status);
  const holder = document.createElement("template");
  holder.innerHTML = await response.text();
  return holder.content;
}

// Calls it once for all calls within this time, and again if there were more meanwhile.
function gathered(millis, call) {
  let waits = false;
  let again = false;
  return async function run() {
    if (waits) {
      again = true;
      return;
    }
    waits = true;
    again = false;
    await new Promise(done => setTimeout(done, millis));
    try {
      await call();
    } catch (error) {
      live.textContent = "Not up to date";
    }
    waits = false;
    if (again) run();
  };
}

// Numbers of actions in each state.
function showCounts(told) {
  const states = told.states;
  let all = 0;
  for (const word in states) all += Number(states[word]);
  for (const place of document.querySelectorAll("[data-queue]")) {
    if (place.dataset.queue !== told.queue) continue;
    for (const count of place.querySelectorAll("[data-count]")) {
      const word = count.dataset.count;
      const number = word === "all" ? all : Number(states[word]);
      count.textContent = String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
    }
  }
}

// A card is drawn again once a minute while its queue changes, for its plot, and when its queue is paused or goes on.
const drawn = new Map();
async function drawCard(queue) {
  drawn.set(queue, Date.now());
  const card = [...document.querySelectorAll("article[data-queue]")].find(card => card.dataset.queue === queue);
  if (!card) return;
  const fresh = (await part("/card?QueueName=" + encodeURIComponent(queue))).querySelector("article");
  if (fresh) await htmx.swap({ target: card, text: fresh.outerHTML, swap: "outerMorph" });
}

// The rows that have changed are asked for together.
const changed = new Set();
const showRows = gathered(1000, async () => {
  const tokens = [...changed];
  changed.clear();
  const fresh = await part("/rows?Tokens=" + encodeURIComponent(tokens.join(",")));
  for (const row of fresh.querySelectorAll("tr")) {
    const old = [...document.querySelectorAll("#rows tr")].find(old => old.dataset.token === row.dataset.token);
    if (!old) continue;
    row.querySelector("input").checked = old.querySelector("input").checked;
    const focused = document.activeElement && old.contains(document.activeElement) ? document.activeElement.tagName : null;
    old.replaceWith(row);
    if (focused) row.querySelector(focused === "A" ? "a" : "input").focus({ preventScroll: true });
  }
});

const showAction = gathered(500, async () => {
  const page = await part(location.pathname.slice(base.length) + location.search);
  const fresh = page.querySelector("#action");
  if (fresh) await htmx.swap({ target: document.getElementById("action"), text: fresh.outerHTML, swap: "outerMorph" });
});

function showAgain() {
  if (document.getElementById("action")) return showAction();
  for (const row of document.querySelectorAll("#rows tr:not([data-final])")) changed.add(row.dataset.token);
  if (changed.size > 0) showRows();
}

function listen(wanted) {
  const source = new EventSource(base + "/events?" + wanted);
  // What has happened since the page was made, or while the connection was broken.
  source.onopen = () => {
    live.textContent = "Live";
    showAgain();
  };
  source.onerror = event => { if (!event.data) live.textContent = "Not live: trying again"; };
  source.addEventListener("counts", event => {
    const told = JSON.parse(event.data);
    showCounts(told);
    if (!drawn.has(told.queue)) drawn.set(told.queue, Date.now());
    else if (Date.now() - drawn.get(told.queue) > 60000) drawCard(told.queue).catch(() => {});
  });
  source.addEventListener("queue", event => {
    const told = JSON.parse(event.data);
    if (told.change !== "paused" && told.change !== "resumed") return;
    if (document.querySelector(".heading[data-queue]")) live.textContent = told.change === "paused" ? "The queue was paused" : "The queue goes on";
    drawCard(told.queue).catch(() => {});
  });
  for (const type of ["queued", "started", "progress", "paused", "resumed", "finished", "error", "cancelled", "stopped"]) {
    source.addEventListener(type, event => {
      if (!event.data) return;
      if (document.getElementById("action")) return showAction();
      changed.add(JSON.parse(event.data).token);
      showRows();
    });
  }
  addEventListener("pagehide", () => source.close());
}
if (document.body.dataset.live) listen(document.body.dataset.live);

// Questions are put in front of the page.
const dialog = document.getElementById("dialog");
async function ask(path) {
  const question = (await part(path.slice(base.length))).querySelector("#question");
  if (!question) {
    location.href = path;
    return;
  }
  dialog.replaceChildren(question);
  dialog.showModal();
}
document.addEventListener("click", event => {
  const link = event.target.closest("a");
  if (!link) return;
  if (link.dataset.dialog !== undefined) {
    event.preventDefault();
    const address = new URL(link.href);
    ask(address.pathname + address.search).catch(() => { location.href = link.href; });
  } else if (link.dataset.close !== undefined && dialog.open) {
    event.preventDefault();
    dialog.close();
  }
});
// A link that looks like a button is pressed like one.
document.addEventListener("keydown", event => {
  if (event.key === " " && event.target.matches("a[role=button]")) {
    event.preventDefault();
    event.target.click();
  }
});

// Choosing rows.
const list = document.getElementById("chosen");
if (list) {
  const all = document.getElementById("choose-all");
  const boxes = () => [...list.querySelectorAll("#rows input[type=checkbox]")];
  const count = () => {
    const chosen = boxes().filter(box => box.checked).length;
    document.getElementById("number-chosen").textContent = chosen + " chosen";
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    count();
  });
  list.addEventListener("change", count);
  list.addEventListener("submit", event => {
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(list));
    if (event.submitter) fields.set("QueueAction", event.submitter.value);
    if (!fields.has("Tokens")) {
      live.textContent = "No action is chosen";
      return;
    }
    ask(new URL(list.action).pathname + "?" + fields).catch(() => {});
  });
  count();
}
