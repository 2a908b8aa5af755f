// The page of the server in headless Chromium: what a person does with it, and what must never happen.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { KEY, open, picture, ROOT, startBrowser, startServer } from "./support.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/** Where the page sends a photograph. */
const CHECK = (url) => url.pathname === "/liveness/" && url.search === "?details=true";
/** The face of the portrait as shares of its sides: left, top, right, bottom. */
const FACE = [180 / 512, 60 / 512, 268 / 512, 172 / 512];

let server;
let chromium;
let opened = [];

before(async () => {
  for (const file of Object.values(picture)) await stat(file);
  server = await startServer();
  chromium = await startBrowser();
});

after(async () => {
  await chromium?.stop();
  await server?.stop();
});

/** Whatever a test does, nothing may leave the server's origin or complain in the console. */
afterEach(async () => {
  const faults = opened.flatMap((one) => one.faults);
  await Promise.all(opened.map((one) => one.context.close()));
  opened = [];
  assert.deepEqual(faults, []);
});

async function visit(options, browser = chromium.browser) {
  const one = await open(browser, server.url, options);
  opened.push(one);
  return one.page;
}

const state = (page) => page.locator("body").getAttribute("data-state");
const text = (page, id) => page.locator(`#${id}`).innerText();
const says = (page, id, words) => page.waitForSelector(`#${id}:visible:has-text("${words}")`);
const settled = (page) => page.waitForFunction(() => ["live", "attack", "error"].includes(document.body.dataset.state));

async function choose(page, file) {
  await page.setInputFiles("#file-input", file);
  await page.waitForSelector("#check:enabled");
}

/** Chooses a file, checks it, and returns the state in which the page ends. */
async function check(page, file, key = KEY) {
  await page.fill("#key", key);
  await choose(page, file);
  await page.click("#check");
  await settled(page);
  return state(page);
}

async function assertRefused(page, code) {
  assert.equal(await state(page), "error");
  assert.equal(await text(page, "kicker"), `Error ${code}`);
  assert.ok((await page.locator("#cure-list li").count()) > 0, "an error says what to do");
  assert.equal(await page.locator("#score-block").isVisible(), false, "an error has no score");
  assert.match(await text(page, "json"), new RegExp(`"error_code": "${code}"`));
}

