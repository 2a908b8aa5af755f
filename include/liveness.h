/*
 * liveness: tells from one selfie whether a live person, a print or a screen is before the camera.
 *
 *     liveness_engine *engine = NULL;
 *     liveness_result result = LIVENESS_RESULT_INIT;
 *     int32_t status = liveness_init(NULL, &engine);
 *     if (status == LIVENESS_OK) status = liveness_check_file(engine, "selfie.jpg", &result);
 *     if (status == LIVENESS_OK) printf("live: %d, confidence %.2f\n", result.liveness, result.score);
 *     else printf("%s: %s\n", liveness_error_code_string(status), liveness_last_error());
 *     liveness_free(engine);
 *
 * What holds for every function:
 *
 * - Status: an int32_t that equals the number of the error code: 0 (LIVENESS_OK), 2 to 5, 51, 52.
 *   Ignoring one is a compiler warning. Whatever fails leaves its out parameters zeroed, and zero
 *   never reads as live. Two exceptions: JSON is set on errors too, and a result whose struct_size
 *   is refused is left as it was, since its size is unknown; LIVENESS_RESULT_INIT made it "not live".
 *   A null pointer where none is allowed is 4. No panic gets out: it is 5 (2 from the decoder of a
 *   damaged image), or the value that a function's text names (a zero or an empty string otherwise).
 * - Threads: every function may be called from every thread. A const handle means concurrent use
 *   is fine: one handle serves many threads at once, and each call computes on one thread.
 *   Handles with different options coexist. liveness_free alone must be the last use of a handle;
 *   a handle that was freed is 4 in every later call. The log callback is the only setting that
 *   handles share.
 * - Ownership: a `const char *` that a function returns is the library's and is never freed. A
 *   `char *` that it stores is the caller's, for liveness_string_free. What is passed in is only
 *   borrowed for the call.
 * - Structs begin with struct_size, which their initialiser macro sets. Fields are only ever
 *   appended. A library that is older or newer than the header touches only what both know. A
 *   struct_size that is too small to be of use, or larger than 4096, is 4.
 * - Limits: files of 10 MiB, images of 100 megapixels and 16384 pixels a side, 10 seconds for a
 *   check; liveness_config sets others. Sizes are checked before memory is taken.
 */


#ifndef LIVENESS_H
#define LIVENESS_H

/* Generated from src/ffi by cbindgen: see build.rs. Do not edit. */

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define LIVENESS_WARN_UNUSED_RESULT __attribute__((warn_unused_result))
#else
#define LIVENESS_WARN_UNUSED_RESULT
#endif

/* liveness_config config = LIVENESS_CONFIG_INIT; all defaults. */
#define LIVENESS_CONFIG_INIT {sizeof(liveness_config), 0, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0}

/* liveness_pixels pixels = LIVENESS_PIXELS_INIT; fill in at least format, data, len, width, height. */
#define LIVENESS_PIXELS_INIT {sizeof(liveness_pixels), 0, NULL, 0, 0, 0, 0, 0, 0}

/* liveness_result result = LIVENESS_RESULT_INIT; reads as not live. */
#define LIVENESS_RESULT_INIT \
  {sizeof(liveness_result), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
   {{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}}, \
   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}


/**
 * Status: the call did what was asked.
 */
#define LIVENESS_OK 0

/**
 * Status 001: only HTTP servers answer with it, this library never does.
 */
#define LIVENESS_ERROR_UNAUTHORIZED 1

/**
 * Status 002: not decodable as an image: damaged, truncated, not an image, an unsupported format,
 * empty, absurd dimensions, invalid base64.
 */
#define LIVENESS_ERROR_UNREADABLE_IMAGE 2

/**
 * Status 003: the encoded file is larger than max_file_bytes (10 MiB by default).
 */
#define LIVENESS_ERROR_IMAGE_TOO_LARGE 3

/**
 * Status 004: a null pointer, a bad struct_size, an invalid pixel layout, an invalid option.
 */
#define LIVENESS_ERROR_BAD_REQUEST 4

/**
 * Status 005: anything unforeseen, a caught panic included.
 */
#define LIVENESS_ERROR_INTERNAL 5

/**
 * Status 051: no face, or more than one, or one under 40 pixels high; with `strict_quality` also one of
 * poor quality.
 */
