/* Long use of the library in one process, with its memory measured on the way:

     soak checks FOLDER CHECKS THREADS   checks of all kinds; memory after the first 1,000 (a third
                                         where there are fewer) and at the end must be the same
     soak handles FOLDER HANDLES         makes, uses and frees handles one after the other

   FOLDER holds what the Rust side wrote. A name begins with the code that the file must end in:
   000 for a verdict. Verdicts must be the same to the last bit each time. */
#define _GNU_SOURCE

#include "liveness.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How much a process may have grown in the end. */
static const double GROWTH = 0.01;

/* Pages that a short run may take besides, in kB: the system maps files and grows heaps in steps of up to
   128 kB, each of which is 1 % of a small process. What malloc has handed out has no such steps. */
enum { SHORT_RUN = 512, LONG_CHECKS = 100000, LONG_HANDLES = 10000 };

static void fatal(const char *what, const char *which)
{
  fprintf(stderr, "%s: %s (last error: %s)\n", what, which, liveness_last_error());
  exit(2);
}

static double seconds(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

typedef struct memory {
  long resident, anonymous; /* kB in memory, and those of them that are not pages of files */
  size_t heap;              /* bytes that malloc has handed out */
} memory;

static memory measure(void)
{
  memory now = {0, 0, 0};
  char line[256];
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  struct mallinfo2 heap;
  if (file == NULL) fatal("cannot open", "/proc/self/smaps_rollup");
  fclose(file);
  /* What was freed goes back to the system, so that only what is in use counts. */
  malloc_trim(0);
  heap = mallinfo2();
  now.heap = heap.uordblks + heap.hblkhd;
  file = fopen("/proc/self/smaps_rollup", "r");
  while (fgets(line, sizeof line, file) != NULL) {
    sscanf(line, "Rss: %ld", &now.resident);
    sscanf(line, "Anonymous: %ld", &now.anonymous);
  }
  fclose(file);
  return now;
}

static void print(const char *what, long count, memory now, double since)
{
  printf("%s %7ld: resident %ld kB (anonymous %ld kB), heap in use %zu bytes, %.0f s\n", what, count,
         now.resident, now.anonymous, now.heap, seconds() - since);
  fflush(stdout);
}

static int grew(memory before, memory after, long slack)
{
  const double resident = (double)after.resident / (double)before.resident - 1;
  const double anonymous = (double)after.anonymous / (double)before.anonymous - 1;
  const double heap = (double)after.heap / (double)before.heap - 1;
  const int failed = (resident > GROWTH && after.resident - before.resident > slack) ||
                     (anonymous > GROWTH && after.anonymous - before.anonymous > slack) ||
                     heap > GROWTH;
  printf("change: resident %+.2f %%, anonymous %+.2f %%, heap %+.2f %%: %s\n", 100 * resident,
         100 * anonymous, 100 * heap, failed ? "it GREW" : "the same");
  return failed;
}

enum { MOST_JOBS = 256, HANDLES = 2 };

typedef enum way { ENCODED, BASE64, FROM_DISK, AS_JSON, PIXELS, WAYS } way;

/* One file, handed over in one way. */
typedef struct job {
  char path[512];
  unsigned char *data;
  char *text;
  size_t len;
  liveness_pixels pixels;
  way way;
  int32_t status;
  liveness_result expected[HANDLES];
} job;

static job *jobs[4][MOST_JOBS];
static size_t job_count[4];

/* Which kind comes how often: half of what strangers send is no usable picture. */
static int kind_of(int32_t status)
{
  switch (status) {
  case LIVENESS_OK: return 0;
  case LIVENESS_ERROR_MASK_DETECTED: return 1;
  case LIVENESS_ERROR_FACE_COUNT: return 2;
  default: return 3;
  }
}
static const int SCHEDULE[] = {0, 3, 2, 3, 0, 3, 2, 3, 1, 3, 2, 3, 0, 3, 2, 3, 0, 3, 2, 3};
enum { SCHEDULED = sizeof SCHEDULE / sizeof *SCHEDULE };

static char *base64(const unsigned char *data, size_t len)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *text = malloc((len + 2) / 3 * 4 + 1);
  size_t in, out = 0;
  if (text == NULL) fatal("no memory", "base64");
  for (in = 0; in < len; in += 3) {
    unsigned bits = (unsigned)data[in] << 16;
    if (in + 1 < len) bits |= (unsigned)data[in + 1] << 8;
    if (in + 2 < len) bits |= data[in + 2];
    text[out++] = letters[bits >> 18];
    text[out++] = letters[bits >> 12 & 63];
    text[out++] = in + 1 < len ? letters[bits >> 6 & 63] : '=';
    text[out++] = in + 2 < len ? letters[bits & 63] : '=';
  }
  text[out] = '\0';
  return text;
}