/** Where the face is drawn, as shares of the picture that is shown. */
function drawnFace(page) {
  return page.evaluate(() => {
    const frame = document.getElementById("preview").getBoundingClientRect();
    const share = ({ left, top, right, bottom }) => [
      (left - frame.left) / frame.width,
      (top - frame.top) / frame.height,
      (right - frame.left) / frame.width,
      (bottom - frame.top) / frame.height,
    ];
    const overlay = document.getElementById("overlay");
    const points = [...overlay.querySelectorAll("circle")].map((point) => share(point.getBoundingClientRect()));
    return {
      box: share(overlay.querySelector(".box").getBoundingClientRect()),
      points: points.map(([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2]),
    };
  });
}

function assertAtTheFace({ box, points }) {
  for (const [side, expected] of FACE.entries()) {
    assert.ok(Math.abs(box[side] - expected) < 0.05, `box ${box}, the face is at ${FACE}`);
  }
  assert.equal(points.length, 5);
  for (const [x, y] of points) {
    assert.ok(box[0] < x && x < box[2] && box[1] < y && y < box[3], `landmark ${x}, ${y} outside of ${box}`);
  }
  const [rightEye, leftEye] = points;
  assert.ok(rightEye[0] < leftEye[0], "the subject's right eye is on the left of the picture");
}

/** What the preview of a file looks like, as base64 of a PNG. */
async function shown(page, file) {
  await choose(page, file);
  await page.waitForSelector("#file:has-text('pixels')");
  return (await page.locator("#preview").screenshot()).toString("base64");
}

/** Mean difference of two pictures per channel, 0..255. */
function difference(page, ...pictures) {
  return page.evaluate(async (pictures) => {
    const side = 32;
    const [one, other] = await Promise.all(
      pictures.map(async (picture) => {
        const bytes = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
        const context = new OffscreenCanvas(side, side).getContext("2d");
        context.drawImage(await createImageBitmap(new Blob([bytes])), 0, 0, side, side);
        return context.getImageData(0, 0, side, side).data;
      }),
    );
    return one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / one.length;
  }, pictures);
}

describe("verdicts", () => {
  test("a live portrait is live, and its face is marked", async () => {
    const page = await visit();
    assert.equal(await check(page, picture.portrait), "live");
    assert.equal(await text(page, "title"), "Live person");
    assert.match(await text(page, "score"), /^[01]\.\d{4}$/);
    assertAtTheFace(await drawnFace(page));
    assert.match(await text(page, "json"), /"liveness": true/);
    assert.match(await text(page, "http-status"), /200/);
    assert.equal(await page.locator("#bars > div").count(), 3);
    assert.equal(await page.locator("#measures > div").count(), 10);
    assert.ok(await page.locator("#remarks").isVisible());
    assert.match(await page.locator("#announcement").textContent(), /^Live person/);
  });

  for (const [kind, word] of [["print", "print attack"], ["replay", "replay attack"]]) {
    test(`a simulated ${word} is an attack`, async () => {
      const page = await visit();
      assert.equal(await check(page, picture[kind]), "attack");
      assert.equal(await text(page, "title"), "Not a live person");
      assert.match(await text(page, "summary"), /print attack|replay attack/);
      assert.match(await text(page, "json"), /"liveness": false/);
      assert.equal(await page.locator("#overlay .box").count(), 1);
    });
  }

  test("a picture turned by EXIF is shown upright, the box at the face", async () => {
    const page = await visit();
    const upright = await shown(page, picture.jpeg);
    const turned = await shown(page, picture.rotated);
    assert.ok((await difference(page, upright, turned)) < 8);
    assert.notEqual(await check(page, picture.rotated), "error");
    assertAtTheFace(await drawnFace(page));
  });

  test("a picture that the browser cannot show is judged all the same", async () => {
    const page = await visit();
    assert.equal(await check(page, picture.tiff), "live");
    assert.ok(await page.locator("#unseen").isVisible());
    assert.equal(await page.locator("#overlay *").count(), 0);
  });
});

describe("errors", () => {
  test("a text file is 002", async () => {
    const page = await visit();
    await check(page, { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no picture\n") });
    await assertRefused(page, "002");
    assert.equal(await text(page, "summary"), "Error reading image, please check the request format.");
  });

  for (const [what, key] of [["wrong", "not-the-key"], ["missing", ""]]) {
    test(`a ${what} key is 001, and the key field says so`, async () => {
      const page = await visit();
      await check(page, picture.jpeg, key);
      await assertRefused(page, "001");
      assert.equal(await page.locator("#key").getAttribute("aria-invalid"), "true");
      assert.ok(await page.locator("#key-error").isVisible());
      assert.equal(await page.evaluate(() => document.activeElement.id), "key");
      await page.fill("#key", KEY);
      assert.equal(await page.locator("#key").getAttribute("aria-invalid"), "false");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.body.dataset.state === "live" || document.body.dataset.state === "attack");
    });
  }

  test("a key that no header can carry is not sent", async () => {
    const page = await visit();
    await page.fill("#key", "schlüssel €");
    await choose(page, picture.jpeg);
    await page.click("#check");
    assert.match(await text(page, "key-error"), /copy it again/);
    assert.equal(await state(page), "ready");
  });

  test("a file over 10 MiB is 003, announced beforehand", async () => {
    const page = await visit();
    await page.fill("#key", KEY);
    await choose(page, picture.tooLarge);
    assert.match(await text(page, "file"), /over the limit/);
    await page.click("#check");
    await settled(page);
    await assertRefused(page, "003");
  });

  test("two faces are 051, no face too, told apart", async () => {
    const page = await visit();
    await check(page, picture.twoFaces);
    await assertRefused(page, "051");
    assert.equal(await text(page, "title"), "More than one face was found");
    await check(page, picture.noFace);
    await assertRefused(page, "051");
    assert.equal(await text(page, "title"), "No face was found");
  });

  test("051 for poor quality says so, and what is poor", async () => {
    const page = await visit();
    const details = { reasons: ["blurred"], faces: 1, quality: { sharpness: 3.25 } };
    const body = JSON.stringify({ ...JSON.parse(failure("051")), details });
    await answerWith(page, { status: 422, body });
    await check(page, picture.jpeg);
    await assertRefused(page, "051");
    assert.equal(await text(page, "title"), "The photograph is not good enough");
    assert.match(await text(page, "remark-list"), /blurred/);
  });

  test("a mask is 052, its face marked", async () => {
    const page = await visit();
    await check(page, picture.mask);
    await assertRefused(page, "052");
    assert.equal(await page.locator("#overlay .box").count(), 1);
  });

  test("a busy server is 005 with the time to wait", async () => {
    const page = await visit();
    await answerWith(page, { status: 503, headers: { "Retry-After": "7" }, body: failure("005") });
    await check(page, picture.jpeg);
    await assertRefused(page, "005");
    assert.equal(await text(page, "title"), "The server is busy");
    assert.match(await text(page, "cure-list"), /wait 7 s/);
  });

  test("too many wrong keys are told from one", async () => {
    const page = await visit();
    await answerWith(page, { status: 429, headers: { "Retry-After": "2" }, body: failure("001") });
    await check(page, picture.jpeg);
    await assertRefused(page, "001");
    assert.equal(await text(page, "title"), "Too many wrong keys came from this address");
    assert.match(await text(page, "cure-list"), /wait 2 s/);
    assert.notEqual(await page.locator("#key").getAttribute("aria-invalid"), "true", "nobody said that the key is wrong");
    assert.equal(await page.locator("#key-error").isVisible(), false);
  });

  test("a request that arrives too slowly is not called misunderstood", async () => {
    const page = await visit();
    await answerWith(page, { status: 408, body: failure("004") });
    await check(page, picture.jpeg);
    await assertRefused(page, "004");
    assert.equal(await text(page, "title"), "The photograph took too long to arrive");
    assert.doesNotMatch(await text(page, "cure-list"), /Reload/);
  });

  test("the server's own reason is shown whatever is wrong", async () => {
    const page = await visit();
    await check(page, picture.jpeg, "not-the-key");
    assert.match(await text(page, "technical"), /In detail: send an API key/);
    await check(page, picture.tooLarge);
    assert.match(await text(page, "technical"), /In detail: .*10 MiB/);
  });

  test("a server that is gone is no verdict", async () => {
    const page = await visit();
    await page.route(CHECK, (route) => route.abort("connectionrefused"));
    assert.equal(await check(page, picture.jpeg), "error");
    assert.equal(await text(page, "title"), "The server cannot be reached");
  });

  test("a server that does not answer within a minute and a half is no verdict", async () => {
    const page = await visit();
    await page.clock.install();
    await page.route(CHECK, () => {});
    await page.fill("#key", KEY);
    await choose(page, picture.jpeg);
    await page.click("#check");
    await page.waitForSelector('body[data-state="busy"]');
    // The server itself may take that long.
    await page.clock.fastForward(85_000);
    assert.equal(await page.getAttribute("body", "data-state"), "busy");
    await page.clock.fastForward(6_000);
    await settled(page);
    assert.equal(await text(page, "title"), "The server did not answer in time");
  });
});

function answerWith(page, answer) {
  return page.route(CHECK, (route) => route.fulfill({ contentType: "application/json", ...answer }));
}

function failure(code) {
  return JSON.stringify({ success: false, error_code: code, error_message: "Message." });
}

describe("fail closed", () => {
  const answers = {
    "no JSON": "<h1>live</h1>",
    "an empty body": "",
    "success as a string": '{"success":"true","result":{"liveness":true,"score":1}}',
    "liveness as a string": '{"success":true,"result":{"liveness":"true","score":1}}',
    "no result": '{"success":true}',
    "null": "null",
    "a failure with a result": '{"success":false,"error_code":"005","error_message":"x","result":{"liveness":true,"score":1}}',
  };
  for (const [name, body] of Object.entries(answers)) {
    test(`${name} never reads as live`, async () => {
      const page = await visit();
      await answerWith(page, { body });
      assert.equal(await check(page, picture.jpeg), "error");
      assert.doesNotMatch(await text(page, "outcome"), /Live person/);
    });
  }

  test("a new photograph takes the old verdict away", async () => {
    const page = await visit();
    assert.equal(await check(page, picture.portrait), "live");
    await choose(page, picture.print);
    assert.equal(await state(page), "ready");
    assert.equal(await page.locator("#outcome").isVisible(), false);
    assert.equal(await page.locator("#overlay *").count(), 0);
    assert.match(await text(page, "json"), /appears here/);
  });

  test("an answer that comes too late, for the photograph before, is dropped", async () => {
    const page = await visit();
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route(CHECK, async (route) => {
      await held;
      await route.continue().catch(() => {});
    });
    await page.fill("#key", KEY);
    await choose(page, picture.portrait);
    await page.click("#check");
    await page.waitForSelector('body[data-state="busy"]');
    await page.setInputFiles("#file-input", picture.print);
    await page.waitForSelector('body[data-state="ready"]');
    release();
    await page.waitForTimeout(300);
    assert.equal(await state(page), "ready");
  });

  test("markup in names and answers stays text", async () => {
    const page = await visit();
    const markup = "<img src=x onerror=alert(1)>";
    await answerWith(page, {
      status: 400,
      body: JSON.stringify({ success: false, error_code: markup, error_message: markup, details: { reason: markup } }),
    });
    await check(page, { name: `${markup}.jpg`, mimeType: "image/jpeg", buffer: await readFile(picture.jpeg) });
    assert.equal(await page.locator('img[src="x"]').count(), 0);
    assert.equal(await text(page, "summary"), markup);
  });
});

describe("ways in", () => {
  const dropped = (page, type) =>
    page.evaluate(
      async ([bytes, type]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "dropped.jpg", { type: "image/jpeg" }));
        const event =
          type === "paste"
            ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
            : new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true });
        document.getElementById("stage").dispatchEvent(event);
        return event.defaultPrevented;
      },
      [page.jpeg, type],
    );

  test("dropping and pasting", async () => {
    for (const type of ["drop", "paste"]) {
      const page = await visit();
      page.jpeg = (await readFile(picture.jpeg)).toString("base64");
      if (type === "drop") {
        assert.ok(await dropped(page, "dragover"));
        assert.ok(await page.locator(".drop-hint").isVisible());
      }
      assert.ok(await dropped(page, type), `${type} is taken`);
      await page.waitForSelector("#check:enabled");
      assert.equal(await page.locator(".drop-hint").isVisible(), false);
      await page.waitForFunction(() => /dropped\.jpg.*512 × 512/s.test(document.getElementById("file").innerText));
    }
  });

  test("text can still be pasted into the key field", async () => {
    const page = await visit();
    await page.focus("#key");
    await page.evaluate(() => document.execCommand("insertText", false, "pasted-key"));
    assert.equal(await page.inputValue("#key"), "pasted-key");
  });

  test("the camera: a mirrored preview, an unmirrored photograph, and the camera off again", async () => {
    const page = await visit({ permissions: ["camera"] });
    await page.fill("#key", KEY);
    await page.click("#open-camera");
    await page.waitForSelector("#shoot:enabled");
    assert.equal(await page.locator("#video").evaluate((video) => getComputedStyle(video).transform), "matrix(-1, 0, 0, 1, 0, 0)");
    assert.equal(await page.evaluate(() => document.activeElement.id), "shoot");
    const track = await page.evaluateHandle(() => document.getElementById("video").srcObject.getTracks()[0]);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#check:enabled");
    assert.equal(await track.evaluate(({ readyState }) => readyState), "ended");
    await page.click("#check");
    await settled(page);
    assert.notEqual(await state(page), "error", await text(page, "answer"));
    const { box } = await drawnFace(page);
    // The face is in the left half of the portrait; of a mirrored one in the right half.
    assert.ok((box[0] + box[2]) / 2 < 0.48, `${box}`);
  });

  test("Escape turns the camera off", async () => {
    const page = await visit({ permissions: ["camera"] });
    await page.click("#open-camera");
    await page.waitForSelector("#shoot:enabled");
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#empty").isVisible());
    assert.equal(await page.locator("#video").evaluate((video) => video.srcObject), null);
    assert.equal(await page.evaluate(() => document.activeElement.id), "open-camera");
  });

  test("a camera that is closed while it starts has not failed", async () => {
    const page = await visit({ permissions: ["camera"] });
    page.jpeg = (await readFile(picture.jpeg)).toString("base64");
    // Without a track, the video waits for its first frame until the camera is closed.
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = async () => new MediaStream();
    });
    const starting = async () => {
      await page.click("#open-camera");
      await page.waitForSelector("#camera:visible");
      await page.waitForFunction(() => document.getElementById("video").srcObject);
    };
    const closed = async () => {
      await page.waitForSelector("#open-camera:enabled");
      // The end of the wait reaches the page a little later.
      await page.waitForTimeout(300);
      assert.equal(await page.locator("#camera").isVisible(), false);
      assert.equal(await page.locator("#camera-failed").isVisible(), false);
    };
    await starting();
    await page.keyboard.press("Escape");
    await closed();
    assert.equal(await page.evaluate(() => document.activeElement.id), "open-camera");
    await starting();
    assert.ok(await dropped(page, "paste"));
    await closed();
    assert.match(await text(page, "file"), /dropped\.jpg/);
  });

  test("a camera that may not be used says what to do", async () => {
    const page = await visit();
    await page.click("#open-camera");
    await says(page, "camera-failed", "Allow it for this page");
    await choose(page, picture.jpeg);
    assert.equal(await page.locator("#camera-failed").isVisible(), false);
  });

  test("no camera, and no secure page, say what to do", async () => {
    const bare = await startBrowser({ camera: false });
    try {
      const page = await visit({ permissions: ["camera"] }, bare.browser);
      await page.click("#open-camera");
      await says(page, "camera-failed", "No camera was found");
      await page.evaluate(() => Object.defineProperty(navigator, "mediaDevices", { value: undefined }));
      await page.click("#open-camera");
      await says(page, "camera-failed", "needs a secure page");
    } finally {
      await Promise.all(opened.map((one) => one.context.close()));
      await bare.stop();
    }
  });
});

