// The page to sell at. What is sold stands here until it is paid; what it costs
// the agent says, by a quote after each change, and who a member is it renders.
import { dialogs } from "./sell-dialogs.js";
import { follow } from "./sell-live.js";
import { ascii, contactOf, element, minor, money, newKey, parse, plainMoney, points, post, refuse, row, thousandth, warning } from "./sell-text.js";

const at = (id) => document.getElementById(id);
const code = at("code");
const say = (text, look) => {
  at("said").textContent = text;
  at("said").dataset.look = look;
  at("undo").hidden = true;
};

// The sale is kept over a reload, with the key under which it may have been sent.
let sale = { lines: [], member: "", redeem: 0, pressed: "", key: "" };
let quote = null; // what the sale comes to; null while there is nothing in it
let before = null; // the sale before something was taken out of it
let last = ""; // the code that was scanned last
const keep = () => sessionStorage.setItem("sale", JSON.stringify(sale));
const recall = () => {
  try {
    return { ...sale, ...JSON.parse(sessionStorage.getItem("sale") ?? "{}") };
  } catch {
    return sale;
  }
};

// One thing is done at a time, in the order in which it was asked for, so that no
// scan is lost while another is on its way.
let queue = Promise.resolve();
const then = (work) => {
  queue = queue.then(work).catch((error) => {
    say(error instanceof TypeError ? "The agent on this machine did not answer. Scan or press again." : String(error.message), "stopped");
  });
  return queue;
};

const request = (of) => ({
  lines: of.lines.map(({ code: name, qty }) => ({ code: name, qty })),
  ...(of.member === "" ? {} : { member_id: of.member }), ...(of.redeem > 0 ? { redeem_points: of.redeem } : {}),
});

// change makes the sale another one, if the agent can say what it costs.
const change = async (next) => {
  if (next.lines.length === 0) {
    [sale, quote] = [{ ...next, redeem: 0 }, null];
  } else {
    const answer = await post("/v1/sales/quote", request(next));
    if (!answer.ok) {
      return answer.body;
    }
    [sale, quote] = [{ ...next, redeem: answer.body.points?.redeemed ?? 0 }, answer.body];
  }
  keep();
  show();
  return null;
};

// What is shown of the sale.
const left = () => (quote === null ? 0 : quote.points?.left_minor ?? quote.total_minor);
const cashLeft = () => (quote === null ? 0 : quote.points?.cash_left_minor ?? quote.cash_total_minor);

const show = () => {
  const focus = document.activeElement?.dataset?.act ? { ...document.activeElement.dataset } : null;
  at("lines").replaceChildren(...sale.lines.map((line, i) => row(quote.lines[i], i, line.code === last)));
  if (focus) {
    (at("lines").querySelector(`[data-act="${focus.act}"][data-line="${focus.line}"]`) ?? code).focus();
  }
  at("nothing").hidden = sale.lines.length > 0 || !at("receipt").hidden;
  const off = quote === null ? 0 : quote.lines.reduce((sum, line) => sum + line.discount_minor, 0);
  at("off-row").hidden = off === 0;
  at("off").textContent = money(-off);
  at("spent-row").hidden = sale.redeem === 0;
  at("spent-what").textContent = `Paid with ${points(sale.redeem)} points`;
  at("spent").textContent = money(-(quote?.points?.redeemed_minor ?? 0));
  at("due").textContent = money(left());
  at("by-card").textContent = quote !== null && left() === 0 ? "Finish" : "Pay by card";
  at("in-cash").hidden = quote !== null && left() === 0;
  at("cash").placeholder = quote === null ? "" : plainMoney(cashLeft());
  at("nobody").hidden = sale.member !== "" || at("asked").childElementCount > 0;
  at("note").hidden = sale.member === "";
  showPoints();
  markCart();
};

