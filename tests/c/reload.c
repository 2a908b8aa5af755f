/* Loads the shared library, uses it and unloads it, many times: reload LIBRARY IMAGE. */
#define _POSIX_C_SOURCE 200809L

#include "liveness.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20 };

typedef uint32_t (*abi_version_function)(void);
typedef int32_t (*init_function)(const liveness_config *, liveness_engine **);
typedef int32_t (*check_file_function)(const liveness_engine *, const char *, liveness_result *);
typedef void (*free_function)(liveness_engine *);

/* ISO C has no cast from an object pointer to a function pointer. */
static void symbol(void *library, const char *name, void *function)
{
  void *address = dlsym(library, name);
  if (address == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  memcpy(function, &address, sizeof address);
}

int main(int argc, char **argv)
{
  int round;
  int32_t first = -1;
  if (argc != 3)
    return 2;
  for (round = 0; round < ROUNDS; round++) {
    abi_version_function abi_version;
    init_function init;
    check_file_function check_file;
    free_function end;
    liveness_engine *engine = NULL;
    liveness_result result = LIVENESS_RESULT_INIT;
    int32_t status;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 2;
    }
    symbol(library, "liveness_abi_version", &abi_version);
    symbol(library, "liveness_init", &init);
    symbol(library, "liveness_check_file", &check_file);
    symbol(library, "liveness_free", &end);
    if (abi_version() != LIVENESS_ABI_VERSION)
      return 3;
    if (init(NULL, &engine) != LIVENESS_OK)
      return 4;
    status = check_file(engine, argv[2], &result);
    end(engine);
    if (round == 0)
      first = status;
    if (status != first || status == LIVENESS_ERROR_INTERNAL)
      return 5;
    if (dlclose(library) != 0)
      return 6;
  }
  printf("%d rounds, status %d each time\n", ROUNDS, (int)first);
  return EXIT_SUCCESS;
}