#define LIVENESS_ERROR_FACE_COUNT 51

/**
 * Status 052: a face mask covers mouth or nose.
 */
#define LIVENESS_ERROR_MASK_DETECTED 52

/**
 * Pixel format: three bytes per pixel, red, green, blue.
 */
#define LIVENESS_PIXELS_RGB 1

/**
 * Pixel format: three bytes per pixel, blue, green, red.
 */
#define LIVENESS_PIXELS_BGR 2

/**
 * Pixel format: four bytes per pixel, red, green, blue, alpha. What is transparent shows white, so
 * the fourth byte must be 255 where it is no alpha (RGBX): a frame of zeros there is all white.
 */
#define LIVENESS_PIXELS_RGBA 3

/**
 * Pixel format: four bytes per pixel, blue, green, red, alpha. What is transparent shows white, so
 * the fourth byte must be 255 where it is no alpha (BGRX): a frame of zeros there is all white.
 */
#define LIVENESS_PIXELS_BGRA 4

/**
 * Pixel format: one byte per pixel. The networks judge by colours too: of grey pictures most live people are refused
 * (models/MODEL_CARD.md, "Mistakes of those who send pictures"), so give frames with their colours where there are any.
 */
#define LIVENESS_PIXELS_GRAY 5

/**
 * Pixel format: a plane of luma, then a plane of interleaved U and V.
 */
#define LIVENESS_PIXELS_NV12 6

/**
 * Pixel format: a plane of luma, then a plane of interleaved V and U (Android's camera preview).
 */
#define LIVENESS_PIXELS_NV21 7

/**
 * Pixel format: a plane of luma, a plane of U, a plane of V.
 */
#define LIVENESS_PIXELS_I420 8

/**
 * Flag of the JSON calls: add the member "details".
 */
#define LIVENESS_JSON_DETAILS 1

/**
 * Log level: nothing.
 */
#define LIVENESS_LOG_OFF 0

/**
 * Log level: status 005, and a handle that liveness_free should not have been given.
 */
#define LIVENESS_LOG_ERROR 1

/**
 * Log level: also status 004.
 */
#define LIVENESS_LOG_WARN 2

/**
 * Log level: also which engine and models a handle uses.
 */
#define LIVENESS_LOG_INFO 3

/**
 * Log level: also every verdict and every refused image. Never a pixel, never a file name.
 */
#define LIVENESS_LOG_DEBUG 4

/**
 * Reason bit "no_face". It comes with status 051, so from liveness_last_reasons.
 */
#define LIVENESS_REASON_NO_FACE 1

/**
 * Reason bit "several_faces". It comes with status 051, so from liveness_last_reasons.
 */
#define LIVENESS_REASON_SEVERAL_FACES 2

/**
 * Reason bit "face_mask". It comes with status 052, so from liveness_last_reasons.
 */
#define LIVENESS_REASON_FACE_MASK 4

/**
 * Reason bit "face_too_small": the face is under 80 pixels high. One under 40 is status 051.
 */
#define LIVENESS_REASON_FACE_TOO_SMALL 8

/**
 * Reason bit "face_cut_off": the face reaches beyond the image.
 */
#define LIVENESS_REASON_FACE_CUT_OFF 16

/**
 * Reason bit "head_turned": the head is turned to a side.
 */
#define LIVENESS_REASON_HEAD_TURNED 32

/**
 * Reason bit "head_nodded": the head looks up or down.
 */
#define LIVENESS_REASON_HEAD_NODDED 64

/**
 * Reason bit "head_tilted": the head is tilted in the image plane.
 */
#define LIVENESS_REASON_HEAD_TILTED 128

/**
 * Reason bit "too_dark".
 */
#define LIVENESS_REASON_TOO_DARK 256

/**
 * Reason bit "too_bright".
 */
#define LIVENESS_REASON_TOO_BRIGHT 512

/**
 * Reason bit "low_contrast".
 */
#define LIVENESS_REASON_LOW_CONTRAST 1024

/**
 * Reason bit "clipped": too much of the face is black or white.
 */
#define LIVENESS_REASON_CLIPPED 2048

/**
 * Reason bit "blurred": out of focus, or smeared by motion.
 */
