// The forms beside the sale on the page to sell at: finding a member, enrolling one,
// noting something down, and clearing the sale.
import { ascii, contactOf, newKey, post, refuse } from "./sell-text.js";

const at = (id) => document.getElementById(id);

// dialogs makes them work, and gives what opens them. What concerns the sale is
// done by what it is given.
export const dialogs = ({ then, nextSale, lookUp, ask, say, code, member, empty, clear }) => {
  const open = (dialog) => {
    for (const line of dialog.querySelectorAll(".refusal")) {
      refuse(line, "");
    }
    dialog.showModal();
    dialog.querySelector("input")?.select();
  };
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("close", () => code.focus());
  }
  at("ask").addEventListener("click", () => open(at("ask-dialog")));
  at("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = at("contact").value.trim();
    const line = at("ask-form").querySelector(".refusal");
    if (text === "") {
      refuse(line, "Type a phone number, an e-mail address or a card.");
      return;
    }
    at("contact").value = "";
    at("ask-dialog").close();
    nextSale();
    then(() => lookUp(contactOf(text, true) ?? { by: "card", value: ascii(text) }));
  });
  const openEnrol = (card) => {
    at("enrol-form").reset();
    at("enrol-form").key = newKey();
    at("new-card").value = card ?? "";
    open(at("enrol-dialog"));
  };
  at("enrol").addEventListener("click", () => openEnrol(""));
  const enrol = async () => {
    const staff = at("staff").value.trim();
    const given = {};
    for (const name of ["name", "phone", "email", "card"]) {
      const value = at("new-" + name).value.trim();
      if (value !== "") {
        given[name] = name === "phone" ? ascii(value) : value;
      }
    }
    const consents = [["new-news", "email"], ["new-sms", "sms"]].filter(([id]) => at(id).checked)
      .map(([, channel]) => ({ channel, purpose: "marketing", granted: true, source: "till" }));
    const line = at("enrol-form").querySelector(".refusal");
    if (!given.phone && !given.email) {
      refuse(line, "Type a phone number or an e-mail address, so that the member is found again. Nothing was recorded.");
      return;
    }
    const body = JSON.stringify({ ...given, consents, ...(staff === "" ? {} : { staff }) });
    if (at("enrol-form").body !== body) {
      at("enrol-form").body = body;
      at("enrol-form").key = newKey();
    }
    const answer = await post("/v1/members", body, at("enrol-form").key);
    if (!answer.ok) {
      refuse(line, answer.body.detail);
      return;
    }
    at("enrol-dialog").close();
    at("enrol-form").reset();
    nextSale();
    await ask({ id: answer.body.id });
  };
  at("enrol-form").addEventListener("submit", (event) => {
    event.preventDefault();
    then(() => enrol().catch(() => refuse(at("enrol-form").querySelector(".refusal"), "The agent on this machine did not answer. Press again: it is recorded once.")));
  });
  at("note").addEventListener("submit", (event) => {
    event.preventDefault();
    then(async () => {
      const form = at("note");
      const staff = at("staff").value.trim();
      const body = JSON.stringify({ channel: "store", kind: "note", text: at("note-text").value, open: at("note-open").checked, ...(staff === "" ? {} : { staff }) });
      if (form.body !== body) {
        form.body = body;
        form.key = newKey();
      }
      const answer = await post(`/v1/members/${encodeURIComponent(member())}/timeline`, body, form.key);
      refuse(form.querySelector(".refusal"), answer.ok ? "" : answer.body.detail);
      if (answer.ok) {
        form.body = "";
        form.reset();
        say("The note is kept.", "ok");
        code.focus();
      }
    });
  });
  at("clear").addEventListener("click", () => {
    if (!empty()) {
      at("clear-dialog").showModal();
    }
  });
  at("clear-dialog").addEventListener("close", () => {
    if (at("clear-dialog").returnValue === "clear") {
      at("clear-dialog").returnValue = "";
      then(clear);
    }
  });
  return { ask: () => open(at("ask-dialog")), enrol: openEnrol };
};
