// The page of the liveness server: picks a photograph, asks POST /liveness/, shows the answer.
// Text of the server and of files reaches the page as text nodes only, never as markup.

const LIMIT = 10 * 1024 * 1024;
// As long as the proxy of compose.yaml waits: the server may take 60 s to read, and 10 s in the queue.
const PATIENCE = 90_000;
const KEY_STORE = "liveness.api-key";
const MASK = "••••••••";
const SVG = "http://www.w3.org/2000/svg";

/** What each code means to a person at this page, and what helps. */
const CURES = {
  "001": {
    title: "The API key was not accepted",
    cure: [
      "Copy the key again, without blanks. The server's operator has it; without configured keys the server printed one when it started.",
      "Was the server started with keys of your own (LIVENESS_API_KEYS)? Then one of those is meant.",
      "A server without keys of its own makes a new key at every start; the old one no longer counts.",
    ],
  },
  "002": {
    title: "The file cannot be read as a picture",
    cure: [
      "Use a JPEG, PNG, WebP, BMP, GIF or TIFF file. HEIC and AVIF are not read.",
      "On an iPhone, choose Settings › Camera › Formats › Most Compatible, and take the photograph again.",
      "Does a picture viewer open it? If not, the file is damaged or incomplete: transfer it once more.",
    ],
  },
  "003": {
    title: "The picture is too large",
    cure: [
      "The file may have at most 10 MiB (10,485,760 bytes).",
      "Save it as a JPEG of quality 90: a face needs no more than about 2,000 pixels a side.",
    ],
  },
  "004": {
    title: "The server did not understand the request",
    cure: [
      "Reload this page: it may be older than the server.",
      "Is there a proxy in between? It must pass the body and its Content-Type on unchanged.",
      "From own programs: send exactly one of image (a file) and image_bytes (base64), by POST.",
    ],
  },
  "005": {
    title: "Something went wrong in the server",
    cure: [
      "Try again. If it fails once more, look into the server's log: the request id below leads to the line.",
    ],
  },
  limited: {
    title: "Too many wrong keys came from this address",
    cure: ["Wait, then send the right key. Until then the server does not say whether a key is right."],
  },
  slow: {
    title: "The photograph took too long to arrive",
    cure: [
      "The connection is slow, or it was interrupted: try again on a better one.",
      "A smaller picture arrives sooner: save it as a JPEG of about 2,000 pixels a side.",
    ],
  },
  busy: {
    title: "The server is busy",
    cure: ["All of its places are taken at the moment. Nothing is wrong with the photograph: try again shortly."],
  },
  "051": {
    title: "Exactly one face is needed",
    cure: [
      "Take the photograph so that one person only is on it, with the whole face in the picture.",
      "Come closer, look at the camera, and see to even light.",
      "Faces on posters and screens in the background count too.",
    ],
  },
  "052": {
    title: "A face mask covers the face",
    cure: [
      "Take the mask off and take the photograph again.",
      "No mask? Then keep hands, scarf and cup away from mouth and nose.",
    ],
  },
};

/** Codes that have more than one cause are told apart by the status, */
const STATES = { 408: "slow", 429: "limited", 503: "busy" };

/** or by these reasons. */
const CAUSES = {
  no_face: "No face was found",
  several_faces: "More than one face was found",
  face_too_small: "The face is too small to be judged",
};

/** Machine-readable reasons of the library in words: what it is, and what helps. */
const REMARKS = {
  face_too_small: ["The face is small.", "Come closer to the camera."],
  face_cut_off: ["The face is cut off.", "Keep all of it inside the picture."],
  head_turned: ["The head is turned to a side.", "Look straight at the camera."],
  head_nodded: ["The head looks up or down.", "Hold the camera at the height of the eyes."],
  head_tilted: ["The head is tilted.", "Hold head or camera upright."],
  too_dark: ["The face is dark.", "Turn towards a window or a lamp."],
  too_bright: ["The face is too bright.", "Step out of the direct light."],
  low_contrast: ["The face has little contrast.", "Wipe the lens; avoid light from behind."],
  clipped: ["Much of the face is pure black or white.", "Choose softer, more even light."],
  blurred: ["The face is blurred.", "Hold the camera still and let it focus."],
  not_upright: ["There is a face in the picture turned to another side.", "Turn the picture upright."],
};

const percent = (value) => `${(100 * value).toFixed(1)} %`;
const degrees = (positive, negative) => (value) => {
  const whole = Math.abs(Math.round(value));
  return whole ? `${whole}° ${value > 0 ? positive : negative}` : "0°";
};

