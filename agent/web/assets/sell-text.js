// How the page to sell at reads and writes texts and lines, and speaks with the agent.

const { currency, digits, whole } = document.body.dataset;

export const parse = (html) => new DOMParser().parseFromString(html, "text/html");
export const ascii = (text) => text.replace(/[۰-۹]/g, (d) => d.charCodeAt(0) - 0x6f0).replace(/[٠-٩]/g, (d) => d.charCodeAt(0) - 0x660);
export const thousandth = (number) => Math.round(number * 1000) / 1000;
const group = (text) => text.replace(/\B(?=(\d{3})+$)/g, ",");
export const points = (n) => (n < 0 ? "−" : "") + group(String(Math.abs(n)));

// money writes minor units as the agent's own templates do.
export const money = (amount) => {
  const places = Number(digits);
  const text = String(Math.abs(amount)).padStart(places + 1, "0");
  const [left, right] = [text.slice(0, text.length - places), text.slice(text.length - places)];
  const shown = group(left) + (right === "" || (whole === "true" && /^0*$/.test(right)) ? "" : "." + right);
  const sign = { GBP: "£", EUR: "€" }[currency] ?? (currency === "" ? "" : currency + "\u00a0");
  return (amount < 0 ? "−" : "") + sign + shown;
};
export const plainMoney = (amount) => (Number(digits) === 0 ? String(amount) : (amount / 10 ** Number(digits)).toFixed(Number(digits)));
// minor makes integer minor units of an amount, null where it is none.
export const minor = (text) => {
  const match = /^(\d+)(?:\.(\d*))?$/.exec(ascii(text).trim().replace(",", "."));
  return !match || (match[2] ?? "").length > Number(digits) ? null : Number(match[1] + (match[2] ?? "").padEnd(Number(digits), "0"));
};

export const element = (tag, text, name) => {
  const e = document.createElement(tag);
  e.textContent = text;
  if (name) {
    e.className = name;
  }
  return e;
};
export const refuse = (line, text) => {
  line.textContent = text;
  line.hidden = text === "";
};
export const post = async (path, body, key) => {
  const headers = { "Content-Type": "application/json", ...(key ? { "Idempotency-Key": key } : {}) };
  const answer = await fetch(path, { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) });
  return { ok: answer.ok, status: answer.status, body: await answer.json() };
};
// row shows a line of the sale as it was quoted, with what is pressed to change it.
export const row = (quoted, i, latest) => {
  const li = document.createElement("li");
  const name = quoted.name ?? quoted.sku;
  li.dataset.sku = quoted.sku;
  li.classList.toggle("last", latest);
  const what = element("span", "", "what");
  what.append(element("bdi", name, "title"));
  const under = element("span", "", "under");
  const sku = element("bdi", quoted.sku, "code");
  sku.dir = "ltr";
  under.append(sku, `${quoted.qty} × ${money(quoted.unit_price_minor)}`);
  what.append(under);
  for (const off of quoted.discounts) {
    const reduced = element("span", "", "under off");
    reduced.append(element("bdi", off.reason ?? "Taken off"), ` ${money(-off.amount_minor)}`);
    what.append(reduced);
  }
  const steps = element("span", "", "steps");
  for (const [act, sign, label] of [["less", "−", `One less of ${name}`], ["plus", "+", `One more of ${name}`], ["out", "×", `Take ${name} out`]]) {
    const button = element("button", sign, "step");
    button.type = "button";
    button.dataset.act = act;
    button.dataset.line = String(i);
    button.setAttribute("aria-label", label);
    steps.append(button);
  }
  const amount = element("span", money(quoted.amount_minor), "amount");
  li.append(what, amount, steps);
  return li;
};
// warning is what a receipt warns of, with the item that it is about.
export const warning = (doc, w) => {
  const line = doc.lines[(w.line ?? 0) - 1];
  const said = element("p", "", "soft");
  if (line) {
    said.append(element("bdi", line.name ?? line.sku), ": ");
  }
  said.append(w.message);
  return said;
};
// contactOf is what a text is looked up by, null where it is a code. Goods may
// begin with 00, so that means a phone number only where members are asked for.
export const contactOf = (text, dialled) => {
  const number = ascii(text).replace(/[\s().-]/g, "");
  if (text.includes("@")) {
    return { by: "email", value: text };
  }
  if (/^\+\d{7,}$/.test(number) || (dialled && /^00\d{7,}$/.test(number))) {
    return { by: "phone", value: number };
  }
  return /^M\d{12}$/i.test(number) ? { by: "card", value: number.toUpperCase() } : null;
};

export const newKey = () => "till-" + [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
