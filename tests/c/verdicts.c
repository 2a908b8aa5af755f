/* What the trained networks say, through every way in. */
#define _POSIX_C_SOURCE 200809L

#include "suite.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void face_is_plausible(const liveness_result *result, double width, double height)
{
  size_t i;
  CHECK_NUMBER(result->faces, 1);
  CHECK(result->face_score > 0.4f && result->face_score <= 1.0f);
  CHECK(result->face_width > 0.05 * width && result->face_width < width);
  CHECK(result->face_height > 0.05 * height && result->face_height < height);
  for (i = 0; i < 5; i++) {
    float x = (result->landmarks[i].x - result->face_x) / result->face_width;
    float y = (result->landmarks[i].y - result->face_y) / result->face_height;
    CHECK(x > -0.1f && x < 1.1f && y > -0.1f && y < 1.1f);
  }
  /* The subject's right eye is left of the left one in the image, and the eyes above the mouth. */
  CHECK(result->landmarks[0].x < result->landmarks[1].x);
  CHECK(result->landmarks[0].y < result->landmarks[3].y);
}

static void a_live_person_is_live(void)
{
  liveness_engine *engine = default_engine();
  liveness_result result = dirty_result();
  double sum;
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &result), LIVENESS_OK);
  CHECK_TEXT(liveness_last_error(), "");
  CHECK_NUMBER(result.struct_size, sizeof result);
  CHECK_NUMBER(result.liveness, 1);
  CHECK(result.score >= 0.5 && result.score <= 1.0);
  CHECK(result.live_probability >= result.threshold);
  CHECK(fabs(result.score - result.live_probability) < 1e-9);
  CHECK(fabs(result.threshold - 0.5) < 1e-6);
  sum = result.live_probability + result.print_probability + result.replay_probability;
  CHECK(fabs(sum - 1.0) < 1e-3);
  CHECK(result.mask_probability >= 0.0f && result.mask_probability < 0.5f);
  CHECK(result.quality_face_size > 0.0f && result.quality_brightness > 0.0f);
  CHECK(result.quality_contrast > 0.0f && result.quality_sharpness > 0.0f);
  CHECK(result.total_ms > 0.0f && result.total_ms >= result.detect_ms);
  face_is_plausible(&result, 512, 512);
  liveness_free(engine);
}

/* The same file through memory, base64 and disk is the same verdict to the last bit. */
static void every_way_in_says_the_same(void)
{
  static const char prefix[] = "data:image/png;base64,";
  liveness_engine *engine = default_engine();
  liveness_result by_file = dirty_result(), by_bytes = dirty_result(), by_text = dirty_result();
  bytes file = read_file(image_path("face.png"));
  char *text = base64(file);
  char *uri = malloc(sizeof prefix + strlen(text));
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &by_file), LIVENESS_OK);
  CHECK_NUMBER(liveness_check(engine, file.data, file.len, &by_bytes), LIVENESS_OK);
  CHECK(same_verdict(&by_file, &by_bytes));
  CHECK_NUMBER(liveness_check_base64(engine, text, strlen(text), &by_text), LIVENESS_OK);
  CHECK(same_verdict(&by_file, &by_text));
  if (uri != NULL) {
    strcpy(uri, prefix);
    strcat(uri, text);
    by_text = dirty_result();
    CHECK_NUMBER(liveness_check_base64(engine, uri, strlen(uri), &by_text), LIVENESS_OK);
    CHECK(same_verdict(&by_file, &by_text));
  }
  free(uri);
  free(text);
  free(file.data);
  liveness_free(engine);
}

/* A verdict in JSON is the contract's form around the numbers of the result. */
static void expect_verdict_json(const char *json, const liveness_result *result)
{
  char begin[96], *end = NULL;
  double score;
  snprintf(begin, sizeof begin, "{\"success\":true,\"result\":{\"liveness\":%s,\"score\":",
           result->liveness ? "true" : "false");
  CHECK(json != NULL && strncmp(json, begin, strlen(begin)) == 0);
  if (json == NULL) return;
  score = strtod(json + strlen(begin), &end);
  CHECK(fabs(score - result->score) <= 0.5001e-4);
  CHECK_TEXT(end, "}}");
}

