#define _POSIX_C_SOURCE 200809L

#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *images;

static int passed, failed;

void check_true(int holds, const char *what, const char *file, int line)
{
  if (holds) {
    passed++;
  } else {
    failed++;
    fprintf(stdout, "%s:%d: not so: %s (last error: %s)\n", file, line, what, liveness_last_error());
  }
}

void check_number(long long got, long long want, const char *what, const char *file, int line)
{
  if (got == want) {
    passed++;
  } else {
    failed++;
    fprintf(stdout, "%s:%d: %s is %lld, not %lld (last error: %s)\n", file, line, what, got, want,
            liveness_last_error());
  }
}

void check_text(const char *got, const char *want, const char *what, const char *file, int line)
{
  if (got != NULL && strcmp(got, want) == 0) {
    passed++;
  } else {
    failed++;
    fprintf(stdout, "%s:%d: %s is\n  %s\nnot\n  %s\n", file, line, what, got ? got : "(null)", want);
  }
}

static void fatal(const char *what, const char *which)
{
  fprintf(stdout, "%s: %s (last error: %s)\n", what, which, liveness_last_error());
  exit(2);
}

const char *image_path(const char *name)
{
  static char path[4096];
  int len = snprintf(path, sizeof path, "%s/%s", images, name);
  if (len < 0 || (size_t)len >= sizeof path)
    fatal("path too long", name);
  return path;
}

bytes read_file(const char *path)
{
  bytes file = {NULL, 0};
  FILE *stream = fopen(path, "rb");
  long size;
  if (stream == NULL || fseek(stream, 0, SEEK_END) != 0 || (size = ftell(stream)) < 0)
    fatal("cannot open", path);
  rewind(stream);
  file.len = (size_t)size;
  file.data = malloc(file.len + 1);
  if (file.data == NULL || fread(file.data, 1, file.len, stream) != file.len)
    fatal("cannot read", path);
  fclose(stream);
  return file;
}

char *base64(bytes input)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *text = malloc((input.len + 2) / 3 * 4 + 1);
  size_t in, out = 0;
  if (text == NULL)
    fatal("no memory", "base64");
  for (in = 0; in < input.len; in += 3) {
    size_t left = input.len - in;
    uint32_t bits = (uint32_t)input.data[in] << 16;
    if (left > 1) bits |= (uint32_t)input.data[in + 1] << 8;
    if (left > 2) bits |= input.data[in + 2];
    text[out++] = letters[bits >> 18];
    text[out++] = letters[bits >> 12 & 63];
    text[out++] = left > 1 ? letters[bits >> 6 & 63] : '=';
    text[out++] = left > 2 ? letters[bits & 63] : '=';
  }
  text[out] = '\0';
  return text;
}

liveness_engine *default_engine(void)
{
  liveness_engine *engine = NULL;
  if (liveness_init(NULL, &engine) != LIVENESS_OK || engine == NULL)
    fatal("no handle", "liveness_init");
  return engine;
}

liveness_result dirty_result(void)
{
  liveness_result result = LIVENESS_RESULT_INIT;
  memset((char *)&result + sizeof(uint32_t), 0xff, sizeof result - sizeof(uint32_t));
  return result;
}

int is_zeroed(const liveness_result *result)
{
  const liveness_result zero = LIVENESS_RESULT_INIT;
  return memcmp(result, &zero, sizeof zero) == 0;
}

int same_verdict(const liveness_result *a, const liveness_result *b)
{
  return memcmp(a, b, offsetof(liveness_result, decode_ms)) == 0;
}

const char *error_json(int32_t code)
{
  static char json[256];
  snprintf(json, sizeof json, "{\"success\":false,\"error_code\":\"%s\",\"error_message\":\"%s\"}",
           liveness_error_code_string(code), liveness_error_message(code));
  return json;
}

static int run(const test *tests)
{
  for (; tests->name != NULL; tests++) {
    int before = failed;
    tests->run();
    fprintf(stdout, "%s %s\n", failed == before ? "ok    " : "FAILED", tests->name);
    fflush(stdout);
  }
  fprintf(stdout, "%d checks held, %d did not\n", passed, failed);
  return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
  static const struct {
    const char *name;
    const test *tests;
  } groups[] = {{"interface", interface_tests}, {"verdicts", verdict_tests},
                {"process", process_tests},     {"threads", thread_tests},
                {"memcheck", memory_check_tests}, {"panic", panic_tests}};
  size_t i;
  if (argc != 3) {
    fprintf(stderr, "usage: suite GROUP FOLDER\n");
    return 2;
  }
  images = argv[2];
  for (i = 0; i < sizeof groups / sizeof *groups; i++)
    if (strcmp(argv[1], groups[i].name) == 0)
      return run(groups[i].tests);
  fprintf(stderr, "no such group: %s\n", argv[1]);
  return 2;
}
