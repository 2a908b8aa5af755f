#include "bridge.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

static bridge_answer with_reason(bridge_answer answer)
{
  if (answer.status != LIVENESS_OK) {
    answer.reason = strdup(liveness_last_error());
    answer.reasons = liveness_last_reasons();
    answer.faces = liveness_last_faces();
  }
  return answer;
}

bridge_answer bridge_init(float threshold, float mask_threshold, float second_face_ratio,
                          uint32_t strict_quality, uint64_t max_file_bytes, uint64_t max_pixels,
                          uint32_t max_side, uint32_t time_limit_ms, const char *onnxruntime,
                          const char *models_dir, liveness_engine **engine)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  bridge_answer answer = {0};
  config.threshold = threshold;
  config.mask_threshold = mask_threshold;
  config.second_face_ratio = second_face_ratio;
  config.strict_quality = strict_quality;
  config.max_file_bytes = max_file_bytes;
  config.max_pixels = max_pixels;
  config.max_side = max_side;
  config.time_limit_ms = time_limit_ms;
  config.onnxruntime = onnxruntime;
  config.models_dir = models_dir;
  answer.status = liveness_init(&config, engine);
  return with_reason(answer);
}

static void begin(liveness_result *result)
{
  static const liveness_result empty = LIVENESS_RESULT_INIT;
  *result = empty;
}

bridge_answer bridge_check(const liveness_engine *engine, int kind, const uint8_t *data, size_t len,
                           uint32_t flags, liveness_result *result)
{
  bridge_answer answer = {0};
  const char *text = (const char *)data;
  answer.status = LIVENESS_ERROR_BAD_REQUEST;
  if (result != NULL)
    begin(result);
  switch (kind) {
  case BRIDGE_ENCODED:
    answer.status = result != NULL ? liveness_check(engine, data, len, result)
                                   : liveness_check_json(engine, data, len, flags, &answer.json);
    break;
  case BRIDGE_BASE64:
    answer.status = result != NULL
                        ? liveness_check_base64(engine, text, len, result)
                        : liveness_check_base64_json(engine, text, len, flags, &answer.json);
    break;
  case BRIDGE_FILE:
    answer.status = result != NULL ? liveness_check_file(engine, text, result)
                                   : liveness_check_file_json(engine, text, flags, &answer.json);
    break;
  }
  return with_reason(answer);
}

bridge_answer bridge_check_pixels(const liveness_engine *engine, const uint8_t *data, size_t len,
                                  int32_t format, uint32_t width, uint32_t height, size_t stride,
                                  uint32_t orientation, uint32_t flags, liveness_result *result)
{
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  bridge_answer answer = {0};
  pixels.data = data;
  pixels.len = len;
  pixels.format = format;
  pixels.width = width;
  pixels.height = height;
  pixels.stride = stride;
  pixels.orientation = orientation;
  if (result != NULL) {
    begin(result);
    answer.status = liveness_check_pixels(engine, &pixels, result);
  } else {
    answer.status = liveness_check_pixels_json(engine, &pixels, flags, &answer.json);
  }
  return with_reason(answer);
}

bridge_answer bridge_info(const liveness_engine *engine)
{
  bridge_answer answer = {0};
  answer.status = liveness_info_json(engine, &answer.json);
  return with_reason(answer);
}

static void forward(void *user, int32_t level, const char *message)
{
  (void)user;
  livenessLog(level, (char *)message);
}

bridge_answer bridge_log(int32_t level)
{
  bridge_answer answer = {0};
  answer.status = liveness_set_log_callback(level == LIVENESS_LOG_OFF ? NULL : forward, NULL, level);
  return with_reason(answer);
}
