/* What the process around the library does to it: forks, signals, limits, wrong use. */
#define _GNU_SOURCE

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

/* A path of its own, because image_path gives one at a time. */
static char face_path[4096];

static liveness_result verdict_on_face(const liveness_engine *engine)
{
  liveness_result result = LIVENESS_RESULT_INIT;
  strncpy(face_path, image_path("face.png"), sizeof face_path - 1);
  CHECK_NUMBER(liveness_check_file(engine, face_path, &result), LIVENESS_OK);
  return result;
}

/* Whether a check says what it said before; usable in a child, where no CHECK is heard. */
static int says_the_same(const liveness_engine *engine, const liveness_result *expected)
{
  liveness_result result = dirty_result();
  return liveness_check_file(engine, face_path, &result) == LIVENESS_OK &&
         same_verdict(&result, expected);
}

static void wait_for_success(pid_t child)
{
  int status = -1;
  CHECK(child > 0);
  CHECK_NUMBER(waitpid(child, &status, 0), child);
  CHECK_NUMBER(status, 0);
}

enum { WORKERS = 3, PATIENCE = 300 };

/* The life of a worker of a pre-fork server: the inherited handle, one of its own, both freed. */
static int serve(liveness_engine *inherited, const liveness_result *expected)
{
  liveness_engine *own = NULL;
  if (!says_the_same(inherited, expected)) return 1;
  if (liveness_init(NULL, &own) != LIVENESS_OK) return 2;
  liveness_free(inherited);
  if (!says_the_same(own, expected)) return 3;
  liveness_free(own);
  return 0;
}

static void workers_of_a_pre_fork_server(void)
{
  liveness_engine *engine = default_engine();
  const liveness_result expected = verdict_on_face(engine);
  pid_t workers[WORKERS];
  int i;
  fflush(stdout);
  for (i = 0; i < WORKERS; i++) {
    workers[i] = fork();
    if (workers[i] == 0) {
      alarm(PATIENCE);
      _exit(serve(engine, &expected));
    }
  }
  /* The parent goes on, and what it frees is its own. */
  CHECK(says_the_same(engine, &expected));
  liveness_free(engine);
  for (i = 0; i < WORKERS; i++)
    wait_for_success(workers[i]);
}

/* Made in the parent, first used by the child of a child; and a process that never used it. */
static void forks_of_forks(void)
{
  liveness_engine *first = default_engine();
  const liveness_result expected = verdict_on_face(first);
  liveness_engine *unused = default_engine();
  pid_t child;
  fflush(stdout);
  child = fork();
  if (child == 0) {
    int status = -1;
    pid_t grandchild;
    alarm(PATIENCE);
    grandchild = fork();
    if (grandchild == 0) {
      alarm(PATIENCE);
      _exit(says_the_same(unused, &expected) && says_the_same(first, &expected) ? 0 : 1);
    }
    if (waitpid(grandchild, &status, 0) != grandchild || status != 0) _exit(2);
    _exit(says_the_same(unused, &expected) ? 0 : 3);
  }
  wait_for_success(child);
  liveness_free(unused);
  liveness_free(first);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
  (void)number;
  signals_seen++;
}

static void set_timers(long microseconds)
{
  struct itimerval timer;
  memset(&timer, 0, sizeof timer);
  timer.it_interval.tv_usec = microseconds;
  timer.it_value.tv_usec = microseconds;
  CHECK_NUMBER(setitimer(ITIMER_REAL, &timer, NULL), 0);
  CHECK_NUMBER(setitimer(ITIMER_PROF, &timer, NULL), 0);
}

static void check_in_a_storm(int flags)
{
  liveness_engine *engine = default_engine();
  liveness_engine *made_in_the_storm = NULL;
  const liveness_result expected = verdict_on_face(engine);
  struct sigaction action, old_alarm, old_profile;
  memset(&action, 0, sizeof action);
  action.sa_handler = count_signal;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  signals_seen = 0;
  CHECK_NUMBER(sigaction(SIGALRM, &action, &old_alarm), 0);
  CHECK_NUMBER(sigaction(SIGPROF, &action, &old_profile), 0);
  set_timers(1000);
  CHECK(says_the_same(engine, &expected));
  CHECK_NUMBER(liveness_init(NULL, &made_in_the_storm), LIVENESS_OK);
  CHECK(says_the_same(made_in_the_storm, &expected));
  set_timers(0);
  CHECK_NUMBER(sigaction(SIGALRM, &old_alarm, NULL), 0);
  CHECK_NUMBER(sigaction(SIGPROF, &old_profile, NULL), 0);
  CHECK(signals_seen > 10);
  liveness_free(made_in_the_storm);
  liveness_free(engine);
}

