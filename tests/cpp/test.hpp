// What the C++ tests share: a CHECK that goes on, and files.
#ifndef LIVENESS_TEST_HPP
#define LIVENESS_TEST_HPP

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

inline int checks = 0;
inline int failures = 0;

inline void check(bool holds, const char *what, const char *file, int line)
{
  checks++;
  if (!holds) {
    failures++;
    std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  }
}

#define CHECK(...) check((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

inline std::string read_file(const std::string &path)
{
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "%s cannot be read\n", path.c_str());
    std::exit(2);
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/** For main: says how many checks there were, and whether all held. */
inline int finish(const char *name)
{
  std::printf("%s: %d checks, %d failed\n", name, checks, failures);
  return checks > 0 && failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