#define LIVENESS_REASON_BLURRED 4096

/**
 * Reason bit "not_upright", beside "no_face": there is a face in the picture turned by a quarter, or upside down.
 * liveness_last_error says which way to turn it.
 */
#define LIVENESS_REASON_NOT_UPRIGHT 8192

/**
 * Version of the binary interface that a header describes. It changes only when a program that
 * was built with an older header would break; functions, constants and struct fields are added
 * without changing it.
 */
#define LIVENESS_ABI_VERSION 1

/**
 * A handle: the loaded networks and the choices made for them. From liveness_init, ended by
 * liveness_free. It is no address: nothing can be read through it.
 */
typedef struct liveness_engine liveness_engine;

/**
 * Choices for a handle. Start from LIVENESS_CONFIG_INIT; zero in any field means its default.
 */
typedef struct liveness_config {
  /**
   * sizeof(liveness_config), set by LIVENESS_CONFIG_INIT.
   */
  uint32_t struct_size;
  /**
   * live_probability from which on a face counts as live: more than 0 and less than 1.
   * Default: the calibrated threshold of the models, which is 0.5 for the embedded ones. It does
   * not change live_probability: how often the networks look at a face depends on fixed ranges
   * around 0.5. With the embedded models the first look, by one network, is the only one where
   * it gives 0.92 or more: a higher threshold can refuse a face on that network's word alone.
   * Error rates were measured for thresholds of 0.1 to 0.9 (models/MODEL_CARD.md).
   */
  float threshold;
  /**
   * Path of an ONNX Runtime shared library (1.17 or newer). Default (null or empty): what the
   * environment variable LIVENESS_ONNXRUNTIME names, else the embedded engine. A library that
   * is named but cannot be loaded is status 005. A process can load one ONNX Runtime only. One with
   * more rights than its caller has (set-user-ID, file capabilities) does not ask the variable.
   */
  const char *onnxruntime;
  /**
   * Folder with a manifest.json and the networks it names. Default (null or empty): the embedded
   * ones.
   */
  const char *models_dir;
  /**
   * Largest encoded file in bytes, counted after base64 decoding; above it is status 003.
   * Default: 10485760 (10 MiB).
   */
  uint64_t max_file_bytes;
  /**
   * Largest number of pixels an image may have; above it is status 002. Default: 100000000.
   */
  uint64_t max_pixels;
  /**
   * Largest width and height of an image in pixels; above it is status 002. Default: 16384.
   */
  uint32_t max_side;
  /**
   * Probability of a face mask from which on an image is refused with status 052: more than 0
   * and less than 1. Default: the threshold of the models.
   */
  float mask_threshold;
  /**
   * A second face counts, and the image is refused with status 051, when its box has at least
   * this share of the main face's height, be it beside it or before it: more than 0, at most 1.
   * Default: 0.3.
   */
  float second_face_ratio;
  /**
   * 1: refuse an image with one of the quality reasons with status 051, after the look for a mask; which one
   * it was says liveness_last_reasons. Default: report the reasons only.
   */
  uint32_t strict_quality;
  /**
   * Longest time for a check in milliseconds; a longer one is status 005. The clock is looked at
   * between the steps of a check and while a file is decoded, so an answer can be late by the time
   * of one step. 4294967295 is as good as none. Default: 10000.
   */
  uint32_t time_limit_ms;
  /**
   * Must be 0.
   */
  uint32_t reserved;
} liveness_config;

/**
 * A point in pixels of the upright image; the centre of its top left pixel is (0, 0).
 */
typedef struct liveness_point {
  float x;
  float y;
} liveness_point;

/**
 * A verdict on an image with exactly one bare face. Start from LIVENESS_RESULT_INIT. All zero,
 * as after a failed call, it reads as "not live"; only where struct_size itself is refused is it
 * left as it was. Coordinates are pixels of the upright full-resolution image.
 */
