/* What of liveness.h is easier, or only right, in C. Each check takes the reason of a failure on the
 * thread of the call: between two calls of cgo a goroutine may change its thread. */
#ifndef LIVENESS_GO_BRIDGE_H
#define LIVENESS_GO_BRIDGE_H

#include <liveness.h>

/* A status, why it is not 0 (null where it is; for free), what was found in a refused image, and the
 * JSON where it was asked for (for liveness_string_free). */
typedef struct bridge_answer {
  int32_t status;
  uint32_t faces;
  uint64_t reasons;
  char *reason;
  char *json;
} bridge_answer;

/* What to check, by kind; a struct of its own, so that no Go memory holds a Go pointer. */
enum { BRIDGE_ENCODED, BRIDGE_BASE64, BRIDGE_FILE };

bridge_answer bridge_init(float threshold, float mask_threshold, float second_face_ratio,
                          uint32_t strict_quality, uint64_t max_file_bytes, uint64_t max_pixels,
                          uint32_t max_side, uint32_t time_limit_ms, const char *onnxruntime,
                          const char *models_dir, liveness_engine **engine);

/* Exactly one of result and json is asked for: json where `result` is null. A file's `data` is its
 * path, which ends with a NUL. `data` is not void *: behind that, cgo looks for Go pointers in all of
 * the object that the bytes are a part of, and panics where it finds one. */
bridge_answer bridge_check(const liveness_engine *engine, int kind, const uint8_t *data, size_t len,
                           uint32_t flags, liveness_result *result);

bridge_answer bridge_check_pixels(const liveness_engine *engine, const uint8_t *data, size_t len,
                                  int32_t format, uint32_t width, uint32_t height, size_t stride,
                                  uint32_t orientation, uint32_t flags, liveness_result *result);

bridge_answer bridge_info(const liveness_engine *engine);

/* Sends log lines to the Go function livenessLog, or to nobody where `level` is 0. */
bridge_answer bridge_log(int32_t level);

#endif