// balance is what the member has, as the panel beside the sale knows it.
const balance = () => Number(at("member").querySelector(".shopper")?.dataset.balance ?? 0);
const upTo = (held) => {
  const p = quote?.points;
  const most = p ? Math.min(p.most, Math.floor(held / p.step) * p.step) : 0;
  return most < (p?.minimum ?? 0) ? 0 : most;
};
const mostPoints = () => upTo(Math.max(balance(), quote?.points?.spendable_here ?? 0));
// likely is the most that the agent will not refuse: without the head office only
// what it was lent.
const likely = () => {
  const reached = ["ok", "sending"].includes(document.querySelector("[data-live=chip]").dataset.look);
  return reached ? mostPoints() : upTo(quote?.points?.spendable_here ?? 0);
};
const showPoints = () => {
  const p = quote?.points;
  const spends = at("member").querySelector(".shopper")?.dataset.spends === "true";
  at("points").hidden = !p || !spends;
  if (at("points").hidden) {
    return;
  }
  if (document.activeElement !== at("redeem")) {
    at("redeem").value = String(sale.redeem);
  }
  const most = mostPoints();
  const worth = `${points(p.step)} points pay ${money(p.step_minor)}.`;
  at("redeem-words").textContent = most === 0
    ? `${worth} At least ${points(p.minimum)} are spent at a time, and no more than the member has and the sale comes to.`
    : `${worth} Up to ${points(most)} for this sale, ${points(upTo(p.spendable_here))} of them without asking the head office.`;
};

// redeem asks for so many points to be spent. It ends what was said of the number
// before.
const redeem = (n) => then(async () => {
  refuse(at("points-refusal"), "");
  at("spend-less").hidden = true;
  const trouble = await change({ ...sale, redeem: Math.max(0, Math.min(n, mostPoints())) });
  at("redeem").value = String(sale.redeem);
  if (trouble) {
    refuse(at("points-refusal"), trouble.detail);
  }
});
const step = (sign) => {
  const p = quote?.points;
  if (p) {
    const next = sale.redeem + sign * p.step;
    redeem(next < p.minimum ? (sign > 0 ? p.minimum : 0) : next);
  }
};
at("fewer").addEventListener("click", () => step(-1));
at("more").addEventListener("click", () => step(1));
at("most").addEventListener("click", () => redeem(likely()));
at("spend-less").addEventListener("click", () => redeem(Number(at("spend-less").dataset.points)));
at("redeem").addEventListener("change", () => redeem(Number(ascii(at("redeem").value).replace(/[^\d]/g, "")) || 0));

// Goods.
const withLine = (of, name, qty) => {
  const lines = of.lines.map((line) => ({ ...line }));
  const same = lines.find((line) => line.code === name);
  if (same) {
    same.qty = thousandth(same.qty + qty);
  } else {
    lines.push({ code: name, qty });
  }
  return { ...of, lines };
};
const nextSale = () => {
  if (!at("receipt").hidden) {
    at("receipt").hidden = true;
    at("receipt").replaceChildren();
  }
};
// plain tells whether a line's code means one unit of its item and nothing else,
// such as a price or a case.
const plain = (i) => {
  const [line, quoted] = [sale.lines[i], quote.lines[i]];
  return quoted.qty === line.qty && [quoted.sku, quoted.gtin].includes(/^\d{8,13}$/.test(ascii(line.code)) ? ascii(line.code).padStart(14, "0") : line.code);
};
// add puts goods into the sale: to the line that they are on already, whatever code
// that came by. It gives what the agent says against it, or null.
const add = async (name, qty) => {
  const trouble = await change(withLine(sale, name, qty));
  if (trouble !== null) {
    return trouble;
  }
  let i = sale.lines.findIndex((line) => line.code === name);
  const same = sale.lines.findIndex((_, j) => j !== i && quote.lines[j].sku === quote.lines[i].sku && plain(j) && plain(i));
  if (same >= 0) {
    const lines = sale.lines.map((line, j) => (j === same ? { ...line, qty: thousandth(line.qty + sale.lines[i].qty) } : line)).filter((_, j) => j !== i);
    const { code: kept } = sale.lines[same];
    if (await change({ ...sale, lines }) === null) {
      i = sale.lines.findIndex((line) => line.code === kept);
    }
  }
  last = sale.lines[i].code;
  show();
  say(`${quote.lines[i].name ?? quote.lines[i].sku}: ${quote.lines[i].qty}`, "ok");
  return null;
};
// Of these the agent says that a code is none of goods; it may be one of a card.
const noGoods = ["unknown_code", "bad_check_digit", "bad_length"];