typedef struct liveness_result {
  /**
   * sizeof(liveness_result), set by LIVENESS_RESULT_INIT; the library never changes it.
   */
  uint32_t struct_size;
  /**
   * 1: a live person is before the camera. 0: a print, a screen, or no verdict at all.
   */
  int32_t liveness;
  /**
   * How confident that answer is, 0..1: near 1 for a sure live person and for a sure attack.
   */
  double score;
  /**
   * Calibrated probability of a bona fide presentation, 0..1.
   */
  double live_probability;
  /**
   * live_probability from which on this handle says live.
   */
  double threshold;
  /**
   * Probability of a printed photo, 0..1. With replay_probability and live_probability: 1.
   */
  double print_probability;
  /**
   * Probability of a photo or video on a screen, 0..1.
   */
  double replay_probability;
  /**
   * LIVENESS_REASON_ bits: what is wrong with the quality; 0 for a good selfie.
   */
  uint64_t reasons;
  /**
   * Number of faces that count: 1.
   */
  uint32_t faces;
  /**
   * Confidence of the face detector, 0..1.
   */
  float face_score;
  /**
   * Left edge of the face box. The box may reach beyond the image.
   */
  float face_x;
  /**
   * Top edge of the face box.
   */
  float face_y;
  /**
   * Width of the face box.
   */
  float face_width;
  /**
   * Height of the face box.
   */
  float face_height;
  /**
   * Right eye, left eye, nose, right and left corner of the mouth; right is the subject's
   * right, which is the left side of the image.
   */
  struct liveness_point landmarks[5];
  /**
   * Probability that a mask covers mouth or nose, 0..1.
   */
  float mask_probability;
  /**
   * Height of the face box in pixels.
   */
  float quality_face_size;
  /**
   * Height of the face box as a share of the image's long side.
   */
  float quality_face_share;
  /**
   * Share of the face box that lies outside the image, 0..1.
   */
  float quality_outside;
  /**
   * Estimated turn of the head in degrees, positive towards the subject's left; about 10 degrees
   * uncertain.
   */
  float quality_yaw;
  /**
   * Estimated nod of the head in degrees, positive upwards; a hint only: large nods come out as a few degrees.
   */
  float quality_pitch;
  /**
   * Tilt of the head in the image plane in degrees, positive clockwise.
   */
  float quality_roll;
  /**
   * Mean luma of the face, 0..1.
   */
  float quality_brightness;
  /**
   * Standard deviation of the luma of the face, 0..0.5.
   */
  float quality_contrast;
  /**
   * Share of the face's pixels that are clipped to black or white, 0..1.
   */
  float quality_clipped;
  /**
   * Variance of the Laplacian of the face scaled to a fixed size; small is blurred.
   */
  float quality_sharpness;
  /**
   * Milliseconds for reading, decoding and turning upright.
   */
  float decode_ms;
  /**
   * Milliseconds for finding faces.
   */
  float detect_ms;
  /**
   * Milliseconds for looking for a mask and measuring the quality.
   */
  float mask_ms;
  /**
   * Milliseconds for telling live from attack.
   */
  float spoof_ms;
  /**
   * Milliseconds for all of it.
   */
  float total_ms;
} liveness_result;

/**
 * Decoded pixels, 8 bits per sample, rows from top to bottom. Start from LIVENESS_PIXELS_INIT.
 * YUV is BT.601 in full range (JFIF); a chroma sample covers two by two pixels.
 */
typedef struct liveness_pixels {
  /**
   * sizeof(liveness_pixels), set by LIVENESS_PIXELS_INIT.
   */
  uint32_t struct_size;
  /**
   * One of LIVENESS_PIXELS_RGB to LIVENESS_PIXELS_I420.
   */
  int32_t format;
  /**
   * The samples, borrowed for the duration of the call.
   */
  const uint8_t *data;
  /**
   * Bytes at data. They may be more than the layout needs, never fewer.
   */
  size_t len;
  /**
   * Bytes from the start of one row to the start of the next, of the first plane; 0: rows
   * without gaps. The further planes of a YUV image follow the height * stride bytes of the
   * first: the interleaved chroma plane of NV12 and NV21 has a stride of stride (one more where
   * that is odd), the two chroma planes of I420 have half of it, rounded up.
   */
  size_t stride;
  /**
   * Width in pixels, as stored (before orientation is applied).
   */
  uint32_t width;
  /**
   * Height in pixels, as stored (before orientation is applied).
   */
  uint32_t height;
  /**
   * EXIF orientation, 1 to 8. 0 and 1: upright.
   */
  uint32_t orientation;
  /**
   * Must be 0.
   */
  uint32_t reserved;
} liveness_pixels;