/** Measures of quality: name, how it is written, and the reasons that concern it. Left and right are the subject's. */
const MEASURES = [
  ["face_size", "Face height", (value) => `${Math.round(value)} px`, ["face_too_small"]],
  ["face_share", "Share of the picture", percent, []],
  ["outside", "Outside the picture", percent, ["face_cut_off"]],
  ["yaw", "Turned", degrees("left", "right"), ["head_turned"]],
  ["pitch", "Nodded", degrees("up", "down"), ["head_nodded"]],
  ["roll", "Tilted", degrees("clockwise", "counter-clockwise"), ["head_tilted"]],
  ["brightness", "Brightness", percent, ["too_dark", "too_bright"]],
  ["contrast", "Contrast", percent, ["low_contrast"]],
  ["clipped", "Clipped", percent, ["clipped"]],
  ["sharpness", "Sharpness", (value) => String(Math.round(value)), ["blurred"]],
];

const CAMERA_FAILURES = {
  insecure: ["The camera needs a secure page", "Open this page by https, or as localhost on the machine of the server. Choosing a photograph works as it is."],
  NotAllowedError: ["The camera may not be used", "Allow it for this page in the address bar of the browser, then try again."],
  NotFoundError: ["No camera was found", "Connect one, or choose a file."],
  NotReadableError: ["The camera is in use", "Close the other program or tab that uses it, then try again."],
  other: ["The camera could not be started", "Try again, or choose a file."],
};

const $ = (id) => document.getElementById(id);
const endpoint = new URL("liveness/", document.baseURI).href;

/** The photograph that is shown: its file, a name, and the address of its preview. */
let photo = null;
/** What the camera sees, while it is on. */
let stream = null;
/** The request whose answer is waited for or shown. */
let request = null;
let answerText = "";

// Small helpers

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

function show(id, visible) {
  $(id).hidden = !visible;
}

function setState(state) {
  document.body.dataset.state = state;
  const busy = state === "busy";
  $("answer").setAttribute("aria-busy", String(busy));
  $("check-label").textContent = busy ? "Checking …" : "Check the photograph";
  updateCheck();
}

function announce(text) {
  $("announcement").textContent = text;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

// The API key: kept for this tab, or in this browser where the user asks for it

function storage(area) {
  try {
    return window[area];
  } catch {
    return null; // Storage is switched off: the key lives in the field only.
  }
}

function restoreKey() {
  const remembered = storage("localStorage")?.getItem(KEY_STORE);
  $("remember").checked = remembered != null;
  $("key").value = remembered ?? storage("sessionStorage")?.getItem(KEY_STORE) ?? "";
  describeStorage();
}

function storeKey() {
  const key = readKey();
  const [keep, drop] = $("remember").checked ? ["localStorage", "sessionStorage"] : ["sessionStorage", "localStorage"];
  storage(drop)?.removeItem(KEY_STORE);
  if (key) storage(keep)?.setItem(KEY_STORE, key);
  else storage(keep)?.removeItem(KEY_STORE);
}

function describeStorage() {
  $("key-help").textContent = $("remember").checked
    ? "Its operator has it; without configured keys the server printed one when it started. It stays in this browser until you clear the mark."
    : "Its operator has it; without configured keys the server printed one when it started. It is kept until this tab is closed.";
}

function readKey() {
  return $("key").value.trim();
}

function refuseKey(message) {
  $("key-error").textContent = message;
  show("key-error", Boolean(message));
  $("key").setAttribute("aria-invalid", String(Boolean(message)));
}

// The photograph

function updateCheck() {
  $("check").disabled = !photo || Boolean(stream) || document.body.dataset.state === "busy";
}

async function use(file) {
  closeCamera();
  if (photo) URL.revokeObjectURL(photo.url);
  photo = { file, name: file.name || "photograph", url: URL.createObjectURL(file) };
  const chosen = photo;
  clearAnswer();
  showCommands();
  describeFile(null);
  const seen = await preview(chosen);
  if (photo !== chosen) return;
  describeFile(seen);
  announce(`${photo.name} is chosen. Check it next.`);
}

/** Shows the photograph upright, as the browser decodes it; null where it cannot. */
async function preview({ url, name }) {
  const image = $("preview");
  image.alt = `The photograph ${name}`;
  image.src = url;
  const seen = await image.decode().then(
    () => ({ width: image.naturalWidth, height: image.naturalHeight }),
    () => null,
  );
  if (photo?.url !== url) return seen;
  show("empty", false);
  show("picture", true);
  show("frame", seen !== null);
  show("unseen", seen === null);
  $("stage").classList.add("filled");
  return seen;
}

function describeFile(seen) {
  const facts = [element("strong", {}, photo.name), element("span", {}, size(photo.file.size))];
  if (seen) facts.push(element("span", {}, `${seen.width} × ${seen.height} pixels`));
  if (photo.file.size > LIMIT) facts.push(element("span", { class: "warn" }, "over the limit of 10 MiB"));
  $("file").replaceChildren(...facts);
  show("file", true);
}

function pictureOf(transfer) {
  const files = [...(transfer?.files ?? [])];
  return files.find((file) => file.type.startsWith("image/")) ?? files[0] ?? null;
}

// The camera

async function openCamera() {
  $("open-camera").disabled = true;
  show("camera-failed", false);
  let opened = null;
  try {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "insecure");
    const chosen = photo;
    opened = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1080 } },
    });
    stream = opened;
    // While the browser asked for permission, a photograph may have come another way.
    if (photo !== chosen) return closeCamera();
    await showCamera();
  } catch (error) {
    // Closed while it started, by a person or for a photograph: that is no failure.
    if (opened && stream !== opened) return;
    closeCamera();
    failCamera(error.name);
  } finally {
    $("open-camera").disabled = false;
  }
}

