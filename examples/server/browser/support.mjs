// What the browser tests stand on: the real server on a free port, Chromium, and its camera.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

export const ROOT = process.env.LIVENESS_ROOT ?? fileURLToPath(new URL("../../..", import.meta.url));
export const KEY = "browser-test-key";

const SERVER = process.env.LIVENESS_SERVER ?? path.join(ROOT, "target/release/liveness-server");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Quiet, and without the look-ups by which Chromium would leave the machine. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Pictures made from the portrait by the conformance suite, and the portrait itself. */
export const picture = {
  portrait: path.join(ROOT, "tests/fixtures/astronaut.png"),
  jpeg: input("jpeg.jpg"),
  rotated: input("exif-6-jpeg.jpg"),
  print: input("print-attack.jpg"),
  replay: input("replay-attack.jpg"),
  twoFaces: input("two-faces.jpg"),
  noFace: input("no-face.jpg"),
  mask: input("mask.png"),
  tooLarge: input("too-large.png"),
  tiff: input("tiff.tiff"),
};

function input(name) {
  return path.join(ROOT, "target/conformance/inputs", name);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Starts the server; `stop` ends it. */
export async function startServer() {
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(SERVER, ["--address", address], {
    env: { ...process.env, LIVENESS_API_KEYS: KEY, LIVENESS_LOG: "warn" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  const url = `http://${address}/`;
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}; was it built?`);
    const ready = await fetch(new URL("readyz", url)).then((answer) => answer.ok, () => false);
    if (ready) return { url, stop };
    await sleep(100);
  }
  await stop();
  throw new Error("the server is not ready after 30 s");
}

/** Chromium, by default with a camera that sees the portrait. */
export async function startBrowser({ camera = true } = {}) {
  const folder = await mkdtemp(path.join(tmpdir(), "liveness-camera-"));
  const film = path.join(folder, "portrait.mjpeg");
  const frame = await readFile(picture.jpeg);
  await writeFile(film, Buffer.concat(Array(5).fill(frame)));
  const device = ["--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${film}`];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...(camera ? device : [])] });
  const stop = async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  };
  return { browser, stop };
}

/** Opens the page and notes what must not happen: foreign requests, errors in the console, uncaught ones. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("request", (request) => {
    const target = new URL(request.url());
    const local = ["blob:", "data:"].includes(target.protocol) || target.origin === new URL(url).origin;
    if (!local) faults.push(`request to ${target.href}`);
  });
  page.on("console", (message) => {
    // Chromium reports every status from 400 on; those of the service are answers, not faults.
    const answered = message.location().url.includes("/liveness/") && message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !answered) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
  await page.goto(url);
  return { page, context, faults };
}
