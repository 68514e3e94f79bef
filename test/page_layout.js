// The faults of a page's layout, as lines of text. Every element lies inside of the viewport, and of each box that would
// cut it off; only boxes that scroll may hold wider ones. Text has room for a word: no line of single letters. Cards,
// figures, tables and texts of plots do not overlap their neighbors.
(() => {
  const faults = [], seen = new Set();
  const name = e => e.tagName.toLowerCase() + (e.className.baseVal === undefined && e.className ? "." + e.className : "")
    + " " + (e.textContent || "").trim().slice(0, 40);
  const scrolls = e => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const cuts = e => ["hidden", "clip"].includes(getComputedStyle(e).overflowX);
  const add = (e, why) => { if (seen.size < 20) { seen.add(e); faults.push(name(e) + ": " + why); } };
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push("the page is wider than the window: " + root.scrollWidth);
  for (const e of document.querySelectorAll("main *")) {
    if (e.closest("svg") || getComputedStyle(e).display === "none") continue;
    const r = e.getBoundingClientRect();
    if (!r.width && !r.height) continue;
    let box = e.parentElement, limit = [0, root.clientWidth];
    while (box && box !== document.body && !scrolls(box)) {
      if (cuts(box)) { const b = box.getBoundingClientRect(); limit = [b.left, b.right]; break; }
      box = box.parentElement;
    }
    if (!(box && box !== document.body && scrolls(box)) && (r.left < limit[0] - 1 || r.right > limit[1] + 1)) {
      add(e, "from " + r.left + " to " + r.right + " in " + limit);
    }
    const style = getComputedStyle(e), text = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim().length > 3);
    if (text.length) {
      const size = parseFloat(style.fontSize), range = document.createRange();
      const tops = n => { range.selectNodeContents(n); return [...range.getClientRects()].map(b => Math.round(b.top)); };
      const lines = new Set(text.flatMap(tops)).size;
      const letters = text.map(n => n.data.trim()).join(" ").length;
      if (lines > 2 && letters / lines < 4) add(e, "letters are stacked: " + letters + " in " + lines + " lines");
      if (style.whiteSpace !== "nowrap" && r.width < 2 * size && letters > 6) add(e, "is too narrow");
    }
  }
  for (const group of document.querySelectorAll(".key, .tables, .images, .thumbs, main, section")) {
    const boxes = [...group.children].filter(e => getComputedStyle(e).display !== "none")
      .map(e => [e, e.getBoundingClientRect()]).filter(([e, r]) => r.width && r.height);
    for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
      const [a, b] = [boxes[i][1], boxes[j][1]];
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) add(boxes[i][0], "overlaps " + name(boxes[j][0]));
    }
  }
  const shown = [...document.querySelectorAll("svg")].flatMap(svg => {
    const texts = [...svg.querySelectorAll("text")].map(e => [e, e.getBoundingClientRect()]);
    const box = svg.getBoundingClientRect(), found = [];
    texts.forEach(([e, r], i) => {
      if (r.left < box.left - 1 || r.right > box.right + 1) found.push(name(e) + ": outside of its plot");
      texts.slice(i + 1).forEach(([other, o]) => {
        const across = Math.min(r.right, o.right) - Math.max(r.left, o.left);
        const down = Math.min(r.bottom, o.bottom) - Math.max(r.top, o.top);
        // Boxes of text have room above and below the letters.
        if (across > 1.5 && down > 0.4 * Math.min(r.height, o.height)) found.push(name(e) + ": overlaps " + name(other));
      });
    });
    return found;
  });
  return faults.concat(shown);
})()
