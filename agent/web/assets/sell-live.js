// The page's contact with the agent on this machine, and the agent's word on the
// way to the hub.
import { parse } from "./sell-text.js";

const at = (id) => document.getElementById(id);
const staleMs = 3000; // how long contact may be lost before the page says so

let lost = 0;
const contact = () => {
  clearTimeout(lost);
  lost = 0;
  at("stale").hidden = true;
  at("stale").textContent = "";
};
export const follow = () => {
  const live = new EventSource("/live");
  live.addEventListener("open", contact);
  live.addEventListener("parts", (event) => {
    contact();
    for (const part of parse(event.data).querySelectorAll("[data-live]")) {
      const present = document.querySelector(`[data-live="${part.dataset.live}"]`);
      if (present && part.dataset.look) {
        present.dataset.look = part.dataset.look;
      }
      if (present && part.querySelector("[data-live]") === null && present.innerHTML !== part.innerHTML) {
        present.replaceChildren(...part.childNodes);
      }
    }
  });
  live.addEventListener("error", () => {
    lost ||= setTimeout(() => {
      at("stale").hidden = false;
      at("stale").textContent = at("stale-text").content.textContent;
    }, staleMs);
    if (live.readyState === EventSource.CLOSED) {
      live.close();
      setTimeout(follow, staleMs);
    }
  });
  addEventListener("pagehide", () => live.close(), { once: true });
};