/**
 * Called with one line about what the library does. It must not unwind (no C++ exception, no
 * longjmp) and may be called from every thread that calls the library, from several at once.
 * `message` is UTF-8 and is good until the callback returns.
 */
typedef void (*liveness_log_callback)(void *user,
                                      int32_t level,
                                      const char *message);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a handle: loads the networks, and ONNX Runtime where one is named. Costs some
 * milliseconds and megabytes; make one and share it between threads.
 *
 * `config` may be null for all defaults. Its strings are UTF-8 (on Unix, any bytes of the file
 * system), end with a NUL, and are only borrowed for the call.
 *
 * Ownership: `*engine` belongs to the caller, who ends it with liveness_free. Null on failure.
 * Errors: 4 for an invalid option, 5 for models or an ONNX Runtime that cannot be loaded;
 * liveness_last_error says which and why. There is no fallback to another engine.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_init(const struct liveness_config *config,
                      struct liveness_engine **engine);

/**
 * Ends a handle. Null is allowed and does nothing.
 *
 * It must be the last use of the handle: no other thread may be inside a call with it, and it must
 * not be freed again. A debug build of the library says what was done wrong on standard error and
 * aborts. A release build logs it (level LIVENESS_LOG_ERROR) and goes on: the calls under way end
 * as if nothing had happened, and the last of them frees the memory; what is not open is left
 * alone. A later call with a freed handle is status 4 in every build.
 */
void liveness_free(struct liveness_engine *engine);

/**
 * Checks an image file in memory: JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF. EXIF
 * orientation is honoured; nothing has to be scaled, cropped or converted beforehand.
 *
 * `data` and `len` are borrowed for the call. `result` is zeroed, but for its struct_size, unless
 * LIVENESS_OK is returned; where its struct_size is refused (4), it is left as it was. An attack is
 * a result (liveness 0), not an error.
 *
 * Errors: 2, 3, 4, 5, 51, 52.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check(const struct liveness_engine *engine,
                       const uint8_t *data,
                       size_t len,
                       struct liveness_result *result);

/**
 * Checks an image file that is encoded as base64: standard or URL-safe alphabet, with or without
 * padding, white space and a `data:image/...;base64,` prefix.
 *
 * `text` needs no NUL at its end; `len` is its length without one. Otherwise as liveness_check.
 *
 * Errors: 2, 3, 4, 5, 51, 52.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_base64(const struct liveness_engine *engine,
                              const char *text,
                              size_t len,
                              struct liveness_result *result);

/**
 * Checks an image file on disk.
 *
 * `path` is UTF-8 (on Unix, any bytes of the file system) and ends with a NUL. Otherwise as
 * liveness_check.
 *
 * Errors: 2 (also for a file that cannot be read), 3, 4, 5, 51, 52.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_file(const struct liveness_engine *engine,
                            const char *path,
                            struct liveness_result *result);

/**
 * Checks decoded pixels, as a camera or a video decoder gives them; they are read during the call only.
 * Otherwise as liveness_check.
 *
 * Errors: 4 (also for a layout that does not fit into its bytes), 5, 51, 52, and 2 for an image
 * larger than max_pixels or max_side.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_pixels(const struct liveness_engine *engine,
                              const struct liveness_pixels *pixels,
                              struct liveness_result *result);

/**
 * liveness_check with the contract's JSON as its answer, byte for byte:
 * `{"success":true,"result":{"liveness":true,"score":0.97}}` or
 * `{"success":false,"error_code":"051","error_message":"..."}`.
 *
 * `flags` is 0 or LIVENESS_JSON_DETAILS, which adds a last member `details` with what was found, on
 * errors too. Why a status is 5 it does not say, as that may name files of the machine:
 * liveness_last_error does.
 *
 * Ownership: `*json` belongs to the caller, who ends it with liveness_string_free. It is set
 * whatever the status, 4 and 5 included; it is null only where there was no memory for it, or
 * where `json` itself is null.
 *
 * Errors: the status is that of liveness_check, and the JSON says the same.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_json(const struct liveness_engine *engine,
                            const uint8_t *data,
                            size_t len,
                            uint32_t flags,
                            char **json);

/**
 * liveness_check_base64 with the contract's JSON as its answer; see liveness_check_json.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_base64_json(const struct liveness_engine *engine,
                                   const char *text,
                                   size_t len,
                                   uint32_t flags,
                                   char **json);

/**
 * liveness_check_file with the contract's JSON as its answer; see liveness_check_json.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_file_json(const struct liveness_engine *engine,
                                 const char *path,
                                 uint32_t flags,
                                 char **json);

/**
 * liveness_check_pixels with the contract's JSON as its answer; see liveness_check_json.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_check_pixels_json(const struct liveness_engine *engine,
                                   const struct liveness_pixels *pixels,
                                   uint32_t flags,
                                   char **json);

/**
 * Names what a handle computes with, as JSON: `{"version":"0.1.0","engine":"embedded 2",
 * "models":"2026.11.0+1a2b3c4d","files":[{"name":"detector","file":"detector.onnx",
 * "sha256":"..."}]}`.
 *
 * Ownership: `*json` belongs to the caller, who ends it with liveness_string_free. Null on
 * failure.
 *
 * Errors: 4, 5.
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_info_json(const struct liveness_engine *engine,
                           char **json);

/**
 * Ends a string that the library handed over to the caller. Null is allowed and does nothing.
 * Never for a `const char *` of the library, and never with free(). The string must have the length
 * that it came with: whoever cuts it works on a copy.
 */