static void json_of_a_verdict(void)
{
  liveness_engine *engine = default_engine();
  liveness_result result = LIVENESS_RESULT_INIT;
  bytes file = read_file(image_path("face.png"));
  char *text = base64(file), *json = NULL;
  CHECK_NUMBER(liveness_check(engine, file.data, file.len, &result), LIVENESS_OK);

  CHECK_NUMBER(liveness_check_json(engine, file.data, file.len, 0, &json), LIVENESS_OK);
  expect_verdict_json(json, &result);
  liveness_string_free(json);
  json = NULL;
  CHECK_NUMBER(liveness_check_base64_json(engine, text, strlen(text), 0, &json), LIVENESS_OK);
  expect_verdict_json(json, &result);
  liveness_string_free(json);
  json = NULL;
  CHECK_NUMBER(liveness_check_file_json(engine, image_path("face.png"), 0, &json), LIVENESS_OK);
  expect_verdict_json(json, &result);
  liveness_string_free(json);
  json = NULL;
  CHECK_NUMBER(
      liveness_check_file_json(engine, image_path("face.png"), LIVENESS_JSON_DETAILS, &json),
      LIVENESS_OK);
  CHECK(json != NULL && strstr(json, "},\"details\":{") != NULL);
  CHECK(json != NULL && strstr(json, "\"live_probability\":") != NULL);
  liveness_string_free(json);
  free(text);
  free(file.data);
  liveness_free(engine);
}

static void expect_findings(uint64_t reasons, uint32_t faces)
{
  CHECK_NUMBER(liveness_last_reasons(), reasons);
  CHECK_NUMBER(liveness_last_faces(), faces);
}

static void expect_refusal(const liveness_engine *engine, const char *name, int32_t status,
                           uint64_t reasons, uint32_t faces)
{
  liveness_result result = dirty_result();
  bytes file = read_file(image_path(name));
  char *json = NULL;
  CHECK_NUMBER(liveness_check_file(engine, image_path(name), &result), status);
  CHECK(is_zeroed(&result));
  CHECK(*liveness_last_error() != '\0');
  expect_findings(reasons, faces);
  CHECK_NUMBER(liveness_check(engine, (const uint8_t *)"x", 1, &result),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  expect_findings(0, 0);
  CHECK_NUMBER(liveness_check_json(engine, file.data, file.len, 0, &json), status);
  expect_findings(reasons, faces);
  CHECK_TEXT(json, error_json(status));
  liveness_string_free(json);
  free(file.data);
}

static void not_one_face_is_051(void)
{
  liveness_engine *engine = default_engine();
  liveness_result result = LIVENESS_RESULT_INIT;
  expect_refusal(engine, "no_face.png", LIVENESS_ERROR_FACE_COUNT, LIVENESS_REASON_NO_FACE, 0);
  expect_refusal(engine, "two_faces.png", LIVENESS_ERROR_FACE_COUNT,
                 LIVENESS_REASON_SEVERAL_FACES, 2);
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &result), LIVENESS_OK);
  expect_findings(0, 0);
  liveness_free(engine);
}

static void a_mask_is_052(void)
{
  liveness_engine *engine = default_engine();
  expect_refusal(engine, "masked.png", LIVENESS_ERROR_MASK_DETECTED, LIVENESS_REASON_FACE_MASK, 1);
  liveness_free(engine);
}

typedef struct picture {
  uint8_t *rgb;
  uint32_t width, height;
} picture;

/* face.rgb: width and height as little-endian u32, then RGB. */
static picture read_picture(void)
{
  bytes file = read_file(image_path("face.rgb"));
  picture face;
  face.width = (uint32_t)file.data[0] | (uint32_t)file.data[1] << 8;
  face.height = (uint32_t)file.data[4] | (uint32_t)file.data[5] << 8;
  CHECK_NUMBER(file.len, 8 + (size_t)face.width * face.height * 3);
  memmove(file.data, file.data + 8, file.len - 8);
  face.rgb = file.data;
  return face;
}

static uint8_t clamp(double value)
{
  return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value + 0.5);
}

