"use strict";
// Two images, or the two halves of a video, over each other: a slider moves the edge between them. Without this script
// they stand beside or below each other.
for (const pair of document.querySelectorAll(".pair")) {
  const stage = pair.querySelector(".stage"), divide = stage.querySelector(".divide");
  const video = stage.querySelector("video");
  let draw = () => {};
  const move = () => { stage.style.setProperty("--at", divide.value + "%"); draw(); };
  if (video) {
    // One video with both halves, drawn by halves: two videos would drift apart.
    const canvas = document.createElement("canvas"), brush = canvas.getContext("2d");
    const [button, seek, time] = pair.querySelectorAll("button, .seek, output");
    canvas.setAttribute("aria-hidden", "true");
    stage.insertBefore(canvas, video);
    video.controls = false;
    video.classList.add("hidden");
    video.tabIndex = -1;
    const fit = () => {
      canvas.width = video.videoWidth / 2;
      canvas.height = video.videoHeight;
      draw();
    };
    draw = () => {
      if (video.readyState < 2) return;
      const width = canvas.width, height = canvas.height, edge = Math.round(width * divide.value / 100);
      if (edge > 0) brush.drawImage(video, 0, 0, edge, height, 0, 0, edge, height);
      if (edge < width) {
        brush.drawImage(video, width + edge, 0, width - edge, height, edge, 0, width - edge, height);
      }
      if (document.activeElement !== seek || !video.paused) seek.value = video.currentTime;
      time.value = video.currentTime.toFixed(1) + " s";
    };
    const run = () => { draw(); if (!video.paused) requestAnimationFrame(run); };
    const name = () => { button.textContent = video.paused ? "Play" : "Pause"; };
    video.addEventListener("loadedmetadata", () => { seek.max = video.duration; fit(); });
    for (const event of ["loadeddata", "seeked"]) video.addEventListener(event, draw);
    video.addEventListener("play", () => { name(); run(); });
    video.addEventListener("pause", name);
    button.addEventListener("click", () => { if (video.paused) video.play(); else video.pause(); });
    seek.addEventListener("input", () => { video.currentTime = seek.value; });
    if (video.readyState >= 1) { seek.max = video.duration; fit(); }
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(name);
  }
  pair.classList.add("on");
  divide.addEventListener("input", move);
  move();
}
