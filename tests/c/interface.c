/* What holds whatever the networks say: arguments, structs, strings, threads, the log. */
#define _POSIX_C_SOURCE 200809L

#include "suite.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void versions(void)
{
  CHECK_NUMBER(liveness_abi_version(), LIVENESS_ABI_VERSION);
  CHECK_TEXT(liveness_version(), EXPECTED_VERSION);
}

/* The contract, written down once more so that a change of the library's text is noticed. */
static void codes_and_messages(void)
{
  static const struct {
    int32_t number, code;
    const char *digits, *message;
  } contract[] = {
      {1, LIVENESS_ERROR_UNAUTHORIZED, "001", "API key is either missing or incorrect."},
      {2, LIVENESS_ERROR_UNREADABLE_IMAGE, "002",
       "Error reading image, please check the request format."},
      {3, LIVENESS_ERROR_IMAGE_TOO_LARGE, "003", "Image file size is too large."},
      {4, LIVENESS_ERROR_BAD_REQUEST, "004", "Request is not in the correct format."},
      {5, LIVENESS_ERROR_INTERNAL, "005", "Server internal error, please try again."},
      {51, LIVENESS_ERROR_FACE_COUNT, "051",
       "No face, or more than one face is detected in the selfie."},
      {52, LIVENESS_ERROR_MASK_DETECTED, "052",
       "Face mask is detected, please remove the face mask and try again."},
  };
  static const int32_t others[] = {LIVENESS_OK, -1, 6, 50, 53, INT32_MAX, INT32_MIN};
  size_t i;
  for (i = 0; i < sizeof contract / sizeof *contract; i++) {
    CHECK_NUMBER(contract[i].code, contract[i].number);
    CHECK_TEXT(liveness_error_code_string(contract[i].number), contract[i].digits);
    CHECK_TEXT(liveness_error_message(contract[i].number), contract[i].message);
  }
  for (i = 0; i < sizeof others / sizeof *others; i++) {
    CHECK_TEXT(liveness_error_code_string(others[i]), "");
    CHECK_TEXT(liveness_error_message(others[i]), "");
  }
}

static void reason_names(void)
{
  static const char *const names[] = {
      "no_face",     "several_faces", "face_mask", "face_too_small", "face_cut_off",
      "head_turned", "head_nodded",   "head_tilted", "too_dark",     "too_bright",
      "low_contrast", "clipped",      "blurred",     "not_upright"};
  const size_t count = sizeof names / sizeof *names;
  size_t bit;
  for (bit = 0; bit < 64; bit++)
    CHECK_TEXT(liveness_reason_name((uint64_t)1 << bit), bit < count ? names[bit] : "");
  CHECK_TEXT(liveness_reason_name(0), "");
  CHECK_TEXT(liveness_reason_name(LIVENESS_REASON_TOO_DARK | LIVENESS_REASON_BLURRED), "");
  CHECK_NUMBER(LIVENESS_REASON_NOT_UPRIGHT, 1 << (count - 1));
}