const scan = async (typed) => {
  const text = typed.trim().replace(/^\][A-Za-z]\d(?=M)/, "");
  if (text === "") {
    return;
  }
  nextSale();
  const contact = contactOf(text, false);
  if (contact) {
    await lookUp(contact);
    return;
  }
  const trouble = await add(text, 1);
  if (trouble === null) {
    return;
  }
  if (noGoods.includes(trouble.code)) {
    await lookUp({ by: "card", value: ascii(text) }, trouble.detail);
  } else {
    say(trouble.detail, "stopped");
  }
};
const takeCode = () => {
  const text = code.value;
  code.value = "";
  then(() => scan(text));
};
at("scan").addEventListener("submit", (event) => {
  event.preventDefault();
  takeCode();
  code.focus();
});
// Some scanners end a code with Tab.
code.addEventListener("keydown", (event) => {
  if (event.key === "Tab" && !event.shiftKey && code.value.trim() !== "") {
    event.preventDefault();
    takeCode();
  }
});
at("lines").addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) {
    return;
  }
  then(async () => {
    const i = Number(button.dataset.line);
    const line = sale.lines[i];
    if (!line) {
      return;
    }
    const was = { ...sale };
    const qty = thousandth(line.qty + { plus: 1, less: -1, out: -line.qty }[button.dataset.act]);
    const name = quote.lines[i].name ?? quote.lines[i].sku;
    const lines = sale.lines.flatMap((l, j) => (j !== i ? [l] : qty > 0 ? [{ ...l, qty }] : []));
    last = line.code;
    const trouble = await change({ ...sale, lines });
    if (trouble) {
      say(trouble.detail, "stopped");
      return;
    }
    say(qty > 0 ? `${name}: ${qty}` : `${name} was taken out.`, "ok");
    if (qty <= 0) {
      before = was;
      at("undo").hidden = false;
    }
  });
});
at("undo").addEventListener("click", () => then(async () => {
  if (before !== null) {
    const trouble = await change({ ...sale, lines: before.lines });
    before = null;
    say(trouble ? trouble.detail : "It is back in the sale.", trouble ? "stopped" : "ok");
    code.focus();
  }
}));

// Members. The agent renders who they are; what is shown of each part is kept as
// it came, so that what did not change stays untouched.
let source = null;
let parts = {};
const unfollow = () => {
  source?.close();
  source = null;
};
const showMember = (fresh) => {
  const present = at("member").querySelector(".shopper");
  if (!present || present.dataset.id !== fresh.dataset.id) {
    parts = {};
    for (const part of fresh.querySelectorAll("[data-part]")) {
      parts[part.dataset.part] = part.innerHTML;
    }
    at("member").replaceChildren(fresh);
  } else {
    Object.assign(present.dataset, fresh.dataset);
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const { part: name } = part.dataset;
      if (parts[name] === part.innerHTML) {
        continue;
      }
      const old = present.querySelector(`[data-part="${name}"]`);
      const focus = old.contains(document.activeElement) ? document.activeElement : null;
      parts[name] = part.innerHTML;
      old.replaceChildren(...part.childNodes);
      if (focus) {
        const sku = focus.closest("li")?.dataset.sku;
        ([...old.querySelectorAll(`[data-do="${focus.dataset.do}"]`)].find((b) => b.closest("li")?.dataset.sku === sku) ?? code).focus();
      }
    }
  }
  showPoints();
  markCart();
};
const followMember = (id) => {
  unfollow();
  source = new EventSource("/sell/member/live?id=" + encodeURIComponent(id));
  source.addEventListener("parts", (event) => {
    const fresh = parse(event.data).querySelector(".shopper");
    if (fresh?.dataset.state === "found" && fresh.dataset.id === sale.member) {
      showMember(fresh);
    }
  });
};
addEventListener("pagehide", unfollow);