async function showCamera() {
  for (const part of ["empty", "picture", "file", "source-buttons"]) show(part, false);
  for (const part of ["camera", "camera-buttons"]) show(part, true);
  $("stage").classList.add("filled");
  clearAnswer();
  updateCheck();
  const video = $("video");
  const opened = stream;
  video.srcObject = opened;
  await video.play();
  if (stream !== opened) return;
  $("shoot").disabled = false;
  $("shoot").focus();
  announce("The camera is on.");
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  $("video").srcObject = null;
  $("shoot").disabled = true;
  for (const part of ["camera", "camera-buttons", "camera-failed"]) show(part, false);
  show("source-buttons", true);
  show("picture", Boolean(photo));
  show("file", Boolean(photo));
  show("empty", !photo);
  $("stage").classList.toggle("filled", Boolean(photo));
  updateCheck();
}

function cancelCamera() {
  closeCamera();
  // It may still be starting, and what is disabled takes no focus.
  $("open-camera").disabled = false;
  $("open-camera").focus();
}

function failCamera(reason) {
  const [title, cure] = CAMERA_FAILURES[reason] ?? CAMERA_FAILURES.other;
  $("camera-failed-title").textContent = title;
  $("camera-failed-cure").textContent = cure;
  // A page that may not use the camera can still hand over to the camera app of a phone.
  show("open-capture", matchMedia("(pointer: coarse)").matches);
  show("camera-failed", true);
}

/** The frame as the camera sees it: only the preview is mirrored. */
function shoot() {
  const video = $("video");
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob(
    (blob) => {
      if (!blob) return failCamera("other");
      use(new File([blob], "camera.jpg", { type: "image/jpeg" }));
      $("check").focus();
    },
    "image/jpeg",
    0.95,
  );
}

// The request

async function check() {
  const key = readKey();
  if (!photo || document.body.dataset.state === "busy") return;
  if (/[^\x21-\x7e]/.test(key)) {
    refuseKey("An API key has neither blanks nor letters beyond ASCII: copy it again.");
    $("key").focus();
    return;
  }
  refuseKey("");
  storeKey();
  clearAnswer();
  setState("busy");
  $("idle-text").textContent = "Checking …";
  announce("Checking the photograph.");
  const asked = new AbortController();
  request = asked;
  const timer = setTimeout(() => asked.abort(new DOMException("", "TimeoutError")), PATIENCE);
  try {
    const answer = await ask(photo, key, asked.signal);
    if (request === asked) showAnswer(answer);
  } catch (error) {
    if (request === asked) showSilence(error);
  } finally {
    clearTimeout(timer);
  }
}

async function ask({ file, name }, key, signal) {
  const body = new FormData();
  body.append("image", file, name);
  // In the address, which arrives before all that may go wrong with the body: the reason is told then too.
  const response = await fetch(`${endpoint}?details=true`, {
    method: "POST",
    headers: key ? { "X-API-Key": key } : {},
    body,
    signal,
    cache: "no-store",
    credentials: "same-origin",
    redirect: "error",
  });
  return {
    status: response.status,
    retryAfter: response.headers.get("Retry-After"),
    requestId: response.headers.get("X-Request-Id"),
    text: await response.text(),
  };
}