/* Fields never move: programs that were built with the first header rely on it. */
static void layouts_are_those_of_abi_1(void)
{
#if UINTPTR_MAX == UINT64_MAX
  CHECK_NUMBER(offsetof(liveness_config, threshold), 4);
  CHECK_NUMBER(offsetof(liveness_config, onnxruntime), 8);
  CHECK_NUMBER(offsetof(liveness_config, models_dir), 16);
  CHECK_NUMBER(offsetof(liveness_config, max_file_bytes), 24);
  CHECK_NUMBER(offsetof(liveness_config, max_pixels), 32);
  CHECK_NUMBER(offsetof(liveness_config, max_side), 40);
  CHECK_NUMBER(offsetof(liveness_config, mask_threshold), 44);
  CHECK_NUMBER(offsetof(liveness_config, second_face_ratio), 48);
  CHECK_NUMBER(offsetof(liveness_config, strict_quality), 52);
  CHECK_NUMBER(offsetof(liveness_config, time_limit_ms), 56);
  CHECK_NUMBER(offsetof(liveness_config, reserved), 60);
  CHECK_NUMBER(sizeof(liveness_config), 64);
  CHECK_NUMBER(offsetof(liveness_pixels, format), 4);
  CHECK_NUMBER(offsetof(liveness_pixels, data), 8);
  CHECK_NUMBER(offsetof(liveness_pixels, len), 16);
  CHECK_NUMBER(offsetof(liveness_pixels, stride), 24);
  CHECK_NUMBER(offsetof(liveness_pixels, width), 32);
  CHECK_NUMBER(offsetof(liveness_pixels, height), 36);
  CHECK_NUMBER(offsetof(liveness_pixels, orientation), 40);
  CHECK_NUMBER(offsetof(liveness_pixels, reserved), 44);
  CHECK_NUMBER(sizeof(liveness_pixels), 48);
#endif
  CHECK_NUMBER(offsetof(liveness_result, liveness), 4);
  CHECK_NUMBER(offsetof(liveness_result, score), 8);
  CHECK_NUMBER(offsetof(liveness_result, live_probability), 16);
  CHECK_NUMBER(offsetof(liveness_result, threshold), 24);
  CHECK_NUMBER(offsetof(liveness_result, print_probability), 32);
  CHECK_NUMBER(offsetof(liveness_result, replay_probability), 40);
  CHECK_NUMBER(offsetof(liveness_result, reasons), 48);
  CHECK_NUMBER(offsetof(liveness_result, faces), 56);
  CHECK_NUMBER(offsetof(liveness_result, face_score), 60);
  CHECK_NUMBER(offsetof(liveness_result, face_x), 64);
  CHECK_NUMBER(offsetof(liveness_result, landmarks), 80);
  CHECK_NUMBER(offsetof(liveness_result, mask_probability), 120);
  CHECK_NUMBER(offsetof(liveness_result, quality_face_size), 124);
  CHECK_NUMBER(offsetof(liveness_result, quality_sharpness), 160);
  CHECK_NUMBER(offsetof(liveness_result, decode_ms), 164);
  CHECK_NUMBER(offsetof(liveness_result, total_ms), 180);
  CHECK_NUMBER(sizeof(liveness_result), 184);
}

static int rest_is_zero(const void *start, size_t size)
{
  const uint8_t *byte = start;
  size_t i;
  for (i = sizeof(uint32_t); i < size; i++)
    if (byte[i] != 0) return 0;
  return 1;
}

static void initialisers(void)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  liveness_result result = LIVENESS_RESULT_INIT;
  CHECK_NUMBER(config.struct_size, sizeof config);
  CHECK_NUMBER(pixels.struct_size, sizeof pixels);
  CHECK_NUMBER(result.struct_size, sizeof result);
  CHECK(rest_is_zero(&config, sizeof config));
  CHECK(rest_is_zero(&pixels, sizeof pixels));
  CHECK(rest_is_zero(&result, sizeof result));
  CHECK(!result.liveness);
}

static liveness_engine *const DIRTY = (liveness_engine *)(uintptr_t)8;

static void expect_init(const liveness_config *config, int32_t status)
{
  liveness_engine *engine = DIRTY;
  CHECK_NUMBER(liveness_init(config, &engine), status);
  CHECK((engine != NULL) == (status == LIVENESS_OK));
  CHECK((*liveness_last_error() == '\0') == (status == LIVENESS_OK));
  if (status == LIVENESS_OK)
    liveness_free(engine);
}

