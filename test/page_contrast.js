// The lowest contrast of text with what is behind it, by WCAG 2, and which text it is.
(() => {
  const parts = color => color.match(/[\d.]+/g).map(Number);
  const light = color => parts(color).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const color = parts(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > .5) return "rgb(" + color.slice(0, 3) + ")";
    }
    return "rgb(255,255,255)";
  };
  let worst = [21, ""];
  for (const e of document.querySelectorAll("main *")) {
    if (e.tagName === "style" || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || getComputedStyle(e).display === "none") continue;
    const color = e.closest("svg") ? getComputedStyle(e).fill : getComputedStyle(e).color;
    const [a, b] = [light(color), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < worst[0]) worst = [ratio, e.tagName + " " + e.textContent.trim().slice(0, 40)];
  }
  return worst;
})()