const leave = async () => {
  unfollow();
  at("member").replaceChildren();
  at("asked").replaceChildren();
  parts = {};
  refuse(at("points-refusal"), "");
  at("spend-less").hidden = true;
  const trouble = await change({ ...sale, member: "", redeem: 0 });
  if (trouble) {
    say(trouble.detail, "stopped");
  }
};
// enter puts a member into the sale, whose prices may be others then.
const enter = async (fresh) => {
  at("asked").replaceChildren();
  if (sale.member !== fresh.dataset.id) {
    sale = { ...sale, redeem: 0 };
  }
  showMember(fresh);
  const trouble = await change({ ...sale, member: fresh.dataset.id });
  if (trouble) {
    say(trouble.detail, "stopped");
    return;
  }
  followMember(fresh.dataset.id);
  say(`Member ${fresh.querySelector("h3").textContent}`, "ok");
};
// words are what is said beside what the agent answers.
const words = {
  several: "More than one member: choose beside.", none: "No member was found.",
  unknown: "Who this is cannot be known now: see beside.", refused: "The member could not be looked up: see beside.",
};
// ask shows what the agent answers; other is what to say where it is nobody's.
const ask = async (query, other) => {
  const answer = await fetch("/sell/member?" + new URLSearchParams(query));
  const html = await answer.text();
  const fresh = answer.ok ? parse(html).querySelector(".shopper") : null;
  if (fresh === null) {
    throw new Error("The member could not be looked up. Scan the card again.");
  }
  if (fresh.dataset.state === "found") {
    await enter(fresh);
    return;
  }
  if (other && fresh.dataset.state === "none") {
    say(`${other} It is no member’s card either.`, "stopped");
    return;
  }
  at("asked").replaceChildren(fresh);
  say(other ? `${other} If it is a member’s card: see beside.` : words[fresh.dataset.state], "trouble");
  show();
};
const lookUp = ({ by, value }, other) => ask({ [by]: value }, other);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-do]");
  const act = button?.dataset.do;
  if (act === "leave") {
    then(leave);
    code.focus();
  } else if (act === "dismiss") {
    at("asked").replaceChildren();
    if (at("member").childElementCount === 0) {
      then(leave);
    }
    show();
    say("Go on without a member.", "ok");
    code.focus();
  } else if (act === "choose") {
    then(() => ask({ id: button.dataset.member }));
    code.focus();
  } else if (act === "enrol") {
    openers.enrol(button.dataset.card);
  } else if (act === "put") {
    putCart([button.closest("li")]);
  } else if (act === "put-all") {
    putCart(cartLines());
  }
});

// The cart. What is in the sale already is not put into it again.
const cartLines = () => [...at("member").querySelectorAll(".cart li[data-sku]")];
const inSale = (sku) => thousandth((quote?.lines ?? []).reduce((sum, line) => sum + (line.sku === sku ? line.qty : 0), 0));
const wanting = (li) => thousandth(Math.max(0, Number(li.dataset.qty) - inSale(li.dataset.sku)));
const markCart = () => {
  for (const li of cartLines()) {
    const n = inSale(li.dataset.sku);
    li.querySelector(".placed").textContent = n > 0 ? `${n} in the sale` : "";
    li.querySelector("[data-do=put]")?.setAttribute("aria-disabled", String(wanting(li) === 0));
  }
  const all = cartLines().filter((li) => li.querySelector("[data-do=put]"));
  at("member").querySelector("[data-do=put-all]")?.setAttribute("aria-disabled", String(all.every((li) => wanting(li) === 0)));
};
const putCart = (list) => then(async () => {
  nextSale();
  const put = [];
  const not = [];
  // Line by line, so that goods which cannot be sold keep no others out.
  for (const li of list) {
    const qty = wanting(li);
    if (qty === 0 || !li.isConnected) {
      continue;
    }
    const name = li.querySelector(".title").textContent;
    if (!li.querySelector("[data-do=put]")) {
      not.push(name);
      continue;
    }
    const trouble = await add(li.dataset.sku, qty);
    (trouble ? not : put).push(name);
  }
  const texts = [put.length > 0 ? `Put into the sale: ${put.join(", ")}.` : "", not.length > 0 ? `Not sold here: ${not.join(", ")}.` : ""];
  say(texts.join(" ").trim() || "All of the cart is in the sale.", not.length > 0 ? "trouble" : "ok");
});