static void init_refuses_bad_options(void)
{
  static const float not_inside[] = {-1.0f, 1.0f, 2.0f, NAN, INFINITY, -INFINITY};
  size_t i;
  liveness_config config;
  CHECK_NUMBER(liveness_init(NULL, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK(strstr(liveness_last_error(), "engine") != NULL);
  expect_init(NULL, LIVENESS_OK);
  for (i = 0; i < sizeof not_inside / sizeof *not_inside; i++) {
    config = (liveness_config)LIVENESS_CONFIG_INIT;
    config.threshold = not_inside[i];
    expect_init(&config, LIVENESS_ERROR_BAD_REQUEST);
    config = (liveness_config)LIVENESS_CONFIG_INIT;
    config.mask_threshold = not_inside[i];
    expect_init(&config, LIVENESS_ERROR_BAD_REQUEST);
    if (not_inside[i] == 1.0f)
      continue; /* only faces as large as the main one: allowed */
    config = (liveness_config)LIVENESS_CONFIG_INIT;
    config.second_face_ratio = not_inside[i];
    expect_init(&config, LIVENESS_ERROR_BAD_REQUEST);
  }
  config = (liveness_config)LIVENESS_CONFIG_INIT;
  config.strict_quality = 2;
  expect_init(&config, LIVENESS_ERROR_BAD_REQUEST);
  config = (liveness_config)LIVENESS_CONFIG_INIT;
  config.reserved = 1;
  expect_init(&config, LIVENESS_ERROR_BAD_REQUEST);
  config = (liveness_config)LIVENESS_CONFIG_INIT;
  config.threshold = 0.25f;
  config.mask_threshold = 0.75f;
  config.second_face_ratio = 1.0f;
  config.strict_quality = 1;
  config.max_file_bytes = UINT64_MAX;
  config.max_pixels = UINT64_MAX;
  config.max_side = UINT32_MAX;
  config.time_limit_ms = UINT32_MAX;
  expect_init(&config, LIVENESS_OK);
}

static void init_has_no_fallback(void)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  config.models_dir = "/nonexistent/models";
  expect_init(&config, LIVENESS_ERROR_INTERNAL);
  CHECK(strstr(liveness_last_error(), "/nonexistent/models") != NULL);
  config = (liveness_config)LIVENESS_CONFIG_INIT;
  config.onnxruntime = "/nonexistent/libonnxruntime.so";
  expect_init(&config, LIVENESS_ERROR_INTERNAL);
  CHECK(strstr(liveness_last_error(), "/nonexistent/libonnxruntime.so") != NULL);
}

/* As files and environments give them: an empty models_dir must not become the current directory. */
static void empty_paths_are_no_paths(void)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  config.models_dir = "";
  config.onnxruntime = "";
  expect_init(&config, LIVENESS_OK);
}

/* A struct of an older, a newer and a careless caller. */
static void struct_sizes_of_config(void)
{
  /* The first version ended before the time limit. */
  static const uint32_t first = offsetof(liveness_config, time_limit_ms);
  const uint32_t bad[] = {0, 1, 4, first - 1, 4097, UINT32_MAX};
  const uint32_t older[] = {first, first + sizeof(uint32_t)};
  struct {
    liveness_config known;
    uint8_t unknown[64];
  } newer;
  size_t i;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    liveness_config config = LIVENESS_CONFIG_INIT;
    config.struct_size = bad[i];
    expect_init(&config, LIVENESS_ERROR_BAD_REQUEST);
    CHECK(strstr(liveness_last_error(), "liveness_config.struct_size") != NULL);
  }
  for (i = 0; i < sizeof older / sizeof *older; i++) {
    liveness_config config = LIVENESS_CONFIG_INIT;
    config.struct_size = older[i];
    config.reserved = 1; /* behind what an older caller knows: not read */
    expect_init(&config, LIVENESS_OK);
  }
  memset(&newer, 0xff, sizeof newer);
  newer.known = (liveness_config)LIVENESS_CONFIG_INIT;
  newer.known.struct_size = sizeof newer;
  expect_init(&newer.known, LIVENESS_OK);
}

static void struct_sizes_of_result(void)
{
  static const uint32_t bad[] = {0, 1, 4, 15, 4097, UINT32_MAX};
  static const uint32_t good[] = {16, 17, 64, sizeof(liveness_result) - 1,
                                  sizeof(liveness_result), sizeof(liveness_result) + 1, 4096};
  liveness_engine *engine = default_engine();
  uint8_t room[4096];
  size_t i, byte;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    liveness_result result = dirty_result();
    liveness_result before;
    result.struct_size = bad[i];
    before = result;
    CHECK_NUMBER(liveness_check(engine, (const uint8_t *)"x", 1, &result),
                 LIVENESS_ERROR_BAD_REQUEST);
    CHECK(memcmp(&result, &before, sizeof result) == 0);
  }
  for (i = 0; i < sizeof good / sizeof *good; i++) {
    size_t known = good[i] < sizeof(liveness_result) ? good[i] : sizeof(liveness_result);
    int right = 1;
    memset(room, 0xff, sizeof room);
    memcpy(room, &good[i], sizeof good[i]);
    CHECK_NUMBER(liveness_check(engine, (const uint8_t *)"x", 1, (liveness_result *)(void *)room),
                 LIVENESS_ERROR_UNREADABLE_IMAGE);
    CHECK(memcmp(room, &good[i], sizeof good[i]) == 0);
    for (byte = sizeof good[i]; byte < sizeof room; byte++)
      right &= room[byte] == (byte < known ? 0 : 0xff);
    CHECK(right);
  }
  liveness_free(engine);
}