static void signals_do_not_matter(void)
{
  check_in_a_storm(SA_RESTART);
  check_in_a_storm(0);
}

/* The library leaves the host's handlers alone. */
static void signal_handlers_stay_the_hosts(void)
{
  static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPIPE, SIGALRM, SIGTERM};
  struct sigaction before[sizeof numbers / sizeof *numbers], after;
  stack_t stack_before, stack_after;
  size_t i;
  liveness_engine *engine;
  for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
    CHECK_NUMBER(sigaction(numbers[i], NULL, &before[i]), 0);
  CHECK_NUMBER(sigaltstack(NULL, &stack_before), 0);
  engine = default_engine();
  (void)verdict_on_face(engine);
  liveness_free(engine);
  for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    CHECK_NUMBER(sigaction(numbers[i], NULL, &after), 0);
    CHECK(after.sa_handler == before[i].sa_handler);
  }
  CHECK_NUMBER(sigaltstack(NULL, &stack_after), 0);
  CHECK(stack_after.ss_sp == stack_before.ss_sp);
}

/* The library's reads go through this one: a network file system may interrupt a read, or give
   less than was asked for; disks here do neither. */
static int reads_are_disturbed;
static long reads_disturbed;

ssize_t read(int descriptor, void *buffer, size_t size)
{
  if (reads_are_disturbed) {
    reads_disturbed++;
    if (reads_disturbed % 2 == 1) {
      errno = EINTR;
      return -1;
    }
    if (size > 4001) size = 4001;
  }
  return syscall(SYS_read, descriptor, buffer, size);
}

static void interrupted_reads_do_not_matter(void)
{
  liveness_engine *engine = default_engine();
  const liveness_result expected = verdict_on_face(engine);
  reads_disturbed = 0;
  reads_are_disturbed = 1;
  CHECK(says_the_same(engine, &expected));
  reads_are_disturbed = 0;
  CHECK(reads_disturbed > 10);
  liveness_free(engine);
}

static rlim_t limit(int resource, rlim_t value)
{
  struct rlimit limits;
  rlim_t before;
  CHECK_NUMBER(getrlimit(resource, &limits), 0);
  before = limits.rlim_cur;
  limits.rlim_cur = value;
  CHECK_NUMBER(setrlimit(resource, &limits), 0);
  return before;
}

