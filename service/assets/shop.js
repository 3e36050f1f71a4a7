// One purchase at a time leaves this page, under a key that names the buyer's intent.
//
// The key is made when the intent begins, kept through lost answers, time-outs and a reload, and
// given up only for a definite answer. The service charges a key once, so asking again is safe.
const ANSWER_WITHIN_MS = 15000; // then the answer counts as lost
const ASK_FOR_MS = 120000; // then the buyer decides whether to go on
const BACK_OFF_MS = { first: 500, longest: 8000 };
const FOLLOW_EVERY_MS = 3000;

const status = document.getElementById("status");
let inFlight = false;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form.buy")) return;
  event.preventDefault();
  if (inFlight) return;
  inFlight = true;
  purchase(form, intents.unsettled() ?? newIntent(form), "buying");
});

// This tab's intent whose outcome is not known, one for each user. Where the browser stores
// nothing it is kept in memory, and only a reload forgets it.
const intents = {
  memory: null,
  name: `intent of ${document.querySelector(".wallet")?.dataset.user}`,
  unsettled() {
    try {
      return JSON.parse(sessionStorage.getItem(this.name)) ?? this.memory;
    } catch {
      return this.memory;
    }
  },
  keep(intent) {
    this.memory = intent;
    try {
      sessionStorage.setItem(this.name, JSON.stringify(intent));
    } catch {}
  },
  settle() {
    this.memory = null;
    try {
      sessionStorage.removeItem(this.name);
    } catch {}
  },
};

function newIntent(form) {
  const { user_id, item_id } = form.elements;
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0")).join("");
  // The ids stay text: they may be larger than a number of JavaScript's can hold.
  return { user_id: user_id.value, item_id: item_id.value, key };
}

async function purchase(form, intent, notice) {
  intents.keep(intent);
  say(notice);
  setBusy(form, true);
  status.focus();
  const answer = await settle(intent);
  if (answer) intents.settle();
  if (answer?.receipt) showReceipt(answer.receipt, form);
  say(answer ? answer.notice : "unknown");
  inFlight = false;
  setBusy(form, false);
  form?.querySelector("button").focus();
  followStock();
}

// Asks until the answer is definite; null if it never was.
async function settle(intent) {
  const until = Date.now() + ASK_FOR_MS;
  for (let wait = BACK_OFF_MS.first; ; wait = Math.min(2 * wait, BACK_OFF_MS.longest)) {
    const answer = await ask(intent);
    if (answer.isDefinite) return answer;
    const pause = Math.max(wait * (0.5 + Math.random() / 2), answer.retryAfterMs ?? 0);
    if (Date.now() + pause > until) return null;
    say(answer.retryAfterMs === undefined ? "trying" : "crowded");
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function ask({ user_id, item_id, key }) {
  try {
    const response = await fetch("/api/purchase/", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: `{"user_id": ${user_id}, "item_id": ${item_id}}`,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    const body = await response.json();
    if (response.ok) return { isDefinite: true, notice: "bought", receipt: body };
    const isDefinite = response.status < 500 && response.status !== 408;
    const seconds = response.headers.get("retry-after");
    const retryAfterMs = seconds === null ? undefined : 1000 * Number(seconds) || 0;
    return { isDefinite, notice: body.code, retryAfterMs };
  } catch {
    return { isDefinite: false }; // lost, late or not an answer: it may have been bought
  }
}

function setBusy(form, isBusy) {
  form?.setAttribute("aria-busy", isBusy);
  const unsettled = intents.unsettled();
  for (const each of document.querySelectorAll("form.buy")) {
    const item = each.closest(".item");
    const isOther = unsettled !== null && unsettled.item_id !== each.elements.item_id.value;
    const isGone = item.classList.contains("sold-out") && unsettled === null;
    each.querySelector("button").disabled = isBusy || isOther || isGone;
  }
}

function say(notice) {
  const terms = [...document.querySelectorAll("#words dt")];
  const term = terms.find((each) => each.textContent === notice);
  const words = (term ?? terms[0]).nextElementSibling;
  status.dataset.tone = words.dataset.tone;
  status.textContent = words.textContent;
}

function showReceipt(receipt, form) {
  const section = document.getElementById("receipt-form").content.cloneNode(true);
  const { purchase_id, item_id, price, balance_left } = receipt;
  const name = form?.closest(".item").querySelector("h2").textContent ?? `Item ${item_id}`;
  const slots = { purchase_id, name, price: money(price), balance_left: money(balance_left) };
  for (const slot of section.querySelectorAll("[data-slot]")) {
    slot.textContent = slots[slot.dataset.slot];
  }
  document.getElementById("receipt").replaceChildren(section);
  document.getElementById("balance").textContent = money(balance_left);
  // A reload, and the back button, show it again.
  const address = new URL(location.href);
  address.searchParams.set("purchase", purchase_id);
  history.replaceState(null, "", address);
}

function money(minor) {
  return (minor / 100).toFixed(2);
}

// The stock on the page follows the sale, as long as somebody can see it.
let next;
async function followStock() {
  clearTimeout(next);
  if (document.hidden) return;
  try {
    const after = new URLSearchParams(location.search).get("after");
    const address = after ? `/stock?after=${encodeURIComponent(after)}` : "/stock";
    const response = await fetch(address, { signal: AbortSignal.timeout(FOLLOW_EVERY_MS) });
    if (response.ok) showStock((await response.json()).items);
  } catch {} // the next turn may fare better
  clearTimeout(next);
  next = setTimeout(followStock, FOLLOW_EVERY_MS * (1 + Math.random() / 3));
}

function showStock(items) {
  for (const { id, words, sold_out } of items) {
    const item = document.querySelector(`.item[data-item="${id}"]`);
    if (!item) continue;
    const stock = item.querySelector(".stock");
    if (stock.textContent !== words) stock.textContent = words;
    item.classList.toggle("sold-out", sold_out);
    const button = item.querySelector("button");
    if (!button || inFlight || intents.unsettled()) continue;
    if (sold_out && button === document.activeElement) status.focus();
    button.disabled = sold_out;
  }
}

document.addEventListener("visibilitychange", followStock);

// A page that comes back from the browser's cache shows what was; the service knows what is.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// A purchase that a reload cut off: its key learns what became of it.
const unsettled = intents.unsettled();
if (unsettled) {
  inFlight = true;
  const forms = [...document.querySelectorAll("form.buy")];
  const form = forms.find(({ elements }) => elements.item_id.value === unsettled.item_id);
  purchase(form, unsettled, "resumed");
} else {
  followStock();
}