static liveness_pixels grey_square(const uint8_t *data, size_t len)
{
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  pixels.format = LIVENESS_PIXELS_GRAY;
  pixels.data = data;
  pixels.len = len;
  pixels.width = 64;
  pixels.height = 64;
  return pixels;
}

/* All eight checks at once, so that none is forgotten: the same image through the struct form and
   the JSON form ends in the same code. */
static void expect_all(const liveness_engine *engine, bytes file, const char *path, int32_t status)
{
  liveness_result result = dirty_result();
  char *text = file.data ? base64(file) : NULL;
  size_t text_len = text ? strlen(text) : 0;
  char *json = NULL;

  CHECK_NUMBER(liveness_check(engine, file.data, file.len, &result), status);
  CHECK(is_zeroed(&result));
  CHECK(*liveness_last_error() != '\0');
  CHECK_NUMBER(liveness_check_json(engine, file.data, file.len, 0, &json), status);
  CHECK_TEXT(json, error_json(status));
  liveness_string_free(json);

  result = dirty_result();
  CHECK_NUMBER(liveness_check_base64(engine, text, text_len, &result), status);
  CHECK(is_zeroed(&result));
  CHECK(*liveness_last_error() != '\0');
  json = NULL;
  CHECK_NUMBER(liveness_check_base64_json(engine, text, text_len, 0, &json), status);
  CHECK_TEXT(json, error_json(status));
  liveness_string_free(json);

  result = dirty_result();
  CHECK_NUMBER(liveness_check_file(engine, path, &result), status);
  CHECK(is_zeroed(&result));
  CHECK(*liveness_last_error() != '\0');
  json = NULL;
  CHECK_NUMBER(liveness_check_file_json(engine, path, 0, &json), status);
  CHECK_TEXT(json, error_json(status));
  liveness_string_free(json);
  free(text);
}

static void expect_pixels(const liveness_engine *engine, const liveness_pixels *pixels,
                          int32_t status)
{
  liveness_result result = dirty_result();
  char *json = NULL;
  CHECK_NUMBER(liveness_check_pixels(engine, pixels, &result), status);
  CHECK(is_zeroed(&result));
  CHECK(*liveness_last_error() != '\0');
  CHECK_NUMBER(liveness_check_pixels_json(engine, pixels, 0, &json), status);
  CHECK_TEXT(json, error_json(status));
  liveness_string_free(json);
}