/* BT.601, full range (JFIF): channel 0 is Y, 1 is U, 2 is V. */
static uint8_t yuv(const uint8_t *rgb, int channel)
{
  static const double rows[3][4] = {{0, 0.299, 0.587, 0.114},
                                    {128, -0.168736, -0.331264, 0.5},
                                    {128, 0.5, -0.418688, -0.081312}};
  const double *row = rows[channel];
  return clamp(row[0] + row[1] * rgb[0] + row[2] * rgb[1] + row[3] * rgb[2]);
}

static uint32_t channels_of(int32_t format)
{
  switch (format) {
  case LIVENESS_PIXELS_RGB:
  case LIVENESS_PIXELS_BGR: return 3;
  case LIVENESS_PIXELS_RGBA:
  case LIVENESS_PIXELS_BGRA: return 4;
  default: return 1;
  }
}

/* The picture in a format, with `gap` bytes of rubbish at the end of each row; for free(). */
static bytes convert(const picture *face, int32_t format, size_t gap)
{
  const uint32_t channels = channels_of(format), width = face->width, height = face->height;
  const size_t stride = (size_t)width * channels + gap;
  const size_t half = (stride + 1) / 2;
  uint32_t x, y, c;
  bytes out;
  out.len = stride * height;
  if (format >= LIVENESS_PIXELS_NV12)
    out.len += half * 2 * ((height + 1) / 2);
  out.data = malloc(out.len);
  if (out.data == NULL) exit(2);
  memset(out.data, 0x5a, out.len);
  for (y = 0; y < height; y++) {
    for (x = 0; x < width; x++) {
      const uint8_t *rgb = face->rgb + ((size_t)y * width + x) * 3;
      uint8_t *target = out.data + y * stride + (size_t)x * channels;
      uint8_t *chroma = out.data + stride * height + (size_t)(y / 2) * half * 2 + x / 2 * 2;
      uint8_t *plane = out.data + stride * height + (size_t)(y / 2) * half + x / 2;
      const int swapped = format == LIVENESS_PIXELS_BGR || format == LIVENESS_PIXELS_BGRA;
      if (channels == 1)
        target[0] = yuv(rgb, 0);
      for (c = 0; channels > 1 && c < channels; c++)
        target[c] = c == 3 ? 255 : rgb[swapped ? 2 - c : c];
      if (x % 2 || y % 2)
        continue;
      if (format == LIVENESS_PIXELS_NV12) {
        chroma[0] = yuv(rgb, 1);
        chroma[1] = yuv(rgb, 2);
      } else if (format == LIVENESS_PIXELS_NV21) {
        chroma[0] = yuv(rgb, 2);
        chroma[1] = yuv(rgb, 1);
      } else if (format == LIVENESS_PIXELS_I420) {
        plane[0] = yuv(rgb, 1);
        plane[half * ((height + 1) / 2)] = yuv(rgb, 2);
      }
    }
  }
  return out;
}

static liveness_result check_picture(const liveness_engine *engine, const picture *face,
                                     int32_t format, size_t gap)
{
  bytes samples = convert(face, format, gap);
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  liveness_result result = dirty_result();
  pixels.format = format;
  pixels.data = samples.data;
  pixels.len = samples.len;
  pixels.stride = gap ? (size_t)face->width * channels_of(format) + gap : 0;
  pixels.width = face->width;
  pixels.height = face->height;
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &result), LIVENESS_OK);
  free(samples.data);
  return result;
}

static void all_pixel_formats(void)
{
  liveness_engine *engine = default_engine();
  liveness_result encoded = LIVENESS_RESULT_INIT, first_yuv = LIVENESS_RESULT_INIT;
  picture face = read_picture();
  int32_t format;
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &encoded), LIVENESS_OK);
  for (format = LIVENESS_PIXELS_RGB; format <= LIVENESS_PIXELS_I420; format++) {
    liveness_result tight = check_picture(engine, &face, format, 0);
    liveness_result gaps = check_picture(engine, &face, format, 6);
    CHECK(same_verdict(&tight, &gaps));
    CHECK(fabs(tight.face_x - encoded.face_x) < 0.1 * encoded.face_width);
    CHECK(fabs(tight.face_y - encoded.face_y) < 0.1 * encoded.face_height);
    if (format <= LIVENESS_PIXELS_BGRA)
      CHECK(same_verdict(&tight, &encoded));
    if (format == LIVENESS_PIXELS_NV12)
      first_yuv = tight;
    if (format >= LIVENESS_PIXELS_NV12) {
      CHECK(same_verdict(&tight, &first_yuv));
      CHECK_NUMBER(tight.liveness, encoded.liveness);
    }
  }
  free(face.rgb);
  liveness_free(engine);
}

