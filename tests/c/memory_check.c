/* One complete check for each kind of input, and each way it ends: few enough for Valgrind. */
#define _POSIX_C_SOURCE 200809L

#include "suite.h"

#include <stdlib.h>
#include <string.h>

static void one_check_of_each_kind(void)
{
  liveness_engine *engine = default_engine();
  liveness_result by_bytes = dirty_result(), by_text = dirty_result();
  liveness_result by_file = dirty_result(), by_pixels = dirty_result();
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  bytes file = read_file(image_path("face.png"));
  bytes raw = read_file(image_path("face.rgb"));
  char *text = base64(file), *json = NULL;
  /* face.rgb: width and height as little-endian u32, then RGB. */
  pixels.format = LIVENESS_PIXELS_RGB;
  pixels.width = (uint32_t)raw.data[0] | (uint32_t)raw.data[1] << 8;
  pixels.height = (uint32_t)raw.data[4] | (uint32_t)raw.data[5] << 8;
  pixels.data = raw.data + 8;
  pixels.len = raw.len - 8;
  CHECK_NUMBER(liveness_check(engine, file.data, file.len, &by_bytes), LIVENESS_OK);
  CHECK_NUMBER(liveness_check_base64(engine, text, strlen(text), &by_text), LIVENESS_OK);
  CHECK_NUMBER(liveness_check_file(engine, image_path("face.png"), &by_file), LIVENESS_OK);
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &by_pixels), LIVENESS_OK);
  CHECK(same_verdict(&by_bytes, &by_text));
  CHECK(same_verdict(&by_bytes, &by_file));
  CHECK(same_verdict(&by_bytes, &by_pixels));
  CHECK_NUMBER(
      liveness_check_file_json(engine, image_path("masked.png"), LIVENESS_JSON_DETAILS, &json),
      LIVENESS_ERROR_MASK_DETECTED);
  liveness_string_free(json);
  CHECK_NUMBER(liveness_check_file_json(engine, image_path("no_face.png"), 0, &json),
               LIVENESS_ERROR_FACE_COUNT);
  liveness_string_free(json);
  free(text);
  free(raw.data);
  free(file.data);
  liveness_free(engine);
}

const test memory_check_tests[] = {
    {"one_check_of_each_kind", one_check_of_each_kind},
    {NULL, NULL},
};