static void no_file_descriptors_left(void)
{
  liveness_engine *engine = default_engine(), *other = NULL;
  const liveness_result expected = verdict_on_face(engine);
  liveness_result result = dirty_result();
  liveness_config config = LIVENESS_CONFIG_INIT;
  bytes file = read_file(face_path);
  rlim_t before;
  fflush(stdout);
  before = limit(RLIMIT_NOFILE, 0);
  CHECK_NUMBER(liveness_check_file(engine, face_path, &result), LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK(strstr(liveness_last_error(), "open files") != NULL);
  CHECK(is_zeroed(&result));
  CHECK_NUMBER(liveness_check(engine, file.data, file.len, &result), LIVENESS_OK);
  CHECK(same_verdict(&result, &expected));
  config.models_dir = images;
  CHECK_NUMBER(liveness_init(&config, &other), LIVENESS_ERROR_INTERNAL);
  CHECK(other == NULL);
  CHECK_NUMBER(liveness_init(NULL, &other), LIVENESS_OK);
  liveness_free(other);
  limit(RLIMIT_NOFILE, before);
  CHECK(says_the_same(engine, &expected));
  free(file.data);
  liveness_free(engine);
}

static long lines_lost;

static void log_to_a_full_disk(void *user, int32_t level, const char *message)
{
  const int descriptor = *(const int *)user;
  (void)level;
  if (write(descriptor, message, strlen(message)) < 0) lines_lost++;
}

/* The library writes nothing itself, so a full disk is its host's affair. */
static void no_space_left(void)
{
  liveness_engine *engine = default_engine();
  const liveness_result expected = verdict_on_face(engine);
  int full = open("/dev/full", O_WRONLY);
  void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
  rlim_t before;
  CHECK(full >= 0);
  fflush(stdout);
  before = limit(RLIMIT_FSIZE, 0);
  lines_lost = 0;
  CHECK_NUMBER(liveness_set_log_callback(log_to_a_full_disk, &full, LIVENESS_LOG_DEBUG),
               LIVENESS_OK);
  CHECK(says_the_same(engine, &expected));
  liveness_free(engine);
  engine = default_engine();
  CHECK(says_the_same(engine, &expected));
  CHECK_NUMBER(liveness_set_log_callback(NULL, NULL, LIVENESS_LOG_OFF), LIVENESS_OK);
  limit(RLIMIT_FSIZE, before);
  signal(SIGXFSZ, old);
  CHECK(lines_lost >= 3);
  close(full);
  liveness_free(engine);
}

#ifndef UNDER_SANITIZER
/* Bytes of address space that this process has. */
static rlim_t address_space(void)
{
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
  if (file != NULL) fclose(file);
  return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

enum { LARGE = 6000 };

static void no_memory_left(void)
{
  liveness_engine *engine = default_engine();
  const liveness_result expected = verdict_on_face(engine);
  liveness_result result = dirty_result();
  liveness_pixels pixels = LIVENESS_PIXELS_INIT;
  char large_png[4096];
  const size_t len = (size_t)LARGE * LARGE;
  uint8_t *grey = malloc(len);
  rlim_t before;
  if (grey == NULL) exit(2);
  memset(grey, 0x80, len);
  strncpy(large_png, image_path("large.png"), sizeof large_png - 1);
  pixels.format = LIVENESS_PIXELS_GRAY;
  pixels.data = grey;
  pixels.len = len;
  pixels.width = LARGE;
  pixels.height = LARGE;
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &result), LIVENESS_ERROR_FACE_COUNT);
  CHECK_NUMBER(liveness_check_file(engine, large_png, &result), LIVENESS_ERROR_FACE_COUNT);
  fflush(stdout);
  before = limit(RLIMIT_AS, address_space() + ((rlim_t)96 << 20));
  result = dirty_result();
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &result), LIVENESS_ERROR_INTERNAL);
  CHECK(strstr(liveness_last_error(), "memory") != NULL);
  CHECK(is_zeroed(&result));
  result = dirty_result();
  CHECK_NUMBER(liveness_check_file(engine, large_png, &result), LIVENESS_ERROR_INTERNAL);
  CHECK(strstr(liveness_last_error(), "memory") != NULL);
  CHECK(is_zeroed(&result));
  CHECK(says_the_same(engine, &expected));
  limit(RLIMIT_AS, before);
  CHECK_NUMBER(liveness_check_pixels(engine, &pixels, &result), LIVENESS_ERROR_FACE_COUNT);
  free(grey);
  liveness_free(engine);
}

static void no_memory_for_a_handle(void)
{
  rlim_t room;
  int made = 0;
  for (room = 0; room <= 128; room += 4) {
    liveness_engine *engine = NULL;
    const rlim_t before = limit(RLIMIT_AS, address_space() + (room << 20));
    const int32_t status = liveness_init(NULL, &engine);
    limit(RLIMIT_AS, before);
    if (status == LIVENESS_OK) {
      made++;
    } else {
      CHECK_NUMBER(status, LIVENESS_ERROR_INTERNAL);
      CHECK(strstr(liveness_last_error(), "memory") != NULL);
      CHECK(engine == NULL);
    }
    CHECK(room > 0 || made == 0);
    liveness_free(engine);
  }
  CHECK(made > 0);
}
#endif

/* Runs what a host must not do in a child, whose standard error is caught. */
typedef struct ending {
  int status;
  char said[512];
} ending;

static ending end_of(void (*wrong)(void))
{
  ending end;
  int ends[2];
  size_t len = 0;
  ssize_t got;
  pid_t child;
  memset(&end, 0, sizeof end);
  end.status = -1;
  CHECK_NUMBER(pipe(ends), 0);
  fflush(stdout);
  child = fork();
  if (child == 0) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(PATIENCE);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    wrong();
    _exit(0);
  }
  close(ends[1]);
  while (len < sizeof end.said - 1 &&
         (got = read(ends[0], end.said + len, sizeof end.said - 1 - len)) > 0)
    len += (size_t)got;
  close(ends[0]);
  CHECK_NUMBER(waitpid(child, &end.status, 0), child);
  return end;
}

/* A debug build aborts and says why; a release build goes on. */
static void expect_misuse(void (*wrong)(void), const char *message)
{
  const ending end = end_of(wrong);
  const int aborted = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT;
#ifdef LIBRARY_IS_DEBUG_BUILD
  CHECK_NUMBER(aborted, LIBRARY_IS_DEBUG_BUILD);
#endif
  if (aborted) {
    CHECK(strstr(end.said, message) != NULL);
  } else {
    CHECK_NUMBER(end.status, 0);
    CHECK_TEXT(end.said, "");
  }
}