describe("the key", () => {
  test("stays out of address, page and lasting storage unless asked for", async () => {
    const page = await visit();
    await check(page, picture.jpeg);
    assert.ok(!page.url().includes(KEY));
    assert.ok(!(await page.content()).includes(KEY));
    assert.equal(await page.evaluate((key) => Object.values({ ...localStorage }).includes(key), KEY), false);
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.reload();
    assert.equal(await page.inputValue("#key"), KEY, "it survives a reload of the tab");

    const fresh = await page.context().newPage();
    await fresh.goto(server.url);
    assert.equal(await fresh.inputValue("#key"), "", "another tab does not know it");
    await page.check("#remember");
    await fresh.reload();
    assert.equal(await fresh.inputValue("#key"), KEY);
    assert.ok(await fresh.isChecked("#remember"));
    await page.uncheck("#remember");
    await fresh.evaluate(() => sessionStorage.clear());
    await fresh.reload();
    assert.equal(await fresh.inputValue("#key"), "");
  });

  test("is hidden until it is shown", async () => {
    const page = await visit();
    await page.fill("#key", KEY);
    assert.equal(await page.locator("#key").getAttribute("type"), "password");
    await page.click("#show-key");
    assert.equal(await page.locator("#key").getAttribute("type"), "text");
    assert.equal(await page.locator("#show-key").getAttribute("aria-pressed"), "true");
  });

  test("is masked in the commands, and in what they copy it is not: both run in a shell", async () => {
    const page = await visit({ permissions: ["clipboard-read", "clipboard-write"] });
    const folder = await mkdtemp(path.join(tmpdir(), "liveness-curl-"));
    try {
      // Blanks, quotes and what curl or a shell would read as its own.
      const file = path.join(folder, `my "new" selfie; it's $HOME, \`1\`.png`);
      await copyFile(picture.portrait, file);
      assert.equal(await check(page, file), "live");
      const shown = JSON.parse(await page.evaluate(() => document.getElementById("json").textContent));
      for (const id of ["curl", "curl-base64"]) {
        const masked = await text(page, id);
        assert.ok(masked.includes("••••") && !masked.includes(KEY), masked);
        await page.click(`#copy-${id}`);
        await page.waitForFunction((id) => document.getElementById(`copy-${id}`).textContent.startsWith("Copied"), id);
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        const { stdout } = await promisify(execFile)("sh", ["-c", copied], { cwd: folder });
        assert.deepEqual(JSON.parse(stdout).result, shown.result, copied);
      }
      await page.click("#copy-json");
      await page.waitForFunction(() => document.getElementById("copy-json").textContent.startsWith("Copied"));
      assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), shown);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("for everybody", () => {
  test("by keyboard alone: choose, key, check, read on", async () => {
    const page = await visit();
    const focused = () => page.evaluate(() => document.activeElement.id);
    const tabTo = async (id) => {
      for (let presses = 0; presses < 20 && (await focused()) !== id; presses++) await page.keyboard.press("Tab");
      assert.equal(await focused(), id);
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outline, "none", `${id} shows its focus`);
    };
    // Listening takes Chromium a moment, so it begins before the keys.
    const chooser = page.waitForEvent("filechooser");
    await tabTo("choose");
    await page.keyboard.press("Enter");
    await (await chooser).setFiles(picture.portrait);
    await page.waitForSelector("#check:enabled");
    await tabTo("key");
    await page.keyboard.type(KEY);
    await tabTo("check");
    await page.keyboard.press("Space");
    await settled(page);
    assert.equal(await state(page), "live");
    await tabTo("json");
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`axe finds nothing, ${colorScheme}`, async () => {
      const page = await visit({ colorScheme });
      await assertAccessible(page, `idle, ${colorScheme}`);
      for (const [name, file] of Object.entries({ live: picture.portrait, attack: picture.replay, error: picture.mask })) {
        assert.equal(await check(page, file), name);
        await page.mouse.move(0, 0);
        await assertAccessible(page, `${name}, ${colorScheme}`);
      }
      await check(page, picture.jpeg, "wrong");
      await assertAccessible(page, `wrong key, ${colorScheme}`);
    });
  }

  async function assertAccessible(page, where) {
    await page.evaluate(AXE);
    // Colours in transition would be measured half-way.
    await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState === "finished"));
    const { violations } = await page.evaluate(() => window.axe.run());
    const found = violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.html).join(" | ")}`);
    assert.deepEqual(found, [], where);
  }

  test("a narrow phone needs no horizontal scrolling in any state", async () => {
    const page = await visit(PHONE);
    const assertFits = async (where) => {
      const { scrollWidth, clientWidth } = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return { scrollWidth, clientWidth };
      });
      assert.ok(scrollWidth <= clientWidth, `${where}: ${scrollWidth} > ${clientWidth}`);
    };
    await assertFits("idle");
    for (const file of [picture.portrait, picture.replay, picture.twoFaces]) {
      await check(page, file);
      await assertFits(file);
    }
  });

  for (const [screen, options] of Object.entries({ phone: PHONE, "low screen": { viewport: { width: 1280, height: 600 } } })) {
    test(`the verdict comes into view on a ${screen}`, async () => {
      const page = await visit({ ...options, reducedMotion: "reduce" });
      await check(page, picture.print);
      const { top, bottom } = await page.locator(".verdict").evaluate((verdict) => verdict.getBoundingClientRect().toJSON());
      assert.ok(top >= 0 && bottom <= options.viewport.height, `${top} to ${bottom}`);
    });
  }

  test("targets of a finger are large enough", async () => {
    const page = await visit(PHONE);
    for (const button of await page.locator("button:visible").all()) {
      const { width, height } = await button.boundingBox();
      assert.ok(width >= 24 && height >= 24, await button.innerText());
    }
  });

  test("light and dark follow the system", async () => {
    const brightness = async (colorScheme) => {
      const page = await visit({ colorScheme });
      const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      return Math.max(...colour.match(/\d+/g).map(Number));
    };
    assert.ok((await brightness("light")) > 200);
    assert.ok((await brightness("dark")) < 60);
  });

  test("nothing moves where motion is unwelcome", async () => {
    for (const reducedMotion of ["reduce", "no-preference"]) {
      const page = await visit({ reducedMotion });
      await page.route(CHECK, () => {});
      await page.fill("#key", KEY);
      await choose(page, picture.jpeg);
      await page.click("#check");
      await page.waitForSelector('body[data-state="busy"]');
      const moving = await page.evaluate(() => document.getAnimations().length);
      assert.equal(moving > 0, reducedMotion === "no-preference");
    }
  });
});

test("pictures of the page for the README", async () => {
  const folder = process.env.LIVENESS_SCREENSHOTS ?? path.join(ROOT, "target/screenshots");
  await mkdir(folder, { recursive: true });
  const shots = [
    ["page-live.jpg", picture.portrait, "live", { colorScheme: "light", viewport: { width: 1280, height: 1162 } }],
    ["page-attack.jpg", picture.replay, "attack", { ...PHONE, colorScheme: "dark", viewport: { width: 390, height: 1366 } }],
  ];
  for (const [name, file, expected, options] of shots) {
    const page = await visit({ ...options, deviceScaleFactor: 1.5, reducedMotion: "reduce" });
    assert.equal(await check(page, file), expected);
    await page.mouse.move(0, 0);
    await page.evaluate(() => {
      document.activeElement.blur();
      window.scrollTo(0, 0);
    });
    await page.screenshot({ path: path.join(folder, name), quality: 88 });
  }
});