static void add_job(const char *path, unsigned char *data, size_t len, way way, int32_t status)
{
  const int kind = kind_of(status);
  job *job = calloc(1, sizeof *job);
  if (job == NULL || job_count[kind] == MOST_JOBS) fatal("too many files", path);
  strncpy(job->path, path, sizeof job->path - 1);
  job->data = data;
  job->len = len;
  job->way = way;
  job->status = status;
  if (way == BASE64) job->text = base64(data, len);
  if (way == PIXELS) {
    /* NAME.pixels: format, width, height and stride as little-endian u32, then the samples. */
    uint32_t head[4];
    memcpy(head, data, sizeof head);
    job->pixels = (liveness_pixels)LIVENESS_PIXELS_INIT;
    job->pixels.format = (int32_t)head[0];
    job->pixels.width = head[1];
    job->pixels.height = head[2];
    job->pixels.stride = head[3];
    job->pixels.data = data + sizeof head;
    job->pixels.len = len - sizeof head;
  }
  jobs[kind][job_count[kind]++] = job;
}

static void read_jobs(const char *folder)
{
  struct dirent **entries;
  int i, count = scandir(folder, &entries, NULL, alphasort);
  if (count < 0) fatal("cannot read", folder);
  for (i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    char path[512];
    FILE *file;
    long size;
    unsigned char *data;
    int32_t status = (int32_t)strtol(name, NULL, 10);
    if (name[0] == '0') {
      snprintf(path, sizeof path, "%s/%s", folder, name);
      file = fopen(path, "rb");
      if (file == NULL || fseek(file, 0, SEEK_END) != 0) fatal("cannot open", path);
      size = ftell(file);
      rewind(file);
      data = malloc((size_t)size + 1);
      if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size)
        fatal("cannot read", path);
      fclose(file);
      if (strstr(name, ".pixels") != NULL) {
        add_job(path, data, (size_t)size, PIXELS, status);
      } else {
        way way;
        for (way = ENCODED; way < PIXELS; way++)
          add_job(path, data, (size_t)size, way, status);
      }
    }
    free(entries[i]);
  }
  free(entries);
}

static liveness_engine *engines[HANDLES];

static int32_t check(const job *job, const liveness_engine *engine, liveness_result *result)
{
  char *json = NULL;
  int32_t status;
  switch (job->way) {
  case ENCODED: return liveness_check(engine, job->data, job->len, result);
  case BASE64: return liveness_check_base64(engine, job->text, strlen(job->text), result);
  case FROM_DISK: return liveness_check_file(engine, job->path, result);
  case PIXELS: return liveness_check_pixels(engine, &job->pixels, result);
  default: break;
  }
  status = liveness_check_json(engine, job->data, job->len, LIVENESS_JSON_DETAILS, &json);
  if (json == NULL || strstr(json, status == LIVENESS_OK ? "true" : "false") == NULL) return -1;
  liveness_string_free(json);
  *result = (liveness_result)LIVENESS_RESULT_INIT;
  return status;
}

static const size_t UP_TO_TIMINGS = offsetof(liveness_result, decode_ms);

/* The files are made for a limit of a mebibyte. */
static liveness_config small_files(void)
{
  liveness_config config = LIVENESS_CONFIG_INIT;
  config.max_file_bytes = 1 << 20;
  return config;
}

/* What every job says, once, alone. One handle calls each picture live, the other an attack. */
static void learn(void)
{
  static const float thresholds[HANDLES] = {1e-6f, 1 - 1e-6f};
  int kind, handle;
  size_t i;
  for (handle = 0; handle < HANDLES; handle++) {
    liveness_config config = small_files();
    config.threshold = thresholds[handle];
    if (liveness_init(&config, &engines[handle]) != LIVENESS_OK) fatal("no handle", "liveness_init");
  }
  for (kind = 0; kind < 4; kind++) {
    if (job_count[kind] == 0) fatal("no files for", "a kind of answer");
    for (i = 0; i < job_count[kind]; i++) {
      job *job = jobs[kind][i];
      for (handle = 0; handle < HANDLES; handle++) {
        liveness_result *result = &job->expected[handle];
        result->struct_size = sizeof *result;
        if (check(job, engines[handle], result) != job->status) fatal("wrong status", job->path);
        if (job->status == LIVENESS_OK && job->way != AS_JSON && result->liveness != (handle == 0))
          fatal("wrong verdict", job->path);
      }
    }
  }
}

