// Says of each picture whether a live person is before the camera: check FILE...
#include "liveness.hpp"

#include <cstdlib>
#include <iostream>

int main(int argc, char **argv)
{
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " FILE...\n";
    return 2;
  }
  int worst = EXIT_SUCCESS;
  try {
    const liveness::Engine engine;
    for (int i = 1; i < argc; i++) {
      const auto outcome = engine.try_check_file(argv[i]);
      if (outcome.has_value()) {
        const liveness::Result &result = outcome.value();
        std::cout << argv[i] << ": " << (result.is_live() ? "live" : "attack") << ", score " << result.score << '\n';
      } else {
        std::cout << argv[i] << ": error " << outcome.error().code() << ": " << outcome.error().message() << '\n';
        std::cerr << argv[i] << ": " << outcome.error().reason() << '\n';
        worst = EXIT_FAILURE;
      }
    }
  } catch (const liveness::Error &error) {
    std::cerr << "cannot start: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
  return worst;
}
