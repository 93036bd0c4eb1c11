// The page of members. The hub renders who a member is, masked; what people do goes
// to the HTTP API that other programs use.
(() => {
  "use strict";

  const at = (id) => document.getElementById(id);
  const found = at("found");
  const say = (text) => {
    at("said").textContent = text;
  };
  const ascii = (text) => text.replace(/[۰-۹]/g, (d) => d.charCodeAt(0) - 0x6f0).replace(/[٠-٩]/g, (d) => d.charCodeAt(0) - 0x660);
  const member = () => found.querySelector(".person")?.dataset.member ?? "";

  // Who works here is asked once for a machine.
  at("staff").value = localStorage.getItem("staff") ?? "";
  at("staff").addEventListener("input", () => localStorage.setItem("staff", at("staff").value.trim()));

  // look shows whom a text is of; a later question ends an earlier one.
  let asked = null;
  const look = async (q) => {
    asked?.abort();
    asked = new AbortController();
    const answer = await fetch("/members/found?" + new URLSearchParams({ q }), { signal: asked.signal });
    const html = await answer.text();
    if (!answer.ok) {
      throw new Error("The hub could not look the member up. Try again.");
    }
    found.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  };

  // One press is one key, also when it is sent again because no answer came.
  let pressed = { body: "", key: "" };
  const keyFor = (body) => {
    if (pressed.body !== body) {
      pressed = { body, key: "page-" + [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("") };
    }
    return pressed.key;
  };
  // act sends a request about the member, and shows them anew.
  const act = async (method, rest, of, done) => {
    const id = member();
    const body = of === null ? "" : JSON.stringify(of);
    const headers = of === null ? {} : { "Content-Type": "application/json", "Idempotency-Key": keyFor(id + rest + body) };
    const answer = await fetch(`/v1/members/${encodeURIComponent(id)}${rest}`, { method, headers, ...(of === null ? {} : { body }) });
    const reply = await answer.json();
    if (answer.status < 500) {
      pressed = { body: "", key: "" }; // The next press is another one.
    }
    if (!answer.ok) {
      throw new Error(reply.detail);
    }
    await look(id);
    say(done);
  };

  const acts = {
    points: (form, staff) => {
      const n = Number(ascii(form.querySelector("#points-n").value).trim().replace("−", "-"));
      if (!Number.isSafeInteger(n) || n === 0) {
        throw new Error("The points are not a whole number. Nothing was recorded.");
      }
      return act("POST", "/points", { points: n, reason: form.querySelector("#points-why").value.trim(), staff }, "The points are changed.");
    },
    note: (form, staff) => act("POST", "/timeline", {
      channel: "phone", kind: "note", text: form.querySelector("#note").value, open: form.querySelector("#open").checked, staff,
    }, "It is written down."),
    close: (button, staff) => act("POST", `/timeline/${encodeURIComponent(button.dataset.entry)}/close`, { staff, text: "" }, "It is dealt with."),
    credit: (button, staff) => act("POST", `/leases/${encodeURIComponent(button.dataset.holder)}/credit`, { staff, reason: "given back on the page of members" }, "The points are back on the account."),
    erase: () => {
      at("erase-word").value = "";
      refuse("");
      at("erase").showModal();
    },
  };
  let busy = false;
  const run = async (work) => {
    if (busy) {
      return;
    }
    busy = true;
    say("");
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") {
        say(error instanceof TypeError ? "The hub did not answer. Press again: it is recorded at most once." : error.message);
      }
    } finally {
      busy = false;
    }
  };
  const start = (name, element) => {
    const staff = at("staff").value.trim();
    if (name !== "erase" && staff === "") {
      say("Say who you are first. Nothing was recorded.");
      at("staff").focus();
      return;
    }
    run(async () => acts[name](element, staff));
  };

  at("look").addEventListener("submit", (event) => {
    event.preventDefault();
    run(() => look(ascii(at("q").value).trim()));
    at("q").select();
  });
  found.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.choose) {
      run(() => look(button.dataset.choose));
    } else if (button?.dataset.act) {
      start(button.dataset.act, button);
    }
  });
  found.addEventListener("submit", (event) => {
    event.preventDefault();
    start(event.target.dataset.act, event.target);
  });

  const refuse = (text) => {
    const line = at("erase-form").querySelector(".refusal");
    line.textContent = text;
    line.hidden = text === "";
  };
  document.querySelector("[data-close]").addEventListener("click", () => at("erase").close());
  at("erase-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (at("erase-word").value.trim() !== member()) {
      refuse("That is not this member’s id. Nothing was erased.");
      return;
    }
    at("erase").close();
    run(() => act("DELETE", "", null, "The member is erased here, and in each store once it is heard."));
  });
})();
