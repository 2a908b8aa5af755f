/* Every function of the interface panics once; the library is built with the feature panic-test. */
#define _POSIX_C_SOURCE 200809L

#include "suite.h"

#include <stdlib.h>
#include <string.h>

static void panic_in(const char *function)
{
  if (setenv("LIVENESS_PANIC_TEST", function, 1) != 0)
    exit(2);
}

static void no_panic(void)
{
  if (unsetenv("LIVENESS_PANIC_TEST") != 0)
    exit(2);
}

static void expect_panic(int32_t status, const char *function)
{
  no_panic();
  CHECK_NUMBER(status, LIVENESS_ERROR_INTERNAL);
  CHECK(strstr(liveness_last_error(), "panic") != NULL);
  CHECK(strstr(liveness_last_error(), function) != NULL);
}

static void expect_panic_json(int32_t status, char **json, const char *function)
{
  expect_panic(status, function);
  CHECK_TEXT(*json, error_json(LIVENESS_ERROR_INTERNAL));
  liveness_string_free(*json);
  *json = NULL;
}

static void init_and_free(void)
{
  liveness_engine *engine = default_engine(), *another = engine;
  panic_in("liveness_init, cleared");
  expect_panic(liveness_init(NULL, &another), "liveness_init");
  CHECK(another == NULL);
  panic_in("liveness_free");
  liveness_free(engine);
  no_panic();
  CHECK(strstr(liveness_last_error(), "liveness_free") != NULL);
  liveness_free(engine);
}

static void expect_panic_verdict(int32_t status, liveness_result *result, const char *function)
{
  expect_panic(status, function);
  CHECK(is_zeroed(result));
  *result = dirty_result();
}

static void checks(void)
{
  liveness_engine *engine = default_engine();
  static uint8_t grey[64 * 64];
  const uint8_t *data = (const uint8_t *)"x";
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  liveness_result result = dirty_result();
  char *json = NULL;
  pixels.format = LIVENESS_PIXELS_GRAY;
  pixels.data = grey;
  pixels.len = sizeof grey;
  pixels.width = pixels.height = 64;

  panic_in("liveness_check, cleared");
  expect_panic_verdict(liveness_check(engine, data, 1, &result), &result, "liveness_check");
  panic_in("liveness_check_base64, cleared");
  expect_panic_verdict(liveness_check_base64(engine, "x", 1, &result), &result,
                       "liveness_check_base64");
  panic_in("liveness_check_file, cleared");
  expect_panic_verdict(liveness_check_file(engine, "x", &result), &result, "liveness_check_file");
  panic_in("liveness_check_pixels, cleared");
  expect_panic_verdict(liveness_check_pixels(engine, &pixels, &result), &result,
                       "liveness_check_pixels");

  panic_in("liveness_check_json");
  expect_panic_json(liveness_check_json(engine, data, 1, 0, &json), &json, "liveness_check_json");
  panic_in("liveness_check_base64_json");
  expect_panic_json(liveness_check_base64_json(engine, "x", 1, 0, &json), &json,
                    "liveness_check_base64_json");
  panic_in("liveness_check_file_json");
  expect_panic_json(liveness_check_file_json(engine, "x", 0, &json), &json,
                    "liveness_check_file_json");
  panic_in("liveness_check_pixels_json");
  expect_panic_json(liveness_check_pixels_json(engine, &pixels, 0, &json), &json,
                    "liveness_check_pixels_json");
  panic_in("liveness_info_json, cleared");
  json = (char *)engine;
  expect_panic(liveness_info_json(engine, &json), "liveness_info_json");
  CHECK(json == NULL);
  panic_in("liveness_set_log_callback");
  expect_panic(liveness_set_log_callback(NULL, NULL, LIVENESS_LOG_OFF),
               "liveness_set_log_callback");
  liveness_free(engine);
}

/* The handle is as good as before. */
static void life_after_a_panic(void)
{
  liveness_engine *engine = default_engine();
  liveness_result before = LIVENESS_RESULT_INIT, after = LIVENESS_RESULT_INIT;
  const int32_t status = liveness_check_file(engine, image_path("face.png"), &before);
  panic_in("liveness_check_file");
  expect_panic(liveness_check_file(engine, image_path("face.png"), &after), "liveness_check_file");
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &after), status);
  CHECK(same_verdict(&before, &after));
  liveness_free(engine);
}

/* A panic is what failed last, so for each of them an image is refused anew. */
static void findings(void)
{
  liveness_engine *engine = default_engine();
  liveness_result result = LIVENESS_RESULT_INIT;
  const char *image = image_path("two_faces.png");
  CHECK_NUMBER(liveness_check_file(engine, image, &result), LIVENESS_ERROR_FACE_COUNT);
  panic_in("liveness_last_reasons");
  CHECK_NUMBER(liveness_last_reasons(), 0);
  no_panic();
  CHECK_NUMBER(liveness_check_file(engine, image, &result), LIVENESS_ERROR_FACE_COUNT);
  panic_in("liveness_last_faces");
  CHECK_NUMBER(liveness_last_faces(), 0);
  no_panic();
  liveness_free(engine);
}

static void strings_and_numbers(void)
{
  liveness_engine *engine = default_engine();
  char *json = NULL;
  CHECK_NUMBER(liveness_info_json(engine, &json), LIVENESS_OK);
  panic_in("liveness_string_free");
  liveness_string_free(json);
  no_panic();
  CHECK(strstr(liveness_last_error(), "liveness_string_free") != NULL);
  liveness_string_free(json);
  liveness_free(engine);

  panic_in("liveness_abi_version");
  CHECK_NUMBER(liveness_abi_version(), 0);
  panic_in("liveness_version");
  CHECK_TEXT(liveness_version(), "");
  panic_in("liveness_error_message");
  CHECK_TEXT(liveness_error_message(51), "");
  panic_in("liveness_error_code_string");
  CHECK_TEXT(liveness_error_code_string(51), "");
  panic_in("liveness_reason_name");
  CHECK_TEXT(liveness_reason_name(LIVENESS_REASON_BLURRED), "");
  panic_in("liveness_last_error");
  CHECK_TEXT(liveness_last_error(), "");
  no_panic();
  findings();
}

const test panic_tests[] = {
    {"init_and_free", init_and_free},
    {"checks", checks},
    {"life_after_a_panic", life_after_a_panic},
    {"strings_and_numbers", strings_and_numbers},
    {NULL, NULL},
};
