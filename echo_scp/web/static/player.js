// Plays the clips of a study: pictures on a canvas, the outline of the LV drawn over them, a line on the volume curve.
const OUTLINE = "#ffd34d";
const RETRIES = 20;

async function download(url) {
  for (let attempt = 0; attempt < RETRIES; attempt += 1) {
    const answer = await fetch(url);
    if (answer.status !== 503) return answer;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After") ?? 5)));
  }
  throw new Error("the node is busy");
}

// The head's length (4 bytes, big-endian), the head (JSON), the JPEG files one after the other.
async function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let start = 4 + length;
  const files = head.sizes.map((size) => {
    start += size;
    return new Blob([new Uint8Array(buffer, start - size, size)], { type: "image/jpeg" });
  });
  return { times: head.times_ms, outlines: head.outlines, pictures: await Promise.all(files.map((file) => createImageBitmap(file))) };
}

class Player {
  constructor(element) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.note = element.querySelector(".note");
    this.controls = element.querySelector(".controls");
    this.button = element.querySelector(".play");
    this.seek = element.querySelector(".seek");
    this.frame = element.querySelector(".frame");
    this.speed = element.querySelector(".speed");
    this.outline = element.querySelector(".outline");
    this.curve = document.getElementById(element.dataset.curve);
    this.index = 0;
    this.playing = false;
  }

  async load() {
    const answer = await download(this.element.dataset.cine);
    if (!answer.ok) throw new Error(answer.status === 422 ? await answer.text() : `status ${answer.status}`);
    this.cine = await unpack(await answer.arrayBuffer());
    [this.canvas.width, this.canvas.height] = [this.cine.pictures[0].width, this.cine.pictures[0].height];
    this.seek.max = this.cine.pictures.length;
    this.note.textContent = "";
    this.controls.hidden = false;
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    this.seek.addEventListener("input", () => { this.pause(); this.show(this.seek.value - 1); });
    this.outline?.addEventListener("change", () => this.show(this.index));
    this.speed.addEventListener("change", () => { this.begun = null; });
    this.show(0);
    this.element.dataset.loaded = "true";
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
  }

  play() {
    this.playing = true;
    this.button.textContent = "Pause";
    this.begun = null;
    requestAnimationFrame((now) => this.step(now));
  }

  pause() {
    this.playing = false;
    this.button.textContent = "Play";
  }

  step(now) {
    if (!this.playing) return;
    const { times } = this.cine;
    const last = times[times.length - 1];
    const duration = last + (times.length > 1 ? last / (times.length - 1) : 1);
    if (this.begun === null) this.begun = now - times[this.index] / this.speed.value;
    const at = ((now - this.begun) * this.speed.value) % duration;
    const next = times.findIndex((time) => time > at);
    this.show((next === -1 ? times.length : Math.max(next, 1)) - 1);
    requestAnimationFrame((later) => this.step(later));
  }

  show(index) {
    this.index = Math.min(Math.max(0, index), this.cine.pictures.length - 1);
    const context = this.canvas.getContext("2d");
    context.drawImage(this.cine.pictures[this.index], 0, 0);
    if (this.outline?.checked) this.draw(context, this.cine.outlines[this.index]);
    this.seek.value = this.index + 1;
    const seconds = (this.cine.times[this.index] / 1000).toFixed(2);
    this.frame.textContent = `${this.index + 1} of ${this.cine.pictures.length}, ${seconds} s`;
    this.point();
  }

  draw(context, polygons) {
    context.strokeStyle = OUTLINE;
    context.lineWidth = 2;
    for (const polygon of polygons) {
      context.beginPath();
      for (const [x, y] of polygon) context.lineTo(x, y);
      context.closePath();
      context.stroke();
    }
  }

  point() {
    const line = this.curve?.querySelector(".now");
    if (!line) return;
    const x = Number(this.curve.dataset.first) + this.index * Number(this.curve.dataset.step);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }
}

// A cine is fetched when it comes near the window, and stops when it leaves it.
const players = new Map();
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const known = players.get(target);
    if (isIntersecting && !known) {
      const player = new Player(target);
      players.set(target, player);
      player.load().catch((error) => { player.note.textContent = `The cine cannot be shown: ${error.message}`; });
    } else if (!isIntersecting && known?.playing) {
      known.pause();
    }
  }
}, { rootMargin: "200px" });
document.querySelectorAll(".player").forEach((element) => observer.observe(element));