// Payment.
const keyFor = (body) => {
  if (sale.pressed !== body) {
    sale = { ...sale, pressed: body, key: newKey() };
    keep();
  }
  return sale.key;
};
const tenders = (type) => {
  if (left() === 0) {
    return [];
  }
  if (type === "card") {
    return [{ type: "card", amount_minor: left() }];
  }
  const given = at("cash").value.trim() === "" ? cashLeft() : minor(at("cash").value);
  if (given === null) {
    throw new Error("The cash given is not a sum of money. Nothing was sold.");
  }
  return [{ type: "cash", amount_minor: given }];
};
const pay = async (type) => {
  refuse(at("refusal"), "");
  if (quote === null) {
    // The second half of a double click says nothing of the sale that it made.
    refuse(at("refusal"), at("receipt").hidden ? "There is nothing to pay. Scan goods first." : "");
    return;
  }
  const staff = at("staff").value.trim();
  const body = JSON.stringify({ ...request(sale), tenders: tenders(type), ...(staff === "" ? {} : { staff }) });
  const answer = await post("/v1/sales", body, keyFor(body));
  if (answer.status < 500 && answer.body.code !== "in_progress") {
    sale = { ...sale, pressed: "", key: "" };
    keep();
  }
  if (answer.ok) {
    await sold(answer.body);
  } else if (answer.body.code === "points_unavailable") {
    refusePoints(answer.body);
  } else {
    refuse(at("refusal"), answer.body.detail);
  }
};
// refusePoints says why points cannot be spent, and offers what can.
const refusePoints = (problem) => {
  refuse(at("points-refusal"), problem.detail);
  const p = quote?.points;
  const can = Math.min(problem.most ?? Infinity, problem.spendable_here ?? Infinity, p?.most ?? Infinity);
  const offer = Number.isFinite(can) && can > 0 && can !== sale.redeem ? can : 0;
  at("spend-less").dataset.points = String(offer);
  at("spend-less").textContent = offer > 0 ? `Spend ${points(offer)} points` : "Spend no points";
  at("spend-less").hidden = false;
  at("spend-less").focus();
};
const fact = (list, name, value) => {
  const row = document.createElement("div");
  row.append(element("dt", name), element("dd", value));
  list.append(row);
};
const sold = async (doc) => {
  const box = at("receipt");
  const list = element("dl", "", "facts");
  const number = element("bdi", doc.receipt_no, "code");
  number.dir = "ltr";
  const head = element("h3", "Sold. Receipt ");
  head.append(number);
  if (doc.change_minor > 0) {
    fact(list, "Change", money(doc.change_minor));
    list.lastChild.className = "figure";
  }
  fact(list, "Total", money(doc.total_minor));
  if (doc.points_redeemed > 0) {
    fact(list, "Points spent", points(doc.points_redeemed));
  }
  if (doc.member_id !== null) {
    fact(list, "Points earned", points(doc.points_earned));
  }
  box.replaceChildren(head, list, ...doc.warnings.map((w) => warning(doc, w)));
  box.hidden = false;
  sale = { ...sale, lines: [] };
  at("cash").value = "";
  last = "";
  say("", "");
  await leave();
  code.focus();
};
let paying = false;
const payOnce = (type) => {
  if (paying) {
    return;
  }
  paying = true;
  at("pay").setAttribute("aria-busy", "true");
  then(async () => {
    try {
      await pay(type);
    } catch (error) {
      refuse(at("refusal"), error instanceof TypeError ? "The agent on this machine did not answer. Press again: it is sold at most once." : error.message);
    } finally {
      paying = false;
      at("pay").removeAttribute("aria-busy");
    }
  });
};
at("pay").addEventListener("submit", (event) => {
  event.preventDefault();
  payOnce(event.submitter?.value === "cash" || document.activeElement === at("cash") ? "cash" : "card");
});
// Enter in the field of cash is the button of cash.
at("cash").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    payOnce("cash");
  }
});

const openers = dialogs({
  then, nextSale, lookUp, ask, say, code,
  member: () => sale.member,
  empty: () => sale.lines.length === 0 && sale.member === "",
  clear: async () => {
    sale = { ...sale, lines: [], pressed: "", key: "" };
    await leave();
    say("The sale was cleared.", "ok");
  },
});

// Who works here is asked once for a machine.
at("staff").value = localStorage.getItem("staff") ?? "";
at("staff").addEventListener("input", () => localStorage.setItem("staff", at("staff").value.trim()));

// A scan works wherever the focus is, but for fields that are written into.
addEventListener("keydown", (event) => {
  const keys = { F2: openers.ask, F4: () => putCart(cartLines()), F8: () => payOnce("card"), F9: () => payOnce("cash") };
  if (document.querySelector("dialog[open]")) {
    return;
  }
  if (keys[event.key] && !event.altKey && !event.ctrlKey) {
    event.preventDefault();
    keys[event.key]();
    return;
  }
  const writes = document.activeElement?.matches("input:not([type=checkbox]), select, textarea");
  if (!writes && event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
    code.focus();
  }
});

addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});

show();
follow();
then(async () => {
  const kept = recall();
  const trouble = await change(kept);
  if (trouble) {
    say(trouble.detail, "stopped");
  }
  if (sale.member !== "") {
    await ask({ id: sale.member });
  }
});