// The answer

function clearAnswer() {
  request?.abort();
  request = null;
  answerText = "";
  setState(photo ? "ready" : "idle");
  show("outcome", false);
  show("idle", true);
  $("idle-text").textContent = photo ? "Ready: check the photograph." : "The verdict appears here.";
  $("overlay").replaceChildren();
  $("http-status").textContent = "";
  $("json").replaceChildren(element("span", { class: "muted" }, "The answer of the server appears here."));
  $("copy-json").disabled = true;
}

/** Only `success` and `liveness` that are exactly true read as live. */
function showAnswer({ status, retryAfter, requestId, text }) {
  const answer = parse(text);
  showJson(answer, text, status);
  if (answer?.success === true && typeof answer.result?.liveness === "boolean") {
    showVerdict(answer.result, answer.details ?? {});
  } else if (answer?.success === false) {
    showError(answer, { status, retryAfter, requestId });
  } else {
    showProblem({
      kicker: `HTTP ${status}`,
      title: "The answer is not the service's",
      summary: "Something else answered in its place, such as a proxy.",
      cure: ["Look at the address of this page, and at the proxy's log."],
    });
  }
  reveal();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function outcome(state, icon, { kicker, title, summary }) {
  setState(state);
  show("idle", false);
  show("outcome", true);
  $("seal").setAttribute("href", `#i-${icon}`);
  $("kicker").textContent = kicker;
  $("title").textContent = title;
  $("summary").textContent = summary;
  announce(`${title}. ${summary}`);
}

function showVerdict({ liveness, score }, details) {
  const attack = details.attack_type;
  outcome(liveness ? "live" : "attack", liveness ? "live" : "attack", {
    kicker: liveness ? "Bona fide presentation" : "Attack presentation",
    title: liveness ? "Live person" : "Not a live person",
    summary: liveness ? "The photograph looks as if taken of a person before the camera." : attackWords(attack),
  });
  show("cure", false);
  $("score").textContent = Number(score).toFixed(4);
  show("score-block", true);
  showChances(details, attack);
  showRemarks(details.reasons);
  showQuality(details);
  showProvenance(details);
  drawFace(details.face);
}

function attackWords(attack) {
  if (!attack) return "The photograph looks like one of a print or a screen.";
  return attack.print >= attack.replay
    ? "Most likely a print attack: a photograph of a printed photo."
    : "Most likely a replay attack: a photograph of a screen.";
}

function showError(answer, { status, retryAfter, requestId }) {
  const { error_code: code, error_message: message, details = {} } = answer;
  const known = CURES[STATES[status] ?? code] ?? CURES["005"];
  const cause =
    details.reasons?.map((reason) => CAUSES[reason]).find(Boolean) ??
    // An error has measures where they are its cause: one face was found, and is not good enough for this server.
    (details.quality && "The photograph is not good enough");
  const cure = [...known.cure];
  if (/^\d+$/.test(retryAfter ?? "")) cure.push(`The server asks to wait ${retryAfter} s.`);
  const notes = [];
  if (details.reason) notes.push(`In detail: ${details.reason}.`);
  if (requestId) notes.push(`Request id: ${requestId}`);
  showProblem({ kicker: `Error ${code}`, title: cause ?? known.title, summary: message, cure, notes });
  showRemarks(details.reasons?.filter((reason) => reason in REMARKS), true);
  showQuality(details);
  drawFace(details.face);
  // Of a request that was refused unread, nobody knows whether its key is right.
  if (code === "001" && status !== 429) {
    refuseKey(readKey() ? "The server does not accept this key." : "The server asks for a key.");
    $("key").focus();
  }
}

/** No answer at all: says what a person can tell from that. */
function showSilence(error) {
  const patience = error.name === "TimeoutError";
  const large = photo.file.size > LIMIT;
  showProblem({
    kicker: "No answer",
    title: patience ? "The server did not answer in time" : "The server cannot be reached",
    summary: large
      ? "The photograph is larger than 10 MiB; the server may have ended the transfer because of that (003)."
      : "The request ended without an answer, so there is no verdict.",
    cure: [large ? "Choose a smaller file." : "Is the server running, and is this device connected to it? Then try again."],
  });
  reveal();
}

function showProblem({ kicker, title, summary, cure, notes = [] }) {
  outcome("error", "error", { kicker, title, summary });
  for (const part of ["score-block", "chances", "remarks", "quality", "provenance"]) show(part, false);
  $("cure-list").replaceChildren(...cure.map((line) => element("li", {}, line)));
  $("technical").replaceChildren(...notes.map((line) => element("span", {}, line)));
  show("technical", notes.length > 0);
  show("cure", true);
}

/** Brings the verdict into view where it is not: on a phone it lies below the button, on a low screen above. */
function reveal() {
  const { top } = $("answer").getBoundingClientRect();
  if ((top >= 0 && top < window.innerHeight * 0.4) || document.activeElement === $("key")) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("answer").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
}

function showChances({ live_probability: live, threshold }, attack) {
  show("chances", Boolean(attack));
  if (!attack) return;
  $("bars").replaceChildren(
    chance("Live person", live, "live", threshold),
    chance("Print attack", attack.print, "print"),
    chance("Replay attack", attack.replay, "replay"),
  );
  $("threshold").textContent = `Live from ${percent(threshold)}, the mark on the first bar. The three add up to 100 %.`;
}

function chance(name, value, kind, limit) {
  const bar = drawn("svg", { "aria-hidden": "true", focusable: "false" });
  bar.append(
    drawn("rect", { class: "track", width: "100%", height: "100%", rx: 5 }),
    drawn("rect", { class: `fill ${kind}`, width: `${Math.max(100 * value, 1)}%`, height: "100%", rx: 5 }),
  );
  if (limit != null) {
    const x = `${100 * limit}%`;
    bar.append(drawn("line", { class: "limit", x1: x, x2: x, y1: "-25%", y2: "125%" }));
  }
  return element("div", {}, element("dt", {}, name), element("dd", {}, percent(value)), element("dd", { class: "bar" }, bar));
}

function showRemarks(reasons, onlyWhereAny = false) {
  show("remarks", Boolean(reasons) && (reasons.length > 0 || !onlyWhereAny));
  if (!reasons) return;
  const lines = reasons.map((reason) => {
    const [fault, cure] = REMARKS[reason] ?? [reason, ""];
    return element("li", {}, element("b", {}, fault), ` ${cure}`);
  });
  $("remark-list").classList.toggle("none", lines.length === 0);
  $("remark-list").replaceChildren(
    ...(lines.length ? lines : [element("li", {}, "None: nothing about the photograph hinders the check.")]),
  );
}

function showQuality({ quality, reasons = [] }) {
  show("quality", Boolean(quality));
  if (!quality) return;
  const measures = MEASURES.filter(([name]) => Number.isFinite(quality[name])).map(([name, label, write, faults]) => {
    const bad = faults.some((fault) => reasons.includes(fault));
    return element("div", bad ? { class: "bad" } : {}, element("dt", {}, label), element("dd", {}, write(quality[name])));
  });
  $("measures").replaceChildren(...measures);
}

function showProvenance({ timings_ms: timings, models, engine }) {
  const facts = [];
  if (timings) facts.push(`${timings.total.toFixed(1)} ms in the library`);
  if (models) facts.push(`models ${models}`);
  if (engine) facts.push(engine);
  $("provenance").textContent = facts.join(" · ");
  show("provenance", facts.length > 0);
}

/** Draws box and landmarks; both are in pixels of the upright picture, which is what the browser shows. */
function drawFace(face) {
  const { naturalWidth: width, naturalHeight: height } = $("preview");
  const overlay = $("overlay");
  overlay.replaceChildren();
  if (!face || !width || $("frame").hidden) return;
  overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [x, y, w, h] = face.box;
  const corners = cornerPath(x, y, w, h, Math.min(w, h) * 0.2);
  overlay.append(
    drawn("rect", { class: "box", x, y, width: w, height: h }),
    drawn("path", { class: "casing", d: corners }),
    drawn("path", { class: "corners", d: corners }),
  );
  const radius = (3.2 * width) / Math.max($("frame").clientWidth, 1);
  // Landmarks count from the centre of the first pixel, SVG from its corner.
  for (const [px, py] of face.landmarks) overlay.append(drawn("circle", { cx: px + 0.5, cy: py + 0.5, r: radius }));
}

function cornerPath(x, y, w, h, l) {
  const [r, b] = [x + w, y + h];
  return (
    `M${x} ${y + l}V${y}H${x + l}M${r - l} ${y}H${r}V${y + l}` +
    `M${r} ${b - l}V${b}H${r - l}M${x + l} ${b}H${x}V${b - l}`
  );
}

// JSON and command

function showJson(answer, text, status) {
  answerText = text;
  $("http-status").textContent = `HTTP ${status}`;
  $("copy-json").disabled = false;
  $("json").replaceChildren(...(answer === null ? [text] : written(answer, "")));
}

/** Indented and coloured; arrays without objects stay on one line. */
function written(value, indent) {
  const flat = Array.isArray(value) && value.every((item) => typeof item !== "object");
  if (value === null || typeof value !== "object") return [literal(value)];
  if (flat) return [JSON.stringify(value).replaceAll(",", ", ")];
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const inner = `${indent}  `;
  const members = Object.entries(value).flatMap(([name, member], index) => [
    `${index ? "," : ""}\n${inner}`,
    ...(Array.isArray(value) ? [] : [element("span", { class: "key" }, JSON.stringify(name)), ": "]),
    ...written(member, inner),
  ]);
  return members.length ? [open, ...members, `\n${indent}${close}`] : [open + close];
}

function literal(value) {
  const kind = typeof value === "string" ? "text" : "word";
  return element("span", { class: kind }, JSON.stringify(value));
}

function quoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Commands of a POSIX shell that send the photograph as a file and as base64. */
const COMMANDS = {
  "curl": (name, key) => [
    `curl ${quoted(endpoint)}`,
    `-H ${quoted(`X-API-Key: ${key}`)}`,
    // curl reads ; and , in a file name as its own syntax unless the name is in double quotes.
    `-F ${quoted(`image=@"${name.replaceAll(/["\\]/g, String.raw`\$&`)}"`)}`,
    "-F details=true",
  ],
  "curl-base64": (name, key) => [
    `base64 < ${quoted(name)} | curl`,
    quoted(endpoint),
    `-H ${quoted(`X-API-Key: ${key}`)}`,
    "--data-urlencode image_bytes@-",
    "-d details=true",
  ],
};

