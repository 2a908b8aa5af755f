/* Loads the shared library, uses it and unloads it, many times: reload LIBRARY IMAGE ROUNDS.

   Each round is a thread's: what the library keeps for a thread goes with the thread, and only then
   does the system unload it. With ONNX Runtime, which cannot be unloaded and calls back, it stays. */
#define _GNU_SOURCE

#include "liveness.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint32_t (*abi_version_function)(void);
typedef int32_t (*init_function)(const liveness_config *, liveness_engine **);
typedef int32_t (*check_file_function)(const liveness_engine *, const char *, liveness_result *);
typedef void (*free_function)(liveness_engine *);

typedef struct trial {
  void *library;
  const char *image;
  int whole;
  int32_t status;
  liveness_result result;
} trial;

static void fatal(const char *what)
{
  fprintf(stderr, "%s\n", what);
  exit(2);
}

/* ISO C has no cast from an object pointer to a function pointer. */
static void symbol(void *library, const char *name, void *function)
{
  void *address = dlsym(library, name);
  if (address == NULL) fatal(dlerror());
  memcpy(function, &address, sizeof address);
}

static void *use(void *argument)
{
  trial *self = argument;
  abi_version_function abi_version;
  init_function init;
  check_file_function check_file;
  free_function end;
  liveness_engine *engine = NULL;
  liveness_result none = LIVENESS_RESULT_INIT;
  symbol(self->library, "liveness_abi_version", &abi_version);
  symbol(self->library, "liveness_init", &init);
  symbol(self->library, "liveness_check_file", &check_file);
  symbol(self->library, "liveness_free", &end);
  if (abi_version() != LIVENESS_ABI_VERSION) fatal("another ABI version");
  if (init(NULL, &engine) != LIVENESS_OK) fatal("no handle");
  if (self->whole)
    self->status = check_file(engine, self->image, &self->result);
  /* Leaves a reason behind, which the end of the thread must free. */
  if (check_file(engine, "/missing", &none) != LIVENESS_ERROR_UNREADABLE_IMAGE) fatal("not 002");
  end(engine);
  return NULL;
}

static long resident_kilobytes(void)
{
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  malloc_trim(0);
  if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) fatal("no /proc/self/statm");
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static size_t allocated_bytes(void)
{
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

int main(int argc, char **argv)
{
  /* What is mapped comes and goes by megabytes with the library; what is allocated does not. */
  enum { SETTLED = 10, GROWTH_BYTES = 16 * 1024, GROWTH_KILOBYTES = 8 * 1024 };
  const char *onnxruntime = getenv("LIVENESS_ONNXRUNTIME");
  const int unloads = onnxruntime == NULL || *onnxruntime == '\0';
  long before = 0, after;
  size_t allocated = 0;
  int32_t first = -1;
  int round, rounds;
  if (argc != 4) fatal("usage: reload LIBRARY IMAGE ROUNDS");
  rounds = atoi(argv[3]);
  for (round = 1; round <= rounds; round++) {
    trial trial = {NULL, NULL, 0, -1, LIVENESS_RESULT_INIT};
    pthread_t thread;
    trial.image = argv[2];
    /* A whole check takes most of a round's time, and a handle tries its networks out anyway. */
    trial.whole = round % 10 == 1;
    trial.library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (trial.library == NULL) fatal(dlerror());
    if (pthread_create(&thread, NULL, use, &trial) != 0) fatal("no thread");
    if (pthread_join(thread, NULL) != 0) fatal("no end of the thread");
    if (round == 1) first = trial.status;
    if (trial.whole && (trial.status != first || trial.status == LIVENESS_ERROR_INTERNAL))
      fatal("another status");
    if (dlclose(trial.library) != 0) fatal(dlerror());
    if ((dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL) != unloads)
      fatal(unloads ? "it is still loaded" : "it is gone, and ONNX Runtime would call it");
    if (round == SETTLED) {
      before = resident_kilobytes();
      allocated = allocated_bytes();
    }
  }
  after = resident_kilobytes();
  printf("%d rounds, status %d each time, resident %ld kB after %d and %ld kB in the end\n", rounds,
         (int)first, before, SETTLED, after);
  if (rounds > SETTLED && allocated_bytes() > allocated + GROWTH_BYTES) fatal("memory was left behind");
  if (rounds > SETTLED && after > before + GROWTH_KILOBYTES) fatal("memory grew");
  return EXIT_SUCCESS;
}
