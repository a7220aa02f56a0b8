"use strict";
// Draws the field of a run into the axes of the page, and animates its steps.
(() => {
  const byId = (name) => document.getElementById(name);
  const root = document.documentElement;

  // ---- theme -------------------------------------------------------------------------------------------------------
  const themes = ["system", "light", "dark"];
  const themeButton = byId("theme");
  let redraw = () => {};
  const remembered = () => {
    try { return localStorage.getItem("pisnn-deploy-theme"); } catch { return null; }
  };
  const setTheme = (theme) => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    themeButton.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("pisnn-deploy-theme", theme); } catch { /* pages opened from a file may have no storage */ }
    redraw();
  };
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    setTheme(themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % themes.length]);
  });
  setTheme(themes.includes(remembered()) ? remembered() : "system");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  for (const event of ["beforeprint", "afterprint"]) addEventListener(event, () => redraw());

  // ---- data --------------------------------------------------------------------------------------------------------
  // The elements of the first field have plain names, those of others a suffix.
  if (byId("frames") === null) return;
  const digits = (number) => Number(number.toPrecision(6)).toString();
  const fieldOf = (suffix) => {
    const described = JSON.parse(byId("frames" + suffix).textContent);
    const bytes = (name) => Uint8Array.from(atob(byId(name).textContent), (letter) => letter.charCodeAt(0));
    const arrays = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };
    const unpack = (name) => {
      const packed = described.packed[name];
      const data = bytes(name + suffix);
      const numbers = new arrays[packed.width](data.buffer);
      const offset = Number(packed.offset), factor = 2 ** packed.shift;
      return {
        number: (index) => numbers[index],
        value: (index) => (offset + numbers[index] * factor) * described.value_per_quantum,
        integer: (index) => BigInt(packed.offset) + (BigInt(numbers[index]) << BigInt(packed.shift)),
        isExact: packed.shift === 0,
      };
    };
    const levels = unpack("levels");
    const exact = described.packed.exact ? unpack("exact") : null;
    const points = described.shape.reduce((product, count) => product * count, 1);
    const frames = described.steps.length;
    const range = described.highest > described.lowest ? described.highest - described.lowest : 1;
    const floor = described.highest > described.lowest ? described.lowest : described.lowest - 0.5;
    const colours = described.colours.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
    const shade = (value) => Math.min(255, Math.max(0, Math.floor(((value - floor) / range) * 256)));
    const colourOf = (name) => getComputedStyle(root).getPropertyValue(name).trim();

    // ---- drawing -----------------------------------------------------------------------------------------------------
    const sized = (canvas) => {
      const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
      canvas.width = Math.max(1, Math.round(box.width * ratio));
      canvas.height = Math.max(1, Math.round(box.height * ratio));
      return [canvas.getContext("2d"), canvas.width, canvas.height, ratio];
    };

    const drawProfile = (frame) => {
      const [pen, width, height, ratio] = sized(byId("profile" + suffix));
      const [, , bottom, top] = described.limits.profile;
      const [start, count] = described.profile;
      const line = (of, first, colour, dash, thick) => {
        pen.beginPath();
        for (let i = 0; i < count; i += 1) {
          const x = ((i + 0.5) / count) * width;
          const y = height - ((of.value(first + i) - bottom) / (top - bottom)) * height;
          if (i === 0) pen.moveTo(x, y); else pen.lineTo(x, y);
          if (count === 1) pen.arc(x, y, 2 * ratio, 0, 2 * Math.PI);
        }
        pen.setLineDash(dash.map((part) => part * ratio));
        pen.strokeStyle = colour;
        pen.lineWidth = thick * ratio;
        pen.lineJoin = "round";
        pen.stroke();
      };
      line(levels, start, colourOf("--muted"), [], 1.5);
      line(levels, frame * points + start, colourOf("--series"), [], 2.5);
      if (exact) line(exact, frame * count, colourOf("--series-2"), [6, 5], 2);
    };

    // The space-time picture does not depend on the step: it is painted once, with a line on top.
    let spaceTime = null;
    const paintSpaceTime = () => {
      const rows = 400, picture = new ImageData(points, rows);
      const first = described.times[0], last = described.times[frames - 1];
      let frame = 0;
      for (let row = 0; row < rows; row += 1) {
        const time = first + ((row + 0.5) / rows) * (last - first);
        while (frame + 1 < frames && Math.abs(described.times[frame + 1] - time) < Math.abs(described.times[frame] - time)) frame += 1;
        for (let i = 0; i < points; i += 1) {
          picture.data.set([...colours[shade(levels.value(frame * points + i))], 255], 4 * ((rows - 1 - row) * points + i));
        }
      }
      spaceTime = document.createElement("canvas");
      spaceTime.width = points;
      spaceTime.height = rows;
      spaceTime.getContext("2d").putImageData(picture, 0, 0);
    };
    const drawSpaceTime = (frame) => {
      if (spaceTime === null) paintSpaceTime();
      const [pen, width, height, ratio] = sized(byId("space-time" + suffix));
      pen.imageSmoothingEnabled = false;
      pen.drawImage(spaceTime, 0, 0, width, height);
      const [, , from, to] = described.limits["space-time"];
      const y = height - ((described.times[frame] - from) / (to - from)) * height;
      // White on black, which is visible on every colour.
      for (const [colour, thick] of [["#000", 3], ["#fff", 1.5]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = thick * ratio;
        pen.beginPath();
        pen.moveTo(0, y);
        pen.lineTo(width, y);
        pen.stroke();
      }
    };

    const drawPlane = (frame) => {
      const [across, up] = described.shape, canvas = byId("map" + suffix);
      canvas.width = across;
      canvas.height = up;
      const picture = new ImageData(across, up);
      for (let i = 0; i < across; i += 1) {
        for (let j = 0; j < up; j += 1) {
          const colour = colours[shade(levels.value(frame * points + i * up + j))];
          picture.data.set([...colour, 255], 4 * ((up - 1 - j) * across + i));
        }
      }
      canvas.getContext("2d").putImageData(picture, 0, 0);
    };

    const vertices = described.kind === "triangles" || described.kind === "points" ? new Uint16Array(bytes("vertices").buffer) : null;
    const drawCells = (frame) => {
      const [pen, width, height, ratio] = sized(byId("map" + suffix));
      const corners = described.kind === "triangles" ? 3 : 1;
      const x = (at) => (vertices[2 * at] / 65535) * width, y = (at) => (1 - vertices[2 * at + 1] / 65535) * height;
      for (let cell = 0; cell < points; cell += 1) {
        const colour = described.colours[shade(levels.value(frame * points + cell))];
        pen.fillStyle = colour;
        pen.strokeStyle = colour;
        pen.lineWidth = 0.6 * ratio;
        pen.beginPath();
        if (corners === 1) {
          pen.arc(x(cell), y(cell), 3 * ratio, 0, 2 * Math.PI);
        } else {
          for (let corner = 0; corner < 3; corner += 1) pen.lineTo(x(3 * cell + corner), y(3 * cell + corner));
          pen.closePath();
          pen.stroke(); // otherwise hairlines remain between neighbours
        }
        pen.fill();
      }
    };

    const tell = (frame) => {
      let least = Infinity, most = -Infinity, sum = 0;
      for (let i = 0; i < points; i += 1) {
        const value = levels.value(frame * points + i);
        least = Math.min(least, value);
        most = Math.max(most, value);
        sum += value;
      }
      for (const [name, value] of [["smallest", least], ["largest", most], ["mean", sum / points]]) {
        byId(name + suffix).textContent = digits(value);
      }
    };

    // ---- reading a cell ----------------------------------------------------------------------------------------------
    let pointed = null;
    const hint = [...byId("cell" + suffix).childNodes];
    const describe = (frame) => {
      if (pointed === null) return;
      const index = frame * points + pointed.index;
      const mass = described.masses && levels.isExact ? `, mass ${levels.integer(index).toLocaleString("en")} quanta` : "";
      const beside = exact && described.kind === "line" ? `, exact ${digits(exact.value(index))}` : "";
      byId("cell" + suffix).textContent = `${pointed.name}: value ${digits(levels.value(index))}${mass}${beside}`;
    };
    const point = (canvas, event) => {
      const box = canvas.getBoundingClientRect();
      const x = Math.min(0.999999, Math.max(0, (event.clientX - box.left) / box.width));
      const y = Math.min(0.999999, Math.max(0, 1 - (event.clientY - box.top) / box.height));
      const [left, right, low, high] = described.extent;
      if (canvas.id === "profile" + suffix && described.kind === "plane") {
        const [start, count] = described.profile, j = Math.floor(x * count);
        pointed = { index: start + j, name: `Position ${digits(low + ((j + 0.5) / count) * (high - low))} along the middle` };
      } else if (described.kind === "line") {
        const index = Math.floor(x * points);
        pointed = { index, name: `Position ${digits(left + ((index + 0.5) / points) * (right - left))}` };
      } else if (described.kind === "plane") {
        const [across, up] = described.shape, i = Math.floor(x * across), j = Math.floor(y * up);
        pointed = { index: i * up + j, name: `(${digits(left + ((i + 0.5) / across) * (right - left))}, ${digits(low + ((j + 0.5) / up) * (high - low))})` };
      } else {
        const corners = described.kind === "triangles" ? 3 : 1;
        let nearest = 0, least = Infinity;
        for (let cell = 0; cell < points; cell += 1) {
          let away = 0;
          for (let corner = 0; corner < corners; corner += 1) {
            const at = 2 * (cell * corners + corner);
            away += Math.hypot((vertices[at] / 65535 - x) * (right - left), (vertices[at + 1] / 65535 - y) * (high - low));
          }
          if (away < least) { least = away; nearest = cell; }
        }
        pointed = { index: nearest, name: "The cell there" };
      }
      describe(current());
    };
    for (const name of ["profile", "space-time", "map"]) {
      const canvas = byId(name + suffix);
      if (canvas === null) continue;
      canvas.addEventListener("pointermove", (event) => point(canvas, event));
      canvas.addEventListener("pointerdown", (event) => point(canvas, event));
      canvas.addEventListener("pointerleave", () => { pointed = null; byId("cell" + suffix).replaceChildren(...hint); });
    }

    const draw = (frame) => {
      if (described.profile) drawProfile(frame);
      if (described.kind === "line") drawSpaceTime(frame);
      else { (described.kind === "plane" ? drawPlane : drawCells)(frame); tell(frame); }
      describe(frame);
    };
    return { described, draw };
  };

  // ---- moving ------------------------------------------------------------------------------------------------------
  const fields = [...document.querySelectorAll("[data-suffix]")].map((element) => fieldOf(element.dataset.suffix));
  const { described } = fields[0], frames = described.steps.length;
  const scrubber = byId("scrubber"), playButton = byId("play");
  const current = () => Number(scrubber.value);
  const show = () => {
    const frame = current(), step = described.steps[frame];
    const text = `PDE step ${step.toLocaleString("en")} of ${described.last_step.toLocaleString("en")}, time ${digits(described.times[frame])}`;
    byId("now").textContent = text;
    scrubber.setAttribute("aria-valuetext", text);
    for (const field of fields) field.draw(frame);
    for (const plot of document.querySelectorAll(".plot[data-from]")) {
      const share = (described.times[frame] - Number(plot.dataset.from)) / (Number(plot.dataset.to) - Number(plot.dataset.from));
      const cursor = plot.querySelector(".cursor");
      cursor.hidden = !(share >= 0 && share <= 1);
      cursor.style.left = `${100 * share}%`;
    }
  };
  const go = (frame) => {
    scrubber.value = String(Math.min(frames - 1, Math.max(0, frame)));
    show();
  };

  let playing = false, last = 0, spent = 0;
  const SECONDS = 6; // duration of the animation at speed 1
  const tick = (now) => {
    if (!playing) return;
    spent += Math.min(0.25, (now - last) / 1000);
    last = now;
    const each = SECONDS / Math.max(1, frames - 1) / Number(byId("speed").value);
    const steps = Math.floor(spent / each);
    if (steps > 0) {
      spent -= steps * each;
      go(current() + steps);
    }
    if (current() === frames - 1) play(false); else requestAnimationFrame(tick);
  };
  const play = (start) => {
    playing = start && frames > 1;
    byId("play-sign").textContent = playing ? "❚❚" : "▶";
    byId("play-text").textContent = playing ? "Pause" : "Play";
    if (!playing) return;
    if (current() === frames - 1) go(0);
    last = performance.now();
    spent = 0;
    requestAnimationFrame(tick);
  };
  playButton.addEventListener("click", () => play(!playing));
  scrubber.addEventListener("input", () => { play(false); show(); });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : root;
    if (event.key === " " && !target.closest("button, select, summary, a")) {
      event.preventDefault();
      play(!playing);
    } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && !target.closest("input, select, .scroll")) {
      event.preventDefault();
      play(false);
      go(current() + (event.key === "ArrowLeft" ? -1 : 1));
    }
  });

  byId("player").hidden = false;
  redraw = show;
  addEventListener("resize", show);
  show();
})();