function command(id, key) {
  return COMMANDS[id](photo?.name ?? "selfie.jpg", key).join(" \\\n  ");
}

function showCommands() {
  for (const id of Object.keys(COMMANDS)) $(id).textContent = command(id, readKey() ? MASK : "YOUR-KEY");
}

async function copy(button, text) {
  const label = button.firstChild;
  const before = label.data;
  try {
    await navigator.clipboard.writeText(text);
    label.data = "Copied";
    announce("Copied.");
  } catch {
    // No clipboard without https: the text can still be marked by hand.
    label.data = "Not allowed";
    announce("The browser does not allow copying here; mark the text instead.");
  }
  button.disabled = true;
  setTimeout(() => {
    label.data = before;
    button.disabled = false;
  }, 1500);
}

// Events

function onFileInput(event) {
  const [file] = event.target.files;
  // The same file can be chosen again after it was changed.
  event.target.value = "";
  if (file) use(file);
}

for (const input of ["file-input", "capture-input"]) $(input).addEventListener("change", onFileInput);
$("choose").addEventListener("click", () => $("file-input").click());
$("open-camera").addEventListener("click", openCamera);
$("open-capture").addEventListener("click", () => $("capture-input").click());
$("shoot").addEventListener("click", shoot);
$("close-camera").addEventListener("click", cancelCamera);
$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
$("key").addEventListener("input", () => {
  refuseKey("");
  showCommands();
});
$("key").addEventListener("change", storeKey);
$("remember").addEventListener("change", () => {
  storeKey();
  describeStorage();
});
$("show-key").addEventListener("click", () => {
  const shown = $("key").type === "text";
  $("key").type = shown ? "password" : "text";
  $("show-key").setAttribute("aria-pressed", String(!shown));
});
for (const id of Object.keys(COMMANDS)) {
  $(`copy-${id}`).addEventListener("click", (event) => copy(event.currentTarget, command(id, readKey() || "YOUR-KEY")));
}
$("copy-json").addEventListener("click", (event) => copy(event.currentTarget, answerText));

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stream) cancelCamera();
});
document.addEventListener("paste", (event) => {
  const file = pictureOf(event.clipboardData);
  if (!file) return;
  event.preventDefault();
  use(file);
});

// The whole page takes a dropped file: next to the frame the browser would leave the page for it.
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  document.body.toggleAttribute("data-dragging", true);
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.removeAttribute("data-dragging");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  document.body.removeAttribute("data-dragging");
  const file = pictureOf(event.dataTransfer);
  if (file) use(file);
});
window.addEventListener("pagehide", closeCamera);

restoreKey();
showCommands();
