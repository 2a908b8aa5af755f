// What there is with exceptions. Argument: the portrait.
#include "liveness.hpp"

#include <thread>

#include "test.hpp"

bool can_make_a_logger_elsewhere();

using liveness::Engine;
using liveness::ErrorCode;

template <class Call> static void throws(ErrorCode expected, Call call)
{
  bool as_expected = false;
  try {
    call();
  } catch (const std::exception &caught) {
    const auto *error = dynamic_cast<const liveness::Error *>(&caught);
    as_expected = error != nullptr && error->kind() == expected && !error->reason().empty();
  }
  CHECK(as_expected);
}

static void failures_are_thrown(const Engine &engine)
{
  liveness::Config config;
  config.second_face_ratio = 7;
  throws(ErrorCode::bad_request, [&] { Engine broken(config); });
  throws(ErrorCode::unreadable_image, [&] { engine.check(std::string("no image")); });
  throws(ErrorCode::unreadable_image, [&] { engine.check_base64("*"); });
  throws(ErrorCode::unreadable_image, [&] { engine.check_file("/nonexistent.jpg"); });
  const std::vector<std::uint8_t> samples(300);
  const liveness::Pixels pixels{liveness::PixelFormat::rgb, samples, 100, 100};
  throws(ErrorCode::bad_request, [&] { engine.check_pixels(pixels); });
  const liveness::Pixels dark{liveness::PixelFormat::rgb, samples, 10, 10};
  throws(ErrorCode::face_count, [&] { engine.check_pixels(dark); });
}

static void a_function_that_throws_does_not_harm(const Engine &engine)
{
  int calls = 0;
  const liveness::Logger logger(liveness::LogLevel::debug, [&calls](liveness::LogLevel, std::string_view) {
    calls++;
    throw std::runtime_error("from the logger");
  });
  throws(ErrorCode::unreadable_image, [&] { engine.check(std::string("no image")); });
  CHECK(calls == 1);
}

static void a_program_has_one_logger()
{
  const liveness::Logger logger(liveness::LogLevel::debug, [](liveness::LogLevel, std::string_view) {});
  CHECK(!can_make_a_logger_elsewhere());
}

static void threads_share_an_engine(const Engine &engine, const std::string &portrait)
{
  const double score = engine.check_file(portrait).score;
  std::vector<double> scores(4);
  std::vector<std::thread> threads;
  for (double &own : scores)
    threads.emplace_back([&] { own = engine.check_file(portrait).score; });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(scores == std::vector<double>(4, score));
}

int main(int argc, char **argv)
{
  if (argc != 2)
    return 2;
  const std::string portrait = argv[1];
  const Engine engine;
  CHECK(engine.check_file(portrait).is_live());
  CHECK(engine.info().find("\"engine\":") != std::string::npos);
#if __cplusplus >= 202002L
  const Engine strict({.threshold = 0.9F});
  CHECK(strict.check_file(portrait).threshold > 0.89);
#endif
  failures_are_thrown(engine);
  a_function_that_throws_does_not_harm(engine);
  a_program_has_one_logger();
  CHECK(can_make_a_logger_elsewhere());
  threads_share_an_engine(engine, portrait);
  return finish("exceptions");
}