static void null_pointers_are_004(void)
{
  liveness_engine *engine = default_engine();
  static uint8_t grey[64 * 64];
  liveness_pixels pixels = grey_square(grey, sizeof grey);
  const uint8_t byte = 'x';
  bytes nothing = {NULL, 0}, one;
  char *json = (char *)(uintptr_t)8;
  uint8_t copy = byte;
  one.data = &copy;
  one.len = 1;

  expect_all(NULL, one, "x", LIVENESS_ERROR_BAD_REQUEST);
  expect_all(engine, nothing, NULL, LIVENESS_ERROR_BAD_REQUEST);
  nothing.len = 1;
  expect_all(engine, nothing, NULL, LIVENESS_ERROR_BAD_REQUEST);
  expect_pixels(NULL, &pixels, LIVENESS_ERROR_BAD_REQUEST);
  expect_pixels(engine, NULL, LIVENESS_ERROR_BAD_REQUEST);

  CHECK_NUMBER(liveness_check(engine, &byte, 1, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_base64(engine, "x", 1, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_file(engine, "x", NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_json(engine, &byte, 1, 0, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_base64_json(engine, "x", 1, 0, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_file_json(engine, "x", 0, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_pixels_json(engine, &pixels, 0, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_info_json(engine, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_info_json(NULL, &json), LIVENESS_ERROR_BAD_REQUEST);
  CHECK(json == NULL);
  liveness_free(NULL);
  liveness_string_free(NULL);
  liveness_free(engine);
}

static void lengths_are_checked(void)
{
  liveness_engine *engine = default_engine();
  liveness_result result = dirty_result();
  const uint8_t byte = 'x';
  CHECK_NUMBER(liveness_check(engine, &byte, SIZE_MAX, &result), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check(engine, &byte, (SIZE_MAX >> 1) + 1, &result),
               LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check_base64(engine, "x", SIZE_MAX, &result), LIVENESS_ERROR_BAD_REQUEST);
  CHECK(is_zeroed(&result));
  liveness_free(engine);
}

static void unreadable_images_are_002(void)
{
  static const char *const files[] = {"empty.png", "text.jpg", "truncated.png", "header.jpg"};
  liveness_engine *engine = default_engine();
  liveness_result result = dirty_result();
  char *json = NULL;
  size_t i;
  for (i = 0; i < sizeof files / sizeof *files; i++) {
    bytes file = read_file(image_path(files[i]));
    expect_all(engine, file, image_path(files[i]), LIVENESS_ERROR_UNREADABLE_IMAGE);
    free(file.data);
  }
  CHECK_NUMBER(liveness_check_base64(engine, "?!", 2, &result), LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK(is_zeroed(&result));
  result = dirty_result();
  CHECK_NUMBER(liveness_check_file(engine, image_path("missing.png"), &result),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK(is_zeroed(&result));
  CHECK_NUMBER(liveness_check_file_json(engine, image_path("missing.png"), 0, &json),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK_TEXT(json, error_json(LIVENESS_ERROR_UNREADABLE_IMAGE));
  liveness_string_free(json);
  liveness_free(engine);
}

static void large_files_are_003(void)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  liveness_engine *engine = default_engine();
  bytes file = read_file(image_path("too_large.png"));
  CHECK_NUMBER(file.len, 10 * 1024 * 1024 + 1);
  expect_all(engine, file, image_path("too_large.png"), LIVENESS_ERROR_IMAGE_TOO_LARGE);
  free(file.data);
  liveness_free(engine);

  config.max_file_bytes = 100;
  engine = NULL;
  CHECK_NUMBER(liveness_init(&config, &engine), LIVENESS_OK);
  file = read_file(image_path("face.png"));
  expect_all(engine, file, image_path("face.png"), LIVENESS_ERROR_IMAGE_TOO_LARGE);
  free(file.data);
  liveness_free(engine);
}

static void limits_of_dimensions_are_002(void)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  liveness_engine *engine = NULL;
  static uint8_t grey[64 * 64];
  liveness_pixels pixels = grey_square(grey, sizeof grey);
  bytes file = read_file(image_path("face.png"));
  config.max_side = 63;
  CHECK_NUMBER(liveness_init(&config, &engine), LIVENESS_OK);
  expect_all(engine, file, image_path("face.png"), LIVENESS_ERROR_UNREADABLE_IMAGE);
  expect_pixels(engine, &pixels, LIVENESS_ERROR_UNREADABLE_IMAGE);
  liveness_free(engine);

  config = (liveness_config)LIVENESS_CONFIG_INIT;
  config.max_pixels = 64 * 64 - 1;
  engine = NULL;
  CHECK_NUMBER(liveness_init(&config, &engine), LIVENESS_OK);
  expect_all(engine, file, image_path("face.png"), LIVENESS_ERROR_UNREADABLE_IMAGE);
  expect_pixels(engine, &pixels, LIVENESS_ERROR_UNREADABLE_IMAGE);
  liveness_free(engine);
  free(file.data);
}

static void bad_pixel_layouts_are_004(void)
{
  static const struct {
    int32_t format;
    size_t needed;
  } formats[] = {{LIVENESS_PIXELS_RGB, 64 * 64 * 3},      {LIVENESS_PIXELS_BGR, 64 * 64 * 3},
                 {LIVENESS_PIXELS_RGBA, 64 * 64 * 4},     {LIVENESS_PIXELS_BGRA, 64 * 64 * 4},
                 {LIVENESS_PIXELS_GRAY, 64 * 64},         {LIVENESS_PIXELS_NV12, 64 * 64 * 3 / 2},
                 {LIVENESS_PIXELS_NV21, 64 * 64 * 3 / 2}, {LIVENESS_PIXELS_I420, 64 * 64 * 3 / 2}};
  static uint8_t samples[64 * 64 * 4];
  static const uint32_t sizes[] = {0, 4, sizeof(liveness_pixels) - 1, 4097};
  liveness_engine *engine = default_engine();
  const liveness_pixels good = grey_square(samples, 64 * 64);
  liveness_pixels bad;
  size_t i;
  for (i = 0; i < sizeof formats / sizeof *formats; i++) {
    bad = good;
    bad.format = formats[i].format;
    bad.len = formats[i].needed - 1;
    expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
    bad.len = formats[i].needed;
    bad.stride = 63;
    expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
    bad.stride = SIZE_MAX;
    expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
    bad.stride = SIZE_MAX / 64 + 1;
    expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  }
  for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    bad = good;
    bad.struct_size = sizes[i];
    expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  }
  bad = good, bad.format = 0;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.format = 9;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.data = NULL;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.len = SIZE_MAX;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.width = 0;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.height = 0;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.orientation = 9;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.orientation = UINT32_MAX;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  bad = good, bad.reserved = 1;
  expect_pixels(engine, &bad, LIVENESS_ERROR_BAD_REQUEST);
  liveness_free(engine);
}

static void unknown_flags_are_004(void)
{
  liveness_engine *engine = default_engine();
  char *json = NULL;
  CHECK_NUMBER(liveness_check_file_json(engine, image_path("face.png"), 2, &json),
               LIVENESS_ERROR_BAD_REQUEST);
  CHECK_TEXT(json, error_json(LIVENESS_ERROR_BAD_REQUEST));
  liveness_string_free(json);
  liveness_free(engine);
}

static void details_come_with_errors_too(void)
{
  static const char begin[] =
      "{\"success\":false,\"error_code\":\"002\",\"error_message\":\"Error reading image, please "
      "check the request format.\",\"details\":{";
  liveness_engine *engine = default_engine();
  char *json = NULL;
  CHECK_NUMBER(liveness_check_json(engine, (const uint8_t *)"x", 1, LIVENESS_JSON_DETAILS, &json),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK(json != NULL && strncmp(json, begin, sizeof begin - 1) == 0);
  liveness_string_free(json);
  liveness_free(engine);
}

static void info_names_engine_and_models(void)
{
  liveness_engine *engine = default_engine();
  char *json = NULL;
  CHECK_NUMBER(liveness_info_json(engine, &json), LIVENESS_OK);
  CHECK(json != NULL && strstr(json, "{\"version\":\"" EXPECTED_VERSION "\",\"engine\":\"") == json);
  CHECK(json != NULL && strstr(json, "\"name\":\"detector\",\"file\":\"detector.onnx\"") != NULL);
  liveness_string_free(json);
  liveness_free(engine);
}

static void *last_error_of_another_thread(void *unused)
{
  (void)unused;
  CHECK_TEXT(liveness_last_error(), "");
  CHECK_NUMBER(liveness_init(NULL, NULL), LIVENESS_ERROR_BAD_REQUEST);
  CHECK(*liveness_last_error() != '\0');
  return NULL;
}

static void last_error_belongs_to_the_thread(void)
{
  liveness_engine *engine = NULL;
  liveness_result result = LIVENESS_RESULT_INIT;
  pthread_t thread;
  char before[1024];
  CHECK_NUMBER(liveness_check_file(NULL, "x", &result), LIVENESS_ERROR_BAD_REQUEST);
  CHECK(strlen(liveness_last_error()) > 10 && strlen(liveness_last_error()) < sizeof before);
  strncpy(before, liveness_last_error(), sizeof before - 1);
  before[sizeof before - 1] = '\0';
  CHECK_NUMBER(pthread_create(&thread, NULL, last_error_of_another_thread, NULL), 0);
  CHECK_NUMBER(pthread_join(thread, NULL), 0);
  CHECK_TEXT(liveness_last_error(), before);
  (void)liveness_version();
  liveness_free(NULL);
  CHECK_TEXT(liveness_last_error(), before);
  CHECK_NUMBER(liveness_init(NULL, &engine), LIVENESS_OK);
  CHECK_TEXT(liveness_last_error(), "");
  liveness_free(engine);
}

typedef struct log_book {
  int lines[LIVENESS_LOG_DEBUG + 1];
  char last[512];
  int32_t status_inside;
} log_book;

static void keep(void *user, int32_t level, const char *message)
{
  log_book *book = user;
  liveness_result result = LIVENESS_RESULT_INIT;
  CHECK(level >= LIVENESS_LOG_ERROR && level <= LIVENESS_LOG_DEBUG);
  book->lines[level]++;
  strncpy(book->last, message, sizeof book->last - 1);
  book->status_inside = liveness_set_log_callback(NULL, NULL, LIVENESS_LOG_OFF);
  /* Allowed, and not logged: otherwise this would never end. */
  CHECK_NUMBER(liveness_check_file(NULL, "x", &result), LIVENESS_ERROR_BAD_REQUEST);
}

static void the_log_is_silent_until_set(void)
{
  log_book book;
  liveness_engine *engine = NULL;
  liveness_result result = LIVENESS_RESULT_INIT;
  memset(&book, 0, sizeof book);
  CHECK_NUMBER(liveness_set_log_callback(keep, &book, -1), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_set_log_callback(keep, &book, 5), LIVENESS_ERROR_BAD_REQUEST);

  CHECK_NUMBER(liveness_set_log_callback(keep, &book, LIVENESS_LOG_INFO), LIVENESS_OK);
  CHECK_NUMBER(liveness_init(NULL, &engine), LIVENESS_OK);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_INFO], 1);
  CHECK(strncmp(book.last, "liveness_init: engine ", 22) == 0);
  CHECK_NUMBER(book.status_inside, LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(liveness_check(engine, (const uint8_t *)"x", 1, &result),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_DEBUG], 0);
  CHECK_NUMBER(liveness_check(engine, NULL, 1, &result), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_WARN], 1);
  CHECK(strncmp(book.last, "liveness_check: 004: ", 21) == 0);
  /* What the callback called inside has a reason of its own; the outer call's is kept. */
  CHECK_NUMBER(liveness_set_log_callback(keep, &book, LIVENESS_LOG_DEBUG), LIVENESS_OK);
  CHECK_NUMBER(liveness_check(engine, (const uint8_t *)"x", 1, &result),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_DEBUG], 1);
  CHECK(strstr(book.last, liveness_last_error()) != NULL);
  CHECK_NUMBER(liveness_check_file(engine, "/nonexistent/jane-doe.jpg", &result),
               LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_DEBUG], 2);
  CHECK(strstr(book.last, "cannot be read") != NULL && strstr(book.last, "jane") == NULL);

  CHECK_NUMBER(liveness_set_log_callback(NULL, NULL, LIVENESS_LOG_DEBUG), LIVENESS_OK);
  CHECK_NUMBER(liveness_check(engine, NULL, 1, &result), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_WARN], 1);
  CHECK_NUMBER(liveness_set_log_callback(keep, &book, LIVENESS_LOG_OFF), LIVENESS_OK);
  CHECK_NUMBER(liveness_check(engine, NULL, 1, &result), LIVENESS_ERROR_BAD_REQUEST);
  CHECK_NUMBER(book.lines[LIVENESS_LOG_WARN], 1);
  CHECK_NUMBER(liveness_set_log_callback(NULL, NULL, LIVENESS_LOG_OFF), LIVENESS_OK);
  liveness_free(engine);
}

const test interface_tests[] = {
    {"versions", versions},
    {"codes_and_messages", codes_and_messages},
    {"reason_names", reason_names},
    {"layouts_are_those_of_abi_1", layouts_are_those_of_abi_1},
    {"initialisers", initialisers},
    {"init_refuses_bad_options", init_refuses_bad_options},
    {"init_has_no_fallback", init_has_no_fallback},
    {"empty_paths_are_no_paths", empty_paths_are_no_paths},
    {"struct_sizes_of_config", struct_sizes_of_config},
    {"struct_sizes_of_result", struct_sizes_of_result},
    {"null_pointers_are_004", null_pointers_are_004},
    {"lengths_are_checked", lengths_are_checked},
    {"unreadable_images_are_002", unreadable_images_are_002},
    {"large_files_are_003", large_files_are_003},
    {"limits_of_dimensions_are_002", limits_of_dimensions_are_002},
    {"bad_pixel_layouts_are_004", bad_pixel_layouts_are_004},
    {"unknown_flags_are_004", unknown_flags_are_004},
    {"details_come_with_errors_too", details_come_with_errors_too},
    {"info_names_engine_and_models", info_names_engine_and_models},
    {"last_error_belongs_to_the_thread", last_error_belongs_to_the_thread},
    {"the_log_is_silent_until_set", the_log_is_silent_until_set},
    {NULL, NULL},
};
