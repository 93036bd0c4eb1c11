// The page of orders. The server renders every order and what can be done about
// it; this script puts in what changed, and sends the forms to the HTTP API.
(() => {
  "use strict";

  const field = document.getElementById("q");
  const staff = document.getElementById("staff");
  const found = document.getElementById("found");
  const news = document.getElementById("news");
  const stale = document.getElementById("stale");
  const staleMs = 3000; // how long contact may be lost before the page says so

  const parse = (html) => new DOMParser().parseFromString(html, "text/html");
  const cards = (root) => [...root.querySelectorAll("article.card")];
  const ascii = (text) => text.replace(/[۰-۹]/g, (d) => d.charCodeAt(0) - 0x6f0).replace(/[٠-٩]/g, (d) => d.charCodeAt(0) - 0x660);

  // whole keeps a number together where a line ends.
  const whole = (number) => number.replaceAll("-", "\u2011");

  // Who works here is asked once for a machine.
  staff.value = localStorage.getItem("staff") ?? "";
  staff.addEventListener("input", () => {
    localStorage.setItem("staff", staff.value.trim());
    for (const form of document.querySelectorAll("form[data-act]")) {
      refuse(form, "");
    }
    lockAll();
  });

  // lock keeps people from working on what somebody else picks. The agent would
  // refuse it; the page says so before.
  const lock = (card) => {
    const other = card.dataset.picker !== "" && card.dataset.picker !== staff.value.trim();
    for (const button of card.querySelectorAll("form button")) {
      button.setAttribute("aria-disabled", String(other));
    }
  };
  const lockAll = () => cards(document).forEach(lock);

  // What was typed into a card outlives a new rendering of it.
  const typed = (card) => [...card.querySelectorAll("input[id], select[id], details")].map((e, i) => ({
    id: e.id || `details-${i}`, value: e.value, checked: e.checked, open: e.open, changed: e.value !== e.defaultValue,
  }));
  const retype = (card, kept) => {
    for (const e of card.querySelectorAll("input[id], select[id]")) {
      const old = kept.find((k) => k.id === e.id);
      if (old && (old.changed || e.tagName === "SELECT")) {
        e.value = old.value;
      }
    }
  };

  const adoptCard = (present, fresh) => {
    if (present.dataset.mark === fresh.dataset.mark) {
      const age = present.querySelector("[data-part=age]");
      const now = fresh.querySelector("[data-part=age]");
      if (age.textContent !== now.textContent || age.dataset.look !== now.dataset.look) {
        age.dataset.look = now.dataset.look;
        age.textContent = now.textContent;
      }
      return present;
    }
    const focus = present.contains(document.activeElement) ? document.activeElement.id : null;
    retype(fresh, typed(present));
    present.replaceWith(fresh);
    if (focus !== null) {
      (document.getElementById(focus) ?? fresh.querySelector("button.main") ?? field).focus();
    }
    return fresh;
  };

  let known = null; // the orders that were there before
  const showSections = (fresh) => {
    const arrived = [];
    const left = new Set(cards(fresh).map((card) => card.id));
    for (const section of fresh.querySelectorAll("#sections > section")) {
      const here = document.getElementById(section.id);
      const list = here.querySelector(".cards");
      here.hidden = section.hidden;
      here.querySelector(".empty").hidden = section.querySelector(".empty").hidden;
      cards(section).forEach((card, i) => {
        const present = document.getElementById(card.id);
        if (present === null && known !== null && !known.has(card.dataset.id)) {
          arrived.push(card.dataset.number);
        }
        const shown = present === null ? card : adoptCard(present, card);
        if (list.children[i] !== shown) {
          const focus = shown.contains(document.activeElement) ? document.activeElement : null;
          list.insertBefore(shown, list.children[i] ?? null);
          focus?.focus();
        }
        lock(shown);
      });
    }
    for (const card of cards(document)) {
      if (!left.has(card.id)) {
        const focused = card.contains(document.activeElement);
        card.remove();
        if (focused) {
          field.focus();
        }
      }
    }
    known = new Set(cards(document).map((card) => card.dataset.id));
    if (arrived.length > 0) {
      news.textContent = `New order: ${arrived.map(whole).join(", ")}.`;
    }
    filter();
  };

  const showParts = (html) => {
    const fresh = parse(html);
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const present = document.querySelector(`[data-live="${part.dataset.live}"]`);
      if (!present) {
        continue;
      }
      if (part.dataset.look) {
        present.dataset.look = part.dataset.look;
      }
      if (part.querySelector("[data-live]") === null && present.innerHTML !== part.innerHTML) {
        present.replaceChildren(...part.childNodes);
      }
    }
    showSections(fresh);
  };

  // Contact with the agent on this machine.
  let lost = 0;
  const contact = () => {
    clearTimeout(lost);
    lost = 0;
    stale.hidden = true;
    stale.textContent = "";
  };
  const follow = () => {
    const source = new EventSource("/orders/live");
    source.addEventListener("open", contact);
    source.addEventListener("parts", (event) => {
      contact();
      showParts(event.data);
    });
    source.addEventListener("error", () => {
      lost ||= setTimeout(() => {
        stale.hidden = false;
        stale.textContent = document.getElementById("stale-text").content.textContent;
      }, staleMs);
      if (source.readyState === EventSource.CLOSED) {
        source.close();
        setTimeout(follow, staleMs);
      }
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  };

  // Finding an order: by a scanned code, or among what the cards are found by.
  let sought = "";
  const filter = () => {
    for (const card of cards(document)) {
      card.hidden = sought !== "" && !card.dataset.find.includes(sought);
    }
  };
  const seek = (text) => {
    sought = text;
    filter();
    return cards(document).filter((card) => !card.hidden);
  };

  // readToken is the store and the order that a scanned code names.
  const readToken = (text) => {
    try {
      const bytes = Uint8Array.from(atob(text.slice(4).replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
      const storeEnd = 1 + bytes[0];
      const orderEnd = storeEnd + 1 + bytes[storeEnd];
      const decode = (from, to) => new TextDecoder().decode(bytes.subarray(from, to));
      return { store: decode(1, storeEnd), order: decode(storeEnd + 1, orderEnd) };
    } catch {
      return null;
    }
  };

  const focusOn = (card) => {
    document.querySelector(".sought")?.classList.remove("sought");
    card.classList.add("sought");
    card.scrollIntoView({ block: "nearest" });
    (card.querySelector("input[name=pickup_code]") ?? card.querySelector("button.main"))?.focus();
  };

  const find = (text) => {
    found.textContent = "";
    if (text.startsWith("cp1.")) {
      const token = readToken(text);
      seek("");
      field.value = "";
      const card = token && document.getElementById(`order-${token.order}`);
      const code = card?.querySelector("input[name=pickup_code]");
      if (code) {
        code.closest("details:not([open])")?.setAttribute("open", "");
        code.value = text;
        focusOn(card);
        card.querySelector("form[data-act=hand-over] button.main").focus();
        found.textContent = `Order ${card.dataset.number}. Check that it is all there, then hand it over.`;
      } else if (card) {
        focusOn(card);
        found.textContent = `Order ${card.dataset.number} is not ready to be handed over.`;
      } else {
        found.textContent = token ? `This code is for an order that is not open here (store ${token.store}). It was handed over or canceled, or another store keeps it.` : "That code cannot be read. Scan it again.";
      }
      return;
    }
    const wanted = ascii(text).trim().toLowerCase();
    const hits = seek(wanted);
    if (wanted === "") {
      return;
    }
    if (hits.length === 1) {
      focusOn(hits[0]);
      found.textContent = `Order ${hits[0].dataset.number}.`;
      return;
    }
    if (hits.length > 1) {
      found.textContent = `${hits.length} orders fit. Type more, or empty the field to see all.`;
      return;
    }
    seek("");
    const code = /^[0-9a-z]{4}[- ]?[0-9a-z]{4}$/.test(wanted);
    found.textContent = code
      ? "No order has that number. If it is a pickup code, find the order by its number or the phone first, then type the code there."
      : "No open order fits. Check the number, or ask which store the shopper was told.";
  };

  document.getElementById("find").addEventListener("submit", (event) => {
    event.preventDefault();
    find(field.value);
    if (document.activeElement === field) {
      field.select();
    }
  });
  field.addEventListener("input", () => {
    if (field.value === "") {
      find("");
    }
  });
  // A scan works wherever the focus is, but for fields that are written into.
  addEventListener("keydown", (event) => {
    const at = document.activeElement;
    const writes = at && at.matches("input:not([type=checkbox]), select, textarea");
    if (!writes && event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      field.focus();
      field.select();
    }
  });

  // Quantities found.
  const number = (text) => Number(ascii(text).trim().replace(",", "."));
  // instead is what is taken in the place of a line: null where there is no code.
  const instead = (form, line) => {
    const code = form.querySelector(`[data-instead="${line}"]`)?.value.trim() ?? "";
    return code === "" ? null : { line: Number(line), qty: number(form.querySelector(`[data-instead-qty="${line}"]`).value), code };
  };
  const showShort = (form) => {
    const short = [...form.querySelectorAll("[data-line]")].filter(
      (input) => number(input.value) + (instead(form, input.dataset.line)?.qty || 0) < number(input.dataset.ordered),
    );
    form.querySelector(".short").textContent = short.length === 0 ? "" :
      `${short.length === 1 ? "One line is" : `${short.length} lines are`} short. The rest is given up and taken out of the book.`;
  };
  document.addEventListener("click", (event) => {
    const step = event.target.closest?.("[data-step]");
    if (!step || step.getAttribute("aria-disabled") === "true") {
      return;
    }
    const input = step.parentElement.querySelector("input");
    const now = number(input.value) + Number(step.dataset.step);
    input.value = String(Math.max(0, Math.min(number(input.dataset.ordered), Number.isFinite(now) ? now : 0)));
    showShort(step.form);
  });
  // replace keeps what was found and what is taken instead within what was ordered.
  // A code without a quantity stands for all that was not found, or for one.
  const replace = (form, line, typed) => {
    const input = form.querySelector(`[data-line="${line}"]`);
    const qty = form.querySelector(`[data-instead-qty="${line}"]`);
    const ordered = number(input.dataset.ordered);
    if (!typed && qty.value.trim() === "") {
      qty.value = String(Math.max(ordered - number(input.value), Math.min(1, ordered)));
    }
    if (number(input.value) + number(qty.value) > ordered) {
      input.value = String(Math.max(0, Math.round((ordered - number(qty.value)) * 1000) / 1000));
    }
    showShort(form);
  };
  document.addEventListener("input", (event) => {
    const { form, dataset } = event.target;
    if (event.target.matches("[data-line]")) {
      showShort(form);
    } else if (event.target.matches("[data-instead-qty]")) {
      replace(form, dataset.insteadQty, true);
    } else if (event.target.matches("[data-instead]") && event.target.value.trim() !== "") {
      replace(form, dataset.instead, false);
    }
  });
  // A scanner ends a code with Enter, which is not yet the word that all is picked.
  const keepEnter = (event) => {
    if (event.key !== "Enter" || !event.target.matches?.("[data-instead], [data-instead-qty]")) {
      return;
    }
    event.preventDefault();
    if (event.type === "keydown" && event.target.matches("[data-instead]")) {
      const qty = event.target.form.querySelector(`[data-instead-qty="${event.target.dataset.instead}"]`);
      qty.focus();
      qty.select();
    }
  };
  document.addEventListener("keydown", keepEnter);
  document.addEventListener("keypress", keepEnter);

  // minor makes integer minor units of an amount, null where it is none.
  const minor = (text, digits) => {
    const match = /^(\d+)(?:\.(\d*))?$/.exec(ascii(text).trim().replace(",", "."));
    if (!match || (match[2] ?? "").length > digits) {
      return null;
    }
    return Number(match[1] + (match[2] ?? "").padEnd(digits, "0"));
  };

  // request makes the body of a form's request, or throws what is missing.
  const request = (form, who) => {
    const body = { staff: who };
    const value = (name) => form.elements[name]?.value.trim() ?? "";
    for (const name of ["reason", "shelf", "bay", "car"]) {
      if (value(name) !== "") {
        body[name] = value(name);
      }
    }
    if ("lines" in form.dataset) {
      const entries = [...form.querySelectorAll("[data-line]")];
      body.lines = entries.flatMap((input) => {
        const other = instead(form, input.dataset.line);
        return [{ line: Number(input.dataset.line), qty: number(input.value) }, ...(other === null ? [] : [other])];
      });
      if (body.lines.some((line) => !Number.isFinite(line.qty))) {
        throw new Error("A quantity is not a number. Nothing was recorded.");
      }
    }
    if (form.dataset.act !== "hand-over") {
      return body;
    }
    if (value("pickup_code") !== "") {
      body.pickup_code = value("pickup_code");
    } else if (value("phone_digits") !== "") {
      if (!form.elements.checked.checked) {
        throw new Error("Say that you know who this is. Nothing was handed over.");
      }
      body.check = { phone_digits: ascii(value("phone_digits")) };
    }
    if (form.dataset.due !== "" && Number(form.dataset.due) > 0) {
      const amount = minor(value("amount"), Number(form.dataset.digits));
      if (amount === null) {
        throw new Error("The amount is not a sum of money. Nothing was handed over.");
      }
      body.tenders = [{ type: value("tender"), amount_minor: amount }];
    }
    return body;
  };

  // One press is one key, also when it is sent again because no answer came.
  const keyFor = (form, body) => {
    if (form.pressed !== body) {
      const random = crypto.getRandomValues(new Uint8Array(16));
      form.key = "page-" + [...random].map((b) => b.toString(16).padStart(2, "0")).join("");
      form.pressed = body;
    }
    return form.key;
  };

  const refuse = (form, text) => {
    const line = form.querySelector(".refusal");
    line.textContent = text;
    line.hidden = text === "";
  };

  const done = {
    accept: "accepted", pick: "you are picking it", picked: "picked", ready: "ready", arrive: "the shopper waits outside",
    "hand-over": "handed over", "put-back": "put back", undo: "undone", reject: "rejected",
  };

  const money = (amount, currency) => {
    const format = new Intl.NumberFormat("en-GB", { style: "currency", currency });
    return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
  };

  // handedOver notes what this page handed over, with the change to give.
  const handedOver = async (order) => {
    const row = document.createElement("li");
    const text = document.createElement("bdi");
    text.textContent = `${order.number}: handed over${order.receipt_no ? `, receipt ${order.receipt_no}` : ""}`;
    row.append(text);
    document.getElementById("handed").prepend(row);
    document.getElementById("done").hidden = false;
    news.textContent = text.textContent + ".";
    if (!order.receipt_no) {
      return;
    }
    const answer = await fetch("/v1/sales/" + encodeURIComponent(order.receipt_no));
    if (answer.ok) {
      const sale = await answer.json();
      if (sale.change_minor > 0) {
        const change = document.createElement("strong");
        change.textContent = `Change ${money(sale.change_minor, sale.currency)}`;
        row.append(change);
      }
    }
  };

  const send = async (form) => {
    const card = form.closest("article");
    const who = staff.value.trim();
    if (who === "") {
      refuse(form, "Say who you are first, at the top. Nothing was recorded.");
      staff.focus();
      return;
    }
    if (card.dataset.picker !== "" && card.dataset.picker !== who) {
      refuse(form, `${card.dataset.picker} is picking this order. Nothing was recorded.`);
      return;
    }
    refuse(form, "");
    const body = JSON.stringify(request(form, who));
    const answer = await fetch(`/v1/orders/${encodeURIComponent(card.dataset.id)}/${form.dataset.act}`, {
      method: "POST", body, headers: { "Content-Type": "application/json", "Idempotency-Key": keyFor(form, body) },
    });
    const reply = await answer.json();
    if (answer.status < 500 && reply.code !== "in_progress") {
      form.pressed = null; // The next press is another one.
    }
    if (!answer.ok) {
      refuse(form, reply.detail);
      return;
    }
    news.textContent = `Order ${whole(card.dataset.number)}: ${done["lines" in form.dataset ? "picked" : form.dataset.act]}.`;
    if (form.dataset.act === "hand-over") {
      await handedOver(reply);
    }
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.act) {
      return;
    }
    event.preventDefault();
    if (form.busy) {
      return;
    }
    form.busy = true;
    form.setAttribute("aria-busy", "true");
    try {
      await send(form);
    } catch (error) {
      refuse(form, error instanceof TypeError ? "The agent on this machine did not answer. Press again: it is recorded at most once." : error.message);
    } finally {
      form.busy = false;
      form.removeAttribute("aria-busy");
    }
  });

  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      location.reload();
    }
  });
  lockAll();
  known = new Set(cards(document).map((card) => card.dataset.id));
  follow();
})();
