/*
 * What a process that does nothing but check pictures costs. One line of JSON per run:
 *
 *     probe check FILE CHECKS           start, checks, and the largest memory of the process
 *     probe handles FILE                what a second handle takes, checked once
 *     probe threads FILE THREADS CHECKS one handle, so many threads with so many checks each
 *
 * ONNX Runtime computes where LIVENESS_ONNXRUNTIME names it. Every status is accepted, so that
 * pictures without a verdict can be measured too; the first is part of the answer.
 */
#define _GNU_SOURCE
#include "liveness.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_THREADS 64
#define MIB 1048576.0

struct picture {
  unsigned char *bytes;
  size_t length;
};

struct worker {
  pthread_t thread;
  const liveness_engine *engine;
  const struct picture *picture;
  long checks;
  int32_t status;
};

static void die(const char *what)
{
  fprintf(stderr, "probe: %s: %s\n", what, liveness_last_error());
  exit(EXIT_FAILURE);
}

static double milliseconds(clockid_t clock)
{
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* A field of /proc/self/status in MiB. */
static double memory(const char *field)
{
  char line[256];
  double kibibytes = -1;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL)
    die("/proc/self/status");
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, field, strlen(field)) == 0)
      kibibytes = atof(line + strlen(field) + 1);
  fclose(file);
  return kibibytes / 1024;
}

/* What malloc has given and not got back, in MiB: unlike pages, it is exact. */
static double live_heap(void)
{
  struct mallinfo2 info = mallinfo2();
  return (info.uordblks + info.hblkhd) / MIB;
}

static struct picture read_picture(const char *path)
{
  struct picture picture = {NULL, 0};
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0)
    die(path);
  picture.length = (size_t)ftell(file);
  rewind(file);
  picture.bytes = malloc(picture.length);
  if (picture.bytes == NULL || fread(picture.bytes, 1, picture.length, file) != picture.length)
    die(path);
  fclose(file);
  return picture;
}

static liveness_engine *open_engine(void)
{
  liveness_engine *engine = NULL;
  liveness_config config = LIVENESS_CONFIG_INIT;
  config.max_file_bytes = 1 << 30; /* Scaling is measured beyond what is let in by default. */
  config.time_limit_ms = 600000;   /* Under valgrind a check takes a thousand times as long. */
  if (liveness_init(&config, &engine) != LIVENESS_OK)
    die("liveness_init");
  return engine;
}

static int32_t check(const liveness_engine *engine, const struct picture *picture)
{
  liveness_result result = LIVENESS_RESULT_INIT;
  return liveness_check(engine, picture->bytes, picture->length, &result);
}

static void run_checks(const struct picture *picture, long checks)
{
  int32_t status = -1;
  double start = milliseconds(CLOCK_MONOTONIC), start_cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
  liveness_engine *engine = open_engine();
  double ready = milliseconds(CLOCK_MONOTONIC);
  for (long i = 0; i < checks; i++) {
    int32_t now = check(engine, picture);
    if (i == 0)
      status = now;
    if (i == 0)
      printf("{\"init_ms\": %.3f, \"first_verdict_ms\": %.3f, \"first_verdict_cpu_ms\": %.3f, ", ready - start,
             milliseconds(CLOCK_MONOTONIC) - start, milliseconds(CLOCK_PROCESS_CPUTIME_ID) - start_cpu);
  }
  printf("%s\"status\": %d, \"peak_mib\": %.2f}\n", checks == 0 ? "{" : "", status, memory("VmHWM:"));
  liveness_free(engine);
}

static void run_handles(const struct picture *picture)
{
  liveness_engine *first = open_engine();
  check(first, picture);
  check(first, picture);
  double heap = live_heap(), resident = memory("VmRSS:");
  liveness_engine *second = open_engine();
  check(second, picture);
  printf("{\"heap_mib\": %.3f, \"resident_mib\": %.3f}\n", live_heap() - heap, memory("VmRSS:") - resident);
  liveness_free(second);
  liveness_free(first);
}

static void *work(void *argument)
{
  struct worker *worker = argument;
  for (long i = 0; i < worker->checks; i++)
    worker->status = check(worker->engine, worker->picture);
  return NULL;
}

static void run_threads(const struct picture *picture, long threads, long checks)
{
  struct worker workers[MAX_THREADS];
  liveness_engine *engine = open_engine();
  check(engine, picture);
  double start = milliseconds(CLOCK_MONOTONIC), start_cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
  for (long i = 0; i < threads; i++) {
    workers[i] = (struct worker){.engine = engine, .picture = picture, .checks = checks};
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
      die("pthread_create");
  }
  for (long i = 0; i < threads; i++)
    pthread_join(workers[i].thread, NULL);
  double wall = milliseconds(CLOCK_MONOTONIC) - start;
  double cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
  printf("{\"checks_per_s\": %.3f, \"cpu_ms_per_check\": %.4f, \"status\": %d, \"peak_mib\": %.2f}\n",
         threads * checks / wall * 1e3, cpu / (threads * checks), workers[0].status, memory("VmHWM:"));
  liveness_free(engine);
}

int main(int argc, char **argv)
{
  if (argc == 4 && strcmp(argv[1], "check") == 0) {
    struct picture picture = read_picture(argv[2]);
    run_checks(&picture, atol(argv[3]));
    free(picture.bytes);
  } else if (argc == 3 && strcmp(argv[1], "handles") == 0) {
    struct picture picture = read_picture(argv[2]);
    run_handles(&picture);
    free(picture.bytes);
  } else if (argc == 5 && strcmp(argv[1], "threads") == 0 && atol(argv[3]) >= 1 && atol(argv[3]) <= MAX_THREADS) {
    struct picture picture = read_picture(argv[2]);
    run_threads(&picture, atol(argv[3]), atol(argv[4]));
    free(picture.bytes);
  } else {
    fprintf(stderr, "usage: probe check FILE CHECKS | handles FILE | threads FILE THREADS CHECKS\n");
    return 2;
  }
  return EXIT_SUCCESS;
}
