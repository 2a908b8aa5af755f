/* Many threads at once: on one handle, on handles of their own, on two engines. */
#define _POSIX_C_SOURCE 200809L

#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 32 };

typedef struct sample {
  const char *name;
  int32_t status;
  bytes file;
  char path[4096];
  liveness_result result;
} sample;

static sample samples[] = {
    {"face.png", LIVENESS_OK, {NULL, 0}, "", LIVENESS_RESULT_INIT},
    {"no_face.png", LIVENESS_ERROR_FACE_COUNT, {NULL, 0}, "", LIVENESS_RESULT_INIT},
    {"masked.png", LIVENESS_ERROR_MASK_DETECTED, {NULL, 0}, "", LIVENESS_RESULT_INIT},
    {"text.jpg", LIVENESS_ERROR_UNREADABLE_IMAGE, {NULL, 0}, "", LIVENESS_RESULT_INIT},
    {"truncated.png", LIVENESS_ERROR_UNREADABLE_IMAGE, {NULL, 0}, "", LIVENESS_RESULT_INIT},
    {"too_large.png", LIVENESS_ERROR_IMAGE_TOO_LARGE, {NULL, 0}, "", LIVENESS_RESULT_INIT},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void read_samples(const liveness_engine *engine)
{
  size_t i;
  for (i = 0; i < SAMPLES; i++) {
    sample *sample = &samples[i];
    strncpy(sample->path, image_path(sample->name), sizeof sample->path - 1);
    sample->file = read_file(sample->path);
    CHECK_NUMBER(
        liveness_check(engine, sample->file.data, sample->file.len, &sample->result),
        sample->status);
  }
}

static void free_samples(void)
{
  size_t i;
  for (i = 0; i < SAMPLES; i++)
    free(samples[i].file.data);
}

/* Nothing here calls CHECK, which counts without a lock: a thread counts for itself. */
typedef struct worker {
  pthread_t thread;
  int number;
  const liveness_engine *engine;
  liveness_engine *given_up;
  int wrong;
} worker;

static int right(const sample *sample, int32_t status, const liveness_result *result)
{
  if (status != sample->status) return 0;
  if ((*liveness_last_error() == '\0') != (status == LIVENESS_OK)) return 0;
  return status == LIVENESS_OK ? same_verdict(result, &sample->result) : is_zeroed(result);
}

static void check_all(worker *self, const liveness_engine *engine)
{
  size_t i;
  for (i = 0; i < SAMPLES; i++) {
    /* Every thread in another order. */
    const sample *sample = &samples[(i + (size_t)self->number) % SAMPLES];
    liveness_result result = dirty_result();
    char *json = NULL;
    int32_t status;
    if (self->number % 2 == 0)
      status = liveness_check(engine, sample->file.data, sample->file.len, &result);
    else
      status = liveness_check_file(engine, sample->path, &result);
    self->wrong += !right(sample, status, &result);
    if (sample->status == LIVENESS_OK) continue;
    status = liveness_check_json(engine, sample->file.data, sample->file.len, 0, &json);
    self->wrong += status != sample->status || json == NULL;
    liveness_string_free(json);
  }
}

static void make_and_free(worker *self)
{
  liveness_engine *own = NULL;
  char *json = NULL;
  if (liveness_init(NULL, &own) != LIVENESS_OK) {
    self->wrong++;
    return;
  }
  self->wrong += liveness_info_json(own, &json) != LIVENESS_OK;
  liveness_string_free(json);
  check_all(self, own);
  liveness_free(own);
}

static int log_lines;

static void count_lines(void *user, int32_t level, const char *message)
{
  (void)level;
  (void)message;
  __atomic_fetch_add((int *)user, 1, __ATOMIC_RELAXED);
}

static void switch_the_log(worker *self)
{
  self->wrong +=
      liveness_set_log_callback(count_lines, &log_lines, LIVENESS_LOG_DEBUG) != LIVENESS_OK;
  check_all(self, self->engine);
  self->wrong += liveness_set_log_callback(NULL, NULL, LIVENESS_LOG_OFF) != LIVENESS_OK;
}

static void *work(void *argument)
{
  worker *self = argument;
  self->wrong += *liveness_last_error() != '\0';
  if (self->number % 8 == 0)
    make_and_free(self);
  else if (self->number % 8 == 1)
    switch_the_log(self);
  else
    check_all(self, self->engine);
  /* What one thread made, another may free. */
  liveness_free(self->given_up);
  return NULL;
}

static void thirty_two_threads(void)
{
  static worker workers[THREADS];
  liveness_engine *engine = default_engine();
  int i;
  read_samples(engine);
  for (i = 0; i < THREADS; i++) {
    workers[i].number = i;
    workers[i].engine = engine;
    workers[i].given_up = i % 8 == 2 ? default_engine() : NULL;
    CHECK_NUMBER(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (i = 0; i < THREADS; i++) {
    CHECK_NUMBER(pthread_join(workers[i].thread, NULL), 0);
    CHECK_NUMBER(workers[i].wrong, 0);
  }
  CHECK(__atomic_load_n(&log_lines, __ATOMIC_RELAXED) > 0);
  liveness_free(engine);
  free_samples();
}

/* A thread ends with a reason of its own still kept, and others come after it. */
static void *fail_once(void *argument)
{
  liveness_result result = LIVENESS_RESULT_INIT;
  return liveness_check(argument, (const uint8_t *)"x", 1, &result) ==
                 LIVENESS_ERROR_UNREADABLE_IMAGE
             ? argument
             : NULL;
}

static void short_threads(void)
{
  liveness_engine *engine = default_engine();
  int i;
  for (i = 0; i < 200; i++) {
    pthread_t thread;
    void *answer = NULL;
    CHECK_NUMBER(pthread_create(&thread, NULL, fail_once, engine), 0);
    CHECK_NUMBER(pthread_join(thread, &answer), 0);
    CHECK(answer == engine);
  }
  liveness_free(engine);
}

enum { CHECKS_EACH = 3 };

typedef struct judge {
  pthread_t thread;
  const liveness_engine *engine;
  const char *path;
  int live, wrong;
} judge;

static void *judge_again(void *argument)
{
  judge *self = argument;
  int i;
  for (i = 0; i < CHECKS_EACH; i++) {
    liveness_result result = LIVENESS_RESULT_INIT;
    self->wrong += liveness_check_file(self->engine, self->path, &result) != LIVENESS_OK ||
                   result.liveness != self->live;
  }
  return NULL;
}

/* On two inference engines where the environment names ONNX Runtime, each strict and lax: four
   handles in one process, of which two say live and two do not, of the same picture. */
static void engines_and_thresholds_side_by_side(void)
{
  const char *onnxruntime = getenv("LIVENESS_TEST_ONNXRUNTIME");
  const int kinds = onnxruntime != NULL ? 2 : 1;
  liveness_engine *engines[4] = {NULL, NULL, NULL, NULL};
  static judge judges[8];
  char *info[2] = {NULL, NULL};
  char path[4096] = "";
  int i, handles = 2 * kinds;
  strncpy(path, image_path("face.png"), sizeof path - 1);
  for (i = 0; i < handles; i++) {
    liveness_config config = LIVENESS_CONFIG_INIT;
    config.onnxruntime = i < 2 ? NULL : onnxruntime;
    config.threshold = i % 2 == 0 ? 1e-6f : 1 - 1e-6f;
    CHECK_NUMBER(liveness_init(&config, &engines[i]), LIVENESS_OK);
  }
  for (i = 0; i < 2 * handles; i++) {
    judges[i].engine = engines[i % handles];
    judges[i].path = path;
    judges[i].live = i % 2 == 0;
    CHECK_NUMBER(pthread_create(&judges[i].thread, NULL, judge_again, &judges[i]), 0);
  }
  for (i = 0; i < 2 * handles; i++) {
    CHECK_NUMBER(pthread_join(judges[i].thread, NULL), 0);
    CHECK_NUMBER(judges[i].wrong, 0);
  }
  for (i = 0; i < kinds; i++)
    CHECK_NUMBER(liveness_info_json(engines[2 * i], &info[i]), LIVENESS_OK);
  if (kinds == 2) {
    CHECK(strstr(info[0], "\"engine\":\"onnxruntime") == NULL);
    CHECK(strstr(info[1], "\"engine\":\"onnxruntime") != NULL);
  }
  for (i = 0; i < kinds; i++)
    liveness_string_free(info[i]);
  for (i = 0; i < handles; i++)
    liveness_free(engines[i]);
}

const test thread_tests[] = {
    {"thirty_two_threads", thirty_two_threads},
    {"short_threads", short_threads},
    {"engines_and_thresholds_side_by_side", engines_and_thresholds_side_by_side},
    {NULL, NULL},
};