void liveness_string_free(char *string);

/**
 * Version of the binary interface that this library has. A program that was built with a header
 * of the same LIVENESS_ABI_VERSION works with it; compare the two after dlopen. 0 after a panic.
 */
uint32_t liveness_abi_version(void);

/**
 * Version of the library, such as "0.1.0". Static, not to be freed.
 */
const char *liveness_version(void);

/**
 * The contract's message for a status, such as "Image file size is too large." for 3. An empty
 * string for 0 and for a number that is no code. Static, not to be freed, never null.
 */
const char *liveness_error_message(int32_t code);

/**
 * The contract's three digits for a status, such as "051" for 51. An empty string for 0 and for
 * a number that is no code. Static, not to be freed, never null.
 */
const char *liveness_error_code_string(int32_t code);

/**
 * The machine-readable name of one LIVENESS_REASON_ bit, such as "too_dark". An empty string for
 * anything else. Static, not to be freed, never null.
 */
const char *liveness_reason_name(uint64_t reason);

/**
 * Why the last call of this thread that answers with a status failed: cause and cure in English,
 * for a person and not to be parsed. An empty string where it succeeded.
 *
 * Ownership: the library's. It is good until the same thread's next call that answers with a
 * status, and until the thread ends. Never null.
 */
const char *liveness_last_error(void);

/**
 * Why the last call of this thread that answers with a status refused its image: LIVENESS_REASON_
 * bits, for a program. They come with 51 and 52. 0 where it succeeded (a verdict has its reasons in
 * liveness_result), and where it failed for anything but what is to be seen in the image.
 */
uint64_t liveness_last_reasons(void);

/**
 * The number of faces that count in the image that the last call of this thread that answers with a
 * status refused, with 51 or 52. 0 also where it succeeded, and where it failed before faces were
 * looked for: LIVENESS_REASON_NO_FACE of liveness_last_reasons tells which.
 */
uint32_t liveness_last_faces(void);

/**
 * Sets the function that gets the library's log lines up to `level` (LIVENESS_LOG_ERROR to
 * LIVENESS_LOG_DEBUG), for all handles of the process. A null `callback` or LIVENESS_LOG_OFF
 * makes the library silent again, which it is at first. It never writes to standard output or
 * standard error.
 *
 * `user` is handed to the callback unchanged. When this function returns, no call of the former
 * callback is under way, so that what its `user` points to may go.
 *
 * It waits for calls of the former callback: do not hold what they may wait for.
 *
 * Errors: 4 for an unknown level, and when called from inside the callback (which may call
 * everything else; such calls are not logged).
 */
LIVENESS_WARN_UNUSED_RESULT
int32_t liveness_set_log_callback(liveness_log_callback callback,
                                  void *user,
                                  int32_t level);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LIVENESS_H */
