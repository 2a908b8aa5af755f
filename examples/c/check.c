/* Says of each picture whether a live person is before the camera: check FILE... */
#include "liveness.h"

#include <stdio.h>
#include <stdlib.h>

static int check(const liveness_engine *engine, const char *path)
{
  liveness_result result = LIVENESS_RESULT_INIT;
  int32_t status = liveness_check_file(engine, path, &result);
  if (status != LIVENESS_OK) {
    printf("%s: error %s: %s\n", path, liveness_error_code_string(status),
           liveness_error_message(status));
    fprintf(stderr, "%s: %s\n", path, liveness_last_error());
    return EXIT_FAILURE;
  }
  printf("%s: %s (score %.4f)\n", path, result.liveness ? "live" : "attack", result.score);
  return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
  liveness_engine *engine = NULL;
  int worst = EXIT_SUCCESS;
  if (argc < 2) {
    fprintf(stderr, "usage: %s FILE...\n", argv[0]);
    return 2;
  }
  if (liveness_init(NULL, &engine) != LIVENESS_OK) {
    fprintf(stderr, "cannot start: %s\n", liveness_last_error());
    return EXIT_FAILURE;
  }
  for (int i = 1; i < argc; i++)
    if (check(engine, argv[i]) != EXIT_SUCCESS)
      worst = EXIT_FAILURE;
  liveness_free(engine);
  return worst;
}