static void free_twice(void)
{
  liveness_engine *engine = default_engine();
  liveness_result result = LIVENESS_RESULT_INIT;
  liveness_free(engine);
  liveness_free(engine);
  if (liveness_check(engine, (const uint8_t *)"x", 1, &result) != LIVENESS_ERROR_BAD_REQUEST)
    _exit(1);
}

static void free_what_is_no_handle(void)
{
  int object = 0;
  liveness_free((liveness_engine *)(void *)&object);
}

typedef struct user {
  pthread_t thread;
  liveness_engine *engine;
  int ready[2];
  int32_t status;
} user;

static void tell_and_wait(void *argument, int32_t level, const char *message)
{
  user *self = argument;
  char byte = 0;
  (void)level;
  (void)message;
  /* Inside the call: once told, the other thread frees the handle. */
  if (write(self->ready[1], &byte, 1) == 1) usleep(200000);
}

static void *use_while_it_is_freed(void *argument)
{
  user *self = argument;
  liveness_result result = LIVENESS_RESULT_INIT;
  self->status = liveness_check_file(self->engine, image_path("face.png"), &result);
  return NULL;
}

static void free_in_use(void)
{
  static user self;
  liveness_result result = LIVENESS_RESULT_INIT;
  char byte;
  self.engine = default_engine();
  if (pipe(self.ready) != 0) _exit(10);
  if (liveness_set_log_callback(tell_and_wait, &self, LIVENESS_LOG_DEBUG) != LIVENESS_OK) _exit(11);
  if (pthread_create(&self.thread, NULL, use_while_it_is_freed, &self) != 0) _exit(12);
  if (read(self.ready[0], &byte, 1) != 1) _exit(13);
  liveness_free(self.engine);
  if (pthread_join(self.thread, NULL) != 0) _exit(14);
  if (self.status != LIVENESS_OK) _exit(15);
  if (liveness_check(self.engine, (const uint8_t *)"x", 1, &result) != LIVENESS_ERROR_BAD_REQUEST)
    _exit(16);
}

static void wrong_frees_are_noticed(void)
{
  expect_misuse(free_twice, "liveness_free: this handle is not open");
  expect_misuse(free_what_is_no_handle, "liveness_free: this handle is not open");
  expect_misuse(free_in_use, "liveness_free: another thread is inside a call");
}

/* No later handle is taken for one that was freed. */
static void a_freed_handle_is_004_for_ever(void)
{
  liveness_engine *old = default_engine(), *engine;
  liveness_result result = dirty_result();
  char *json = NULL;
  int i;
  liveness_free(old);
  for (i = 0; i < 3; i++) {
    engine = default_engine();
    CHECK(engine != old);
    CHECK_NUMBER(liveness_check(old, (const uint8_t *)"x", 1, &result), LIVENESS_ERROR_BAD_REQUEST);
    CHECK(is_zeroed(&result));
    CHECK(strstr(liveness_last_error(), "not open") != NULL);
    liveness_free(engine);
  }
  CHECK_NUMBER(liveness_check_json(old, (const uint8_t *)"x", 1, 0, &json),
               LIVENESS_ERROR_BAD_REQUEST);
  CHECK_TEXT(json, error_json(LIVENESS_ERROR_BAD_REQUEST));
  liveness_string_free(json);
  json = (char *)(void *)&result;
  CHECK_NUMBER(liveness_info_json(old, &json), LIVENESS_ERROR_BAD_REQUEST);
  CHECK(json == NULL);
}

const test process_tests[] = {
    {"workers_of_a_pre_fork_server", workers_of_a_pre_fork_server},
    {"forks_of_forks", forks_of_forks},
    {"signals_do_not_matter", signals_do_not_matter},
    {"signal_handlers_stay_the_hosts", signal_handlers_stay_the_hosts},
    {"interrupted_reads_do_not_matter", interrupted_reads_do_not_matter},
    {"no_file_descriptors_left", no_file_descriptors_left},
    {"no_space_left", no_space_left},
#ifndef UNDER_SANITIZER
    {"no_memory_left", no_memory_left},
    {"no_memory_for_a_handle", no_memory_for_a_handle},
#endif
    {"wrong_frees_are_noticed", wrong_frees_are_noticed},
    {"a_freed_handle_is_004_for_ever", a_freed_handle_is_004_for_ever},
    {NULL, NULL},
};
