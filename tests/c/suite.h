/* What the C tests share: checks that go on after a failure, and small files. */
#ifndef SUITE_H
#define SUITE_H

#include "liveness.h"

#include <stddef.h>
#include <stdint.h>

typedef struct test {
  const char *name;
  void (*run)(void);
} test;

extern const test interface_tests[];
extern const test verdict_tests[];
extern const test process_tests[];
extern const test thread_tests[];
extern const test memory_check_tests[];
extern const test panic_tests[];

/* Folder with the pictures that the Rust side drew. */
extern const char *images;

void check_true(int holds, const char *what, const char *file, int line);
void check_number(long long got, long long want, const char *what, const char *file, int line);
void check_text(const char *got, const char *want, const char *what, const char *file, int line);

#define CHECK(condition) check_true((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_NUMBER(got, want) \
  check_number((long long)(got), (long long)(want), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, want) check_text(got, want, #got, __FILE__, __LINE__)

/* The path of a picture; good until the next call of the same thread. */
const char *image_path(const char *name);

typedef struct bytes {
  uint8_t *data;
  size_t len;
} bytes;

/* A file's bytes, for free(). Ends the program where it cannot be read. */
bytes read_file(const char *path);

/* The bytes as base64 with padding, for free(). */
char *base64(bytes input);

/* A handle with all defaults. Ends the program where there is none. */
liveness_engine *default_engine(void);

/* A result of which every byte but struct_size is 0xff. */
liveness_result dirty_result(void);

/* Whether all of it but struct_size is zero. */
int is_zeroed(const liveness_result *result);

/* Whether two verdicts are the same to the last bit, timings apart. */
int same_verdict(const liveness_result *a, const liveness_result *b);

/* The contract's JSON for an error. */
const char *error_json(int32_t code);

#endif
