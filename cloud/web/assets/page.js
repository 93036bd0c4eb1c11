// The page is complete without this script. It puts what the server rendered
// anew in the place of what is there.
(() => {
  "use strict";

  const fleet = document.getElementById("fleet");
  const stale = document.getElementById("stale");
  const staleMs = 3000; // how long contact may be lost before the page says so

  const parse = (html) => new DOMParser().parseFromString(html, "text/html").body;

  // Rows that look the same stay, so that a large table costs little.
  const keepRows = (fresh) => {
    const present = new Map();
    for (const row of fleet.querySelectorAll("tr[data-store]")) {
      present.set(row.dataset.store, row);
    }
    for (const row of fresh.querySelectorAll("tr[data-store]")) {
      const old = present.get(row.dataset.store);
      if (old && old.innerHTML === row.innerHTML) {
        row.replaceWith(old);
      }
    }
  };

  const show = (html) => {
    const fresh = parse(html);
    keepRows(fresh);
    fleet.replaceChildren(...fresh.childNodes);
  };

  let lost = 0;
  const contact = () => {
    clearTimeout(lost);
    lost = 0;
    stale.hidden = true;
  };
  const noContact = () => {
    if (lost === 0) {
      lost = setTimeout(() => {
        stale.hidden = false;
      }, staleMs);
    }
  };

  let source = null;
  const follow = () => {
    source = new EventSource("/live");
    source.addEventListener("open", contact);
    source.addEventListener("fleet", (event) => {
      contact();
      show(event.data);
    });
    source.addEventListener("error", () => {
      noContact();
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(follow, 2000);
      }
    });
  };
  follow();
})();