/* The picture upside down with orientation 3 is the picture; and JSON agrees. */
static void orientation_of_pixels(void)
{
  liveness_engine *engine = default_engine();
  liveness_result upright = LIVENESS_RESULT_INIT, turned = LIVENESS_RESULT_INIT;
  picture face = read_picture();
  const size_t count = (size_t)face.width * face.height;
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  char *json = NULL;
  size_t i;
  pixels.format = LIVENESS_PIXELS_RGB;
  pixels.data = face.rgb;
  pixels.len = count * 3;
  pixels.width = face.width;
  pixels.height = face.height;
  pixels.orientation = 1;
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &upright), LIVENESS_OK);
  for (i = 0; i < count / 2; i++) {
    uint8_t swap[3];
    memcpy(swap, face.rgb + i * 3, 3);
    memcpy(face.rgb + i * 3, face.rgb + (count - 1 - i) * 3, 3);
    memcpy(face.rgb + (count - 1 - i) * 3, swap, 3);
  }
  pixels.orientation = 3;
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &turned), LIVENESS_OK);
  CHECK(same_verdict(&upright, &turned));
  CHECK_NUMBER(liveness_check_pixels_json(engine, &pixels, 0, &json), LIVENESS_OK);
  expect_verdict_json(json, &turned);
  liveness_string_free(json);
  free(face.rgb);
  liveness_free(engine);
}

enum { THREADS = 8, ROUNDS = 4 };

static const struct {
  const char *name;
  int32_t status;
} shared_images[] = {{"face.png", LIVENESS_OK},
                     {"no_face.png", LIVENESS_ERROR_FACE_COUNT},
                     {"masked.png", LIVENESS_ERROR_MASK_DETECTED},
                     {"text.jpg", LIVENESS_ERROR_UNREADABLE_IMAGE}};
enum { SHARED_IMAGES = sizeof shared_images / sizeof *shared_images };

typedef struct worker {
  pthread_t thread;
  const liveness_engine *engine;
  const bytes *files;
  liveness_result results[ROUNDS][SHARED_IMAGES];
  int32_t statuses[ROUNDS][SHARED_IMAGES];
} worker;

static void *work(void *argument)
{
  worker *self = argument;
  size_t round, i;
  for (round = 0; round < ROUNDS; round++) {
    for (i = 0; i < SHARED_IMAGES; i++) {
      self->results[round][i] = dirty_result();
      self->statuses[round][i] = liveness_check(self->engine, self->files[i].data,
                                                self->files[i].len, &self->results[round][i]);
    }
  }
  return NULL;
}

