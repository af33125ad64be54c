"use strict";
// What a control changes: each function takes the controls, sources and ranges of one part of the page, which
// Bokeh hands it, and fills the sources anew. d is a signed distance, y d(x) that of an image from the wrong
// side of the boundary, theta the angle between a classifier and the one of the nearest centroid.

const marginalia = (() => {
  const BINS = 60;
  const FLAT = 0.004; // radians: a smaller tilting angle is that of rounded weights, and has no plane

  const say = (id, text) => { document.getElementById(id).textContent = text; };

  function fill(source, columns) {
    for (const [name, values] of Object.entries(columns)) source.data[name] = values;
    source.change.emit();
  }

  // Pixels are written into the array that the source has: it knows how many rows they are.
  function paint(source, pictures) {
    pictures.forEach((pixels, number) => { source.data.image[number].set(pixels); });
    source.change.emit();
  }

  // Have a figure show at least what lies within two extents, with one scale for both axes.
  function show({ frame, across_range, up_range }, across, up) {
    const scale = Math.max(across.half / frame.inner_width, up.half / frame.inner_height);
    const half = [scale * frame.inner_width, scale * frame.inner_height];
    across_range.setv({ start: across.middle - half[0], end: across.middle + half[0] });
    up_range.setv({ start: up.middle - half[1], end: up.middle + half[1] });
  }

  // Arrays

  const TYPES = {
    uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array,
  };
  let arrays = null;

  async function unpack() {
    const layout = JSON.parse(document.getElementById("layout").textContent);
    const text = atob(document.getElementById("packed").textContent.trim());
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    arrays = {};
    for (const [name, { start, type, shape }] of Object.entries(layout)) {
      const count = shape.reduce((product, size) => product * size, 1);
      arrays[name] = { values: new TYPES[type](buffer, start, count), shape };
    }
  }

  // The part of an array at some indices of its first axes.
  function at(name, ...index) {
    const { values, shape } = arrays[name];
    let start = 0;
    let size = values.length;
    index.forEach((place, axis) => { size /= shape[axis]; start += place * size; });
    return size === 1 ? values[start] : values.subarray(start, start + size);
  }

  // Vectors

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  const plus = (a, b, factor) => Float64Array.from(a, (value, i) => value + factor * b[i]);
  const times = (a, factor) => Float64Array.from(a, (value) => value * factor);
  const unit = (a) => times(a, 1 / Math.sqrt(dot(a, a)));

  // A toy problem: an image has two halves of grey, a and b in [-1, 1]

  function toy({ theta, line, point, pixels, frame, across_range, up_range }) {
    const angle = (theta.value * Math.PI) / 180;
    const normal = [Math.cos(angle), Math.sin(angle)];
    const [a, b] = [point.data.a[0], point.data.b[0]];
    const distance = a * normal[0] + b * normal[1];
    const mirror = [a - 2 * distance * normal[0], b - 2 * distance * normal[1]];
    fill(line, { a: [-3 * normal[1], 3 * normal[1]], b: [3 * normal[0], -3 * normal[0]] });
    fill(point, { a: [a, mirror[0]], b: [b, mirror[1]] });
    paint(pixels, [[a, b], mirror]);
    show({ frame, across_range, up_range }, { middle: 0, half: 1.25 }, { middle: 0, half: 1.25 });
    say("toy-read", `\u03b8 = ${theta.value}\u00b0: x lies ${Math.abs(distance).toFixed(2)} from the boundary, `
      + `and ${(2 * Math.abs(distance)).toFixed(2)} from its mirror image.`);
  }

  // Losses

  const LOSSES = {
    hinge: { of: (score) => Math.max(1 - score, 0), alpha: 1, beta: 1 },
    softplus: {
      of: (score) => Math.max(-score, 0) + Math.log1p(Math.exp(-Math.abs(score))), alpha: Math.log(2), beta: 0.5,
    },
  };

  function losses({ norm, ...parts }) {
    const scale = 10 ** norm.value;
    for (const [name, { of, alpha, beta }] of Object.entries(LOSSES)) {
      const z = parts[name].data.z;
      const loss = Float64Array.from(z, (distance) => of(scale * distance));
      fill(parts[name], {
        loss,
        steep: Float64Array.from(z, (distance) => scale * Math.max(-distance, 0)),
        straight: Float64Array.from(z, (distance) => alpha - beta * scale * distance),
      });
      const [low, high] = [loss[loss.length - 1], loss[0]];
      parts[`${name}_range`].setv({ start: low - 0.12 * (high - low), end: high + 0.12 * (high - low) });
    }
    say("loss-read", `\u2016w\u2016 = ${scale.toPrecision(3)}`);
  }

  // Support vector machines

  // An image: whole numbers, and by what they are multiplied.
  const picture = (name, ...index) => ({ pixels: at(name, ...index), unit: at(`${name}_unit`, ...index) });

  // One classifier, on the images that are in the page: all that is shown of it.
  function classifier(pair, level) {
    const number = at("shown", level);
    const normal = times(at("normal", pair, level), at("normal_unit", pair, level));
    const offset = at("bias_distance", pair, number);
    const [first, second] = at("classes", pair);
    const axis = unit(plus(at("centroid", second), at("centroid", first), -1));
    const images = [...Array(at("images", 0).length / normal.length).keys()];
    const own = [first, second].map((name) => images.map((image) => picture("images", name, image)));
    const distances = own.map((some) => some.map(({ pixels, unit }) => unit * dot(normal, pixels) + offset));
    return { number, normal, offset, axis, classes: [first, second], own, distances };
  }

  // The direction in which a classifier is tilted; where it is not, that of the first one that is.
  function tilted(pair, level, axis) {
    for (let other = level; other >= 0; other--) {
      const normal = times(at("normal", pair, other), at("normal_unit", pair, other));
      const rest = plus(normal, axis, -dot(normal, axis));
      if (Math.sqrt(dot(rest, rest)) > FLAT) return unit(rest);
    }
    return unit(axis.map((value, i) => (i % 2 ? value : -value)));
  }

  function nearest(value) {
    let best = 0;
    for (let level = 0; level < arrays.shown.values.length; level++) {
      const gap = (one) => Math.abs(at("log10_lambda", at("shown", one)) - value);
      if (gap(level) < gap(best)) best = level;
    }
    return best;
  }

  const widest = new Map(); // by pair: the greatest |y d(x)| of any level
  function reach(pair) {
    if (!widest.has(pair)) {
      const levels = [...arrays.shown.values.keys()];
      const ofLevel = (level) => Math.max(...classifier(pair, level).distances.flat().map(Math.abs));
      widest.set(pair, Math.max(...levels.map(ofLevel)));
    }
    return widest.get(pair);
  }

  function svm(parts) {
    if (arrays === null) return; // not unpacked yet: start() calls this again
    const pair = Number(parts.pair.value);
    const level = nearest(parts.level.value);
    const model = classifier(pair, level);
    histogram(parts, pair, model);
    curves(parts, pair, model);
    plane(parts, pair, level, model);
    const value = (name) => at(name, pair, model.number);
    const degrees = (value("theta_rad") * 180) / Math.PI;
    say("svm-read", `\u2016w\u2016 = ${(1 / value("inverse_w_norm")).toPrecision(3)}, `
      + `\u03b8 = ${value("theta_rad").toFixed(3)} rad (${degrees.toFixed(0)}\u00b0), `
      + `adversarial distance ${value("d_adv").toFixed(3)}, `
      + `errors ${value("err_train_percent").toFixed(2)} % (training) and `
      + `${value("err_test_percent").toFixed(2)} % (test)`);
  }

  function histogram({ bars, loss, distance_range, share_range }, pair, model) {
    const limit = 1.04 * reach(pair);
    const width = (2 * limit) / BINS;
    const counts = new Float64Array(BINS);
    model.distances.forEach((some, side) => {
      for (const distance of some) counts[Math.floor(((side ? distance : -distance) + limit) / width)] += 1;
    });
    const total = model.distances.flat().length;
    fill(bars, {
      left: Array.from(counts, (_, bin) => bin * width - limit),
      right: Array.from(counts, (_, bin) => (bin + 1) * width - limit),
      share: Array.from(counts, (count) => (100 * count) / total),
    });
    const norm = 1 / at("inverse_w_norm", pair, model.number);
    const kink = Math.min(1 / norm, limit);
    const z = [-limit, kink, limit];
    fill(loss, { z, loss: z.map((distance) => Math.max(1 - norm * distance, 0)) });
    distance_range.setv({ start: -limit, end: limit });
    share_range.end = 1.08 * Math.max(...bars.data.share);
  }

  function curves({ levels, marker, error_range, d_adv_range }, pair, model) {
    const names = ["err_train_percent", "err_test_percent", "d_adv"];
    const columns = Object.fromEntries(names.map((name) => [name, Array.from(at(name, pair))]));
    fill(levels, { power: Array.from(arrays.log10_lambda.values), ...columns });
    error_range.end = 1.08 * Math.max(...columns.err_train_percent, ...columns.err_test_percent);
    d_adv_range.end = 1.08 * Math.max(...columns.d_adv);
    const now = names.map((name) => [name, [at(name, pair, model.number)]]);
    fill(marker, { power: [at("log10_lambda", model.number)], ...Object.fromEntries(now) });
  }

  function plane(parts, pair, level, model) {
    const { points, boundary, pictures, mirrors, labels } = parts;
    const up = tilted(pair, level, model.axis);
    const place = ({ pixels, unit }) => [unit * dot(model.axis, pixels), unit * dot(up, pixels)];
    const placed = model.own.map((some) => some.map(place));
    const all = placed.flat();
    fill(points, {
      across: all.map(([across]) => across),
      up: all.map((both) => both[1]),
      side: placed.flatMap((some, side) => some.map(() => ["first", "second"][side])),
    });

    const shown = model.classes.map((name) => {
      const { pixels, unit } = picture("typical", name);
      const image = times(pixels, unit);
      const distance = dot(model.normal, image) + model.offset;
      return { image, mirror: plus(image, model.normal, -2 * distance), distance: Math.abs(distance) };
    });
    const pairs = shown.map(({ image, mirror }) => [image, mirror].map((pixels) => place({ pixels, unit: 1 })));
    fill(mirrors, {
      across: pairs.map((ends) => ends.map(([across]) => across)),
      up: pairs.map((ends) => ends.map((both) => both[1])),
    });
    const strongest = Math.max(...model.normal.map(Math.abs));
    const [x, y] = shown;
    const weights = times(model.normal, 0.5 / strongest).map((value) => value + 0.5);
    paint(pictures, [x.image, x.mirror, weights, y.mirror, y.image]);
    const gap = ({ distance }) => `\u2016\u0394\u2016 = ${(2 * distance).toFixed(2)}`;
    fill(labels, { below: ["", gap(x), "", gap(y), ""] });

    // The boundary is where cos(theta) across + sin(theta) up + offset = 0.
    const [cos, sin] = [dot(model.normal, model.axis), dot(model.normal, up)];
    const corners = [...all, ...pairs.flat()];
    const extent = (axis) => {
      const values = corners.map((corner) => corner[axis]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      return { middle: (low + high) / 2, half: 0.55 * (high - low) };
    };
    const [across, upwards] = [extent(0), extent(1)];
    show(parts, across, upwards);
    const foot = -model.offset - cos * across.middle - sin * upwards.middle;
    const centre = [across.middle + foot * cos, upwards.middle + foot * sin];
    const far = 10 * Math.max(across.half, upwards.half);
    fill(boundary, {
      across: [centre[0] - far * sin, centre[0] + far * sin], up: [centre[1] + far * cos, centre[1] - far * cos],
    });
  }

  // What Bokeh leaves out: names for the handles of sliders; and figures, which nothing can be done with by
  // keyboard, are no stops of the tab key.
  function accessible(part) {
    for (const element of part.querySelectorAll("*")) {
      if (element.matches(".bk-events")) element.tabIndex = -1;
      if (element.matches(".noUi-handle")) {
        const title = part.querySelector(".bk-slider-title").textContent;
        element.setAttribute("aria-label", title.split(":")[0]);
      }
      if (element.shadowRoot) accessible(element.shadowRoot);
    }
  }

  async function start(update) {
    accessible(document);
    await unpack();
    update();
    document.documentElement.dataset.ready = "yes";
  }

  return { toy, losses, svm, start };
})();