static long next, last, wrong;

static void *work(void *unused)
{
  (void)unused;
  for (;;) {
    const long number = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
    const long round = number / SCHEDULED;
    int kind, handle;
    size_t turn;
    const job *job;
    liveness_result result = LIVENESS_RESULT_INIT;
    if (number >= last) return NULL;
    kind = SCHEDULE[number % SCHEDULED];
    turn = (size_t)(round * SCHEDULED + number % SCHEDULED);
    handle = (int)(round % HANDLES);
    job = jobs[kind][turn / 2 % job_count[kind]];
    if (check(job, engines[handle], &result) != job->status ||
        memcmp(&result, &job->expected[handle], UP_TO_TIMINGS) != 0) {
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
      fprintf(stderr, "check %ld says something else now: %s\n", number, job->path);
    }
  }
}

/* Goes on until `count` checks are done, on threads that end with it. */
static void go_on(long count, int threads)
{
  pthread_t ids[64];
  int i;
  last = count;
  next = next > count ? count : next;
  for (i = 0; i < threads; i++)
    if (pthread_create(&ids[i], NULL, work, NULL) != 0) fatal("no thread", "pthread_create");
  for (i = 0; i < threads; i++)
    pthread_join(ids[i], NULL);
  next = count;
}

static int soak_checks(const char *folder, long total, int threads)
{
  const double start = seconds();
  const long first = total / 3 < 1000 ? total / 3 : 1000;
  memory before, after;
  int i;
  if (threads < 1 || threads > 64 || total < 30) fatal("usage", "checks FOLDER CHECKS(30-) THREADS(1-64)");
  read_jobs(folder);
  learn();
  printf("%zu ways to a verdict, %zu to 052, %zu to 051, %zu to 002, 003 or 004; %d threads\n",
         job_count[0], job_count[1], job_count[2], job_count[3], threads);
  go_on(first, threads);
  before = measure();
  print("checks", first, before, start);
  after = before;
  for (i = 1; i <= 10; i++) {
    const long count = first + (total - first) * i / 10;
    go_on(count, threads);
    after = measure();
    print("checks", count, after, start);
  }
  for (i = 0; i < HANDLES; i++)
    liveness_free(engines[i]);
  printf("%ld wrong answers\n", wrong);
  return grew(before, after, total < LONG_CHECKS ? SHORT_RUN : 0) || wrong != 0;
}

static int soak_handles(const char *folder, long total)
{
  const liveness_config config = small_files();
  const double start = seconds();
  const long first = total / 2 < 100 ? total / 2 : 100;
  memory before = {0, 0, 0}, after;
  long i;
  read_jobs(folder);
  for (i = 1; i <= total; i++) {
    liveness_engine *engine = NULL;
    liveness_result result = LIVENESS_RESULT_INIT;
    const job *job = jobs[3][(size_t)i % job_count[3]];
    if (liveness_init(&config, &engine) != LIVENESS_OK) fatal("no handle", "liveness_init");
    if (job->way == ENCODED && check(job, engine, &result) != job->status)
      fatal("wrong status", job->path);
    liveness_free(engine);
    if (i == first) before = measure();
    if (i == first || i == total || i % (total / 4 + 1) == 0) print("handles", i, measure(), start);
  }
  after = measure();
  printf("%.2f ms for a handle, from liveness_init to liveness_free\n",
         (seconds() - start) / (double)total * 1e3);
  return grew(before, after, total < LONG_HANDLES ? SHORT_RUN : 0);
}

int main(int argc, char **argv)
{
  /* Threads would otherwise have arenas of their own, of which glibc keeps some megabytes or not as
     it comes; what the library holds would not show behind that. */
  mallopt(M_ARENA_MAX, 1);
  if (argc == 5 && strcmp(argv[1], "checks") == 0)
    return soak_checks(argv[2], atol(argv[3]), atoi(argv[4]));
  if (argc == 4 && strcmp(argv[1], "handles") == 0)
    return soak_handles(argv[2], atol(argv[3]));
  fprintf(stderr, "usage: soak checks FOLDER CHECKS THREADS | soak handles FOLDER HANDLES\n");
  return 2;
}
