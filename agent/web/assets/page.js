// The page is complete without this script. It replaces the parts that the
// server rendered anew, and searches without leaving the page.
(() => {
  "use strict";

  const results = document.getElementById("results");
  const form = document.getElementById("find");
  const field = document.getElementById("q");
  const stale = document.getElementById("stale");
  const staleMs = 3000; // how long contact may be lost before the page says so
  const typingMs = 200; // how long a pause ends a word

  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  // adopt shows what fresh holds in the place of what is there. Equal content
  // stays untouched, so that it is neither announced again nor deselected.
  const adopt = (present, fresh) => {
    if (fresh.dataset.look) {
      present.dataset.look = fresh.dataset.look;
    }
    const whole = fresh.querySelector("[data-live]") === null;
    if (whole && present.innerHTML !== fresh.innerHTML) {
      present.replaceChildren(...fresh.childNodes);
    }
  };

  const showParts = (html) => {
    const fresh = parse(html).querySelectorAll("[data-live]");
    for (const part of fresh) {
      const present = document.querySelector(`[data-live="${part.dataset.live}"]`);
      if (present) {
        adopt(present, part);
      }
    }
  };

  // Contact with the agent on this machine, which is not the agent's contact
  // with the hub.
  let lost = 0;
  const contact = () => {
    clearTimeout(lost);
    lost = 0;
    if (!stale.hidden) {
      stale.hidden = true;
      stale.textContent = "";
    }
  };
  const noContact = () => {
    if (lost === 0) {
      lost = setTimeout(() => {
        stale.hidden = false;
        stale.textContent = document.getElementById("stale-text").content.textContent;
      }, staleMs);
    }
  };

  const follow = () => {
    const source = new EventSource("/live");
    source.addEventListener("open", contact);
    source.addEventListener("parts", (event) => {
      contact();
      showParts(event.data);
      if (field.value.trim() !== "" && shown !== null) {
        find(shown, true);
      }
    });
    source.addEventListener("error", () => {
      noContact();
      if (source.readyState === EventSource.CLOSED) {
        source.close();
        setTimeout(follow, staleMs);
      }
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  };

  // shown is the query that the results belong to.
  let shown = new URLSearchParams(location.search).get("q");
  let asked = null;
  let typing = 0;

  // find asks for hits; a later question ends an earlier one. A quiet question
  // only brings the hits that are shown up to date.
  const find = async (query, quiet) => {
    if (asked) {
      asked.abort();
    }
    const mine = new AbortController();
    asked = mine;
    try {
      const answer = await fetch("/find?q=" + encodeURIComponent(query), { signal: mine.signal });
      const html = await answer.text();
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const fresh = parse(html).body;
      if (results.innerHTML.trim() !== fresh.innerHTML.trim()) {
        results.replaceChildren(...fresh.childNodes);
      }
      shown = query;
      if (!quiet) {
        history.replaceState(null, "", query.trim() === "" ? "/" : "/?q=" + encodeURIComponent(query));
      }
    } catch (error) {
      if (error.name !== "AbortError" && !quiet) {
        results.textContent = document.getElementById("find-text").content.textContent;
      }
    } finally {
      if (asked === mine) {
        asked = null;
      }
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    find(field.value, false);
    // The next scan replaces this one.
    field.select();
  });
  field.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => find(field.value, false), typingMs);
  });

  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      location.reload();
    }
  });
  follow();
})();
