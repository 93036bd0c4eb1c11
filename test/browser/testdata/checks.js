({
  // seen tells whether anybody can see an element. What is clipped away is for
  // screen readers alone.
  seen(element) {
    for (let e = element; e; e = e.parentElement) {
      if (getComputedStyle(e).clipPath !== "none") {
        return false;
      }
    }
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  },

  describe(element) {
    const name = element.tagName.toLowerCase() + (element.id ? "#" + element.id : "") + (element.className.baseVal === undefined && element.className ? "." + element.className : "");
    return name + " “" + (element.textContent || "").trim().slice(0, 30) + "”";
  },

  // overflow lists what is wider than the window, or than what it stands in.
  overflow() {
    const root = document.documentElement;
    const width = Math.min(root.clientWidth, innerWidth);
    const wide = [];
    if (root.scrollWidth > width) {
      wide.push(`the page is ${root.scrollWidth} wide in a window of ${width}`);
    }
    for (const e of document.body.querySelectorAll("*")) {
      const box = e.getBoundingClientRect();
      if (this.seen(e) && (box.right > width + 1 || box.left < -1)) {
        wide.push(`${this.describe(e)} reaches from ${box.left} to ${box.right} of ${width}`);
      }
      if (this.seen(e) && e.tagName !== "INPUT" && getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1) {
        wide.push(`${this.describe(e)} is cut off at ${e.clientWidth} of ${e.scrollWidth}`);
      }
    }
    return wide;
  },

  // shredded lists short words that are broken over several lines.
  shredded() {
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode;
      if (!this.seen(node.parentElement)) {
        continue;
      }
      for (const word of node.data.matchAll(/(?<!\S)\S{2,14}(?!\S)/g)) {
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const tops = [...range.getClientRects()].filter((r) => r.width > 0).map((r) => r.top);
        if (tops.length > 1 && Math.max(...tops) - Math.min(...tops) > 4) {
          found.push(`“${word[0]}” in ${this.describe(node.parentElement)}`);
        }
      }
    }
    return found;
  },

  // unlabelled lists fields that are seen, and buttons, that nobody could name.
  unlabelled() {
    const found = [];
    for (const e of document.querySelectorAll("input, select, textarea")) {
      if (!this.seen(e)) {
        continue; // in what is folded or not open
      }
      const named = [...(e.labels || [])].some((label) => label.textContent.trim() !== "" && this.seen(label));
      if (!named) {
        found.push(this.describe(e));
      }
    }
    for (const e of document.querySelectorAll("button, a")) {
      if (e.textContent.trim() === "") {
        found.push(this.describe(e));
      }
    }
    return found;
  },

  // focusable counts what the Tab key has to reach.
  focusable() {
    return [...document.querySelectorAll("input, select, textarea, button, a[href], [tabindex]")].filter((e) => e.tabIndex >= 0 && this.seen(e)).length;
  },

  // focus says how the element with the focus can be told from the others.
  focus() {
    const e = document.activeElement;
    const style = getComputedStyle(e);
    return {
      Name: this.describe(e),
      Body: e === document.body,
      Visible: e.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
      Contrast: this.ratio(this.parse(style.outlineColor), this.background(e.parentElement)),
    };
  },

  parse(text) {
    const parts = text.match(/^rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)$/);
    if (!parts) {
      throw new Error("not a colour that can be read: " + text);
    }
    return { rgb: parts.slice(1, 4).map(Number), alpha: parts[4] === undefined ? 1 : Number(parts[4]) };
  },

  over(front, back) {
    return { rgb: front.rgb.map((c, i) => c * front.alpha + back.rgb[i] * (1 - front.alpha)), alpha: 1 };
  },

  // background is what is painted behind an element's text.
  background(element) {
    if (!element) {
      return { rgb: [255, 255, 255], alpha: 1 };
    }
    const own = this.parse(getComputedStyle(element).backgroundColor);
    return own.alpha === 1 ? own : this.over(own, this.background(element.parentElement));
  },

  // ratio is the contrast of two colours as WCAG 2 defines it.
  ratio(front, back) {
    const luminance = ({ rgb }) => {
      const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [light, dark] = [luminance(this.over(front, back)), luminance(back)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  },

  // texts are all pieces of text that are seen, with their contrast.
  texts() {
    const found = [];
    for (const e of document.body.querySelectorAll("*")) {
      if (!this.seen(e) || e.closest("svg")) {
        continue;
      }
      const back = this.background(e);
      const add = (what, style) => found.push({ Text: what, Contrast: this.ratio(this.parse(style.color), back) });
      if (e.tagName === "INPUT") {
        add(this.describe(e), getComputedStyle(e));
        add(this.describe(e) + " placeholder", getComputedStyle(e, "::placeholder"));
      }
      if ([...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim() !== "")) {
        add(this.describe(e), getComputedStyle(e));
      }
      const before = getComputedStyle(e, "::before");
      if (!["none", "normal"].includes(before.content)) {
        add(this.describe(e) + " before", before);
      }
    }
    return found;
  },

  // backwards lists texts within an element that do not run from left to right
  // as they are written. What stands isolated is left alone.
  backwards(selector) {
    const found = [];
    for (const root of document.querySelectorAll(selector)) {
      const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const node = walk.currentNode;
        const text = node.data.trimEnd();
        const start = text.length - text.trimStart().length;
        if (!/^[ -~·–]{2,}$/.test(text.slice(start)) || !this.seen(node.parentElement)) {
          continue;
        }
        const at = (i) => {
          const range = document.createRange();
          range.setStart(node, i);
          range.setEnd(node, i + 1);
          return range.getBoundingClientRect();
        };
        for (let i = start; i + 1 < text.length; i++) {
          const [one, next] = [at(i), at(i + 1)];
          if (one.width > 0 && next.width > 0 && Math.abs(one.top - next.top) < 2 && next.left < one.left) {
            found.push(`“${text.slice(start)}” from its character ${i - start + 1} on`);
            break;
          }
        }
      }
    }
    return found;
  },
})