static void eight_threads_on_one_handle(void)
{
  liveness_engine *engine = default_engine();
  static worker workers[THREADS];
  bytes files[SHARED_IMAGES];
  liveness_result expected = LIVENESS_RESULT_INIT;
  size_t i, round, image;
  for (i = 0; i < SHARED_IMAGES; i++)
    files[i] = read_file(image_path(shared_images[i].name));
  CHECK_NUMBER(liveness_check(engine, files[0].data, files[0].len, &expected), LIVENESS_OK);
  for (i = 0; i < THREADS; i++) {
    workers[i].engine = engine;
    workers[i].files = files;
    CHECK_NUMBER(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_NUMBER(pthread_join(workers[i].thread, NULL), 0);
    for (round = 0; round < ROUNDS; round++) {
      for (image = 0; image < SHARED_IMAGES; image++) {
        const liveness_result *result = &workers[i].results[round][image];
        CHECK_NUMBER(workers[i].statuses[round][image], shared_images[image].status);
        CHECK(image == 0 ? same_verdict(result, &expected) : is_zeroed(result));
      }
    }
  }
  for (i = 0; i < SHARED_IMAGES; i++)
    free(files[i].data);
  liveness_free(engine);
}

/* One handle says live, another not, of the same probability; both are open at the same time. */
static void handles_with_different_thresholds(void)
{
  liveness_engine *plain = default_engine(), *strict = NULL, *lax = NULL;
  liveness_config config = LIVENESS_CONFIG_INIT;
  liveness_result by_plain = LIVENESS_RESULT_INIT, by_strict = LIVENESS_RESULT_INIT;
  liveness_result by_lax = LIVENESS_RESULT_INIT;
  const char *face = image_path("face.png");
  CHECK_NUMBER(liveness_check_file(plain, face, &by_plain), LIVENESS_OK);
  config.threshold = (float)((1.0 + by_plain.live_probability) / 2);
  CHECK_NUMBER(liveness_init(&config, &strict), LIVENESS_OK);
  config.threshold = (float)(by_plain.live_probability / 2);
  CHECK_NUMBER(liveness_init(&config, &lax), LIVENESS_OK);
  CHECK_NUMBER(liveness_check_file(strict, face, &by_strict), LIVENESS_OK);
  CHECK_NUMBER(liveness_check_file(lax, face, &by_lax), LIVENESS_OK);
  CHECK_NUMBER(by_strict.liveness, 0);
  CHECK_NUMBER(by_lax.liveness, 1);
  CHECK(fabs(by_strict.score - (1.0 - by_plain.live_probability)) < 1e-9);
  CHECK(fabs(by_lax.score - by_plain.live_probability) < 1e-9);
  CHECK(fabs(by_lax.threshold - (double)config.threshold) < 1e-6);
  CHECK(by_strict.live_probability == by_plain.live_probability);
  liveness_free(strict);
  by_lax = dirty_result();
  CHECK_NUMBER(liveness_check_file(lax, face, &by_lax), LIVENESS_OK);
  liveness_free(lax);
  liveness_free(plain);
}

/* An older caller gets as much as it has room for. */
static void an_older_result_is_filled_to_its_size(void)
{
  liveness_engine *engine = default_engine();
  liveness_result whole = LIVENESS_RESULT_INIT, old = dirty_result();
  liveness_result dirty = dirty_result();
  const size_t size = offsetof(liveness_result, faces);
  old.struct_size = (uint32_t)size;
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &whole), LIVENESS_OK);
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &old), LIVENESS_OK);
  CHECK_NUMBER(old.struct_size, size);
  CHECK(memcmp(&old.liveness, &whole.liveness, size - sizeof(uint32_t)) == 0);
  CHECK(memcmp((char *)&old + size, (char *)&dirty + size, sizeof old - size) == 0);
  liveness_free(engine);
}

/* Pre-fork servers make the handle first. */
static void a_handle_works_after_fork(void)
{
  liveness_engine *engine = default_engine();
  liveness_result expected = LIVENESS_RESULT_INIT;
  int status = -1;
  pid_t child;
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &expected), LIVENESS_OK);
  fflush(stdout);
  child = fork();
  if (child == 0) {
    liveness_result result = LIVENESS_RESULT_INIT;
    alarm(60);
    if (liveness_check_file(engine, image_path("face.png"), &result) != LIVENESS_OK) _exit(1);
    _exit(same_verdict(&result, &expected) ? 0 : 2);
  }
  CHECK(child > 0);
  CHECK_NUMBER(waitpid(child, &status, 0), child);
  CHECK_NUMBER(status, 0);
  liveness_free(engine);
}

const test verdict_tests[] = {
    {"a_live_person_is_live", a_live_person_is_live},
    {"every_way_in_says_the_same", every_way_in_says_the_same},
    {"json_of_a_verdict", json_of_a_verdict},
    {"not_one_face_is_051", not_one_face_is_051},
    {"a_mask_is_052", a_mask_is_052},
    {"all_pixel_formats", all_pixel_formats},
    {"orientation_of_pixels", orientation_of_pixels},
    {"eight_threads_on_one_handle", eight_threads_on_one_handle},
    {"handles_with_different_thresholds", handles_with_different_thresholds},
    {"an_older_result_is_filled_to_its_size", an_older_result_is_filled_to_its_size},
    {"a_handle_works_after_fork", a_handle_works_after_fork},
    {NULL, NULL},
};
