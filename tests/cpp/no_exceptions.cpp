// What there is without exceptions; also built with them. Arguments: portrait, folder of inputs.
#include "liveness.hpp"

#include <type_traits>

#include "test.hpp"

liveness::Engine make_engine_elsewhere();
bool is_live_elsewhere(const liveness::Engine &engine, const std::string &path);

using liveness::Engine;
using liveness::ErrorCode;

static_assert(!std::is_copy_constructible_v<Engine> && !std::is_copy_assignable_v<Engine>);
static_assert(std::is_nothrow_move_constructible_v<Engine> && std::is_nothrow_move_assignable_v<Engine>);
static_assert(!std::is_convertible_v<liveness::Result, bool>);
static_assert(!std::is_constructible_v<bool, liveness::Result>);
static_assert(!std::is_constructible_v<bool, liveness::Outcome<liveness::Result>>);
static_assert(!std::is_convertible_v<liveness::Verdict, bool>);
static_assert(!std::is_convertible_v<liveness::Verdict, int>);
static_assert(!liveness::Result().is_live());
static_assert(std::is_nothrow_copy_constructible_v<liveness::Error>);
static_assert(!std::is_constructible_v<liveness::Bytes, const char *>);
static_assert(!std::is_constructible_v<liveness::Bytes, std::u16string>);
static_assert(!std::is_constructible_v<liveness::KeptBytes, std::string>);
static_assert(!std::is_constructible_v<liveness::KeptBytes, const std::vector<char>>);
static_assert(!std::is_constructible_v<liveness::KeptBytes, std::array<std::uint8_t, 3>>);
static_assert(std::is_constructible_v<liveness::KeptBytes, std::string &>);
static_assert(std::is_constructible_v<liveness::KeptBytes, const std::vector<char> &>);
static_assert(std::is_constructible_v<liveness::KeptBytes, std::string_view>);
static_assert(std::is_constructible_v<liveness::KeptBytes, liveness::Bytes>);
static_assert(!std::is_constructible_v<liveness::KeptBytes, std::u16string &>);

static void errors_are_outcomes(const Engine &engine)
{
  const liveness::Outcome<liveness::Result> outcome = engine.try_check(std::string_view("no image"));
  CHECK(!outcome.has_value());
  CHECK(!outcome.is_live());
  const liveness::Error error = outcome.error();
  CHECK(error.kind() == ErrorCode::unreadable_image);
  CHECK(error.code() == "002");
  CHECK(error.message() == "Error reading image, please check the request format.");
  CHECK(!error.reason().empty());
  CHECK(std::string(error.what()) ==
        "002: Error reading image, please check the request format. (" + std::string(error.reason()) + ")");
  CHECK(liveness::Error(ErrorCode::internal, "").reason().empty());
  CHECK(std::string(liveness::Error(ErrorCode::internal, "").what()) ==
        "005: Server internal error, please try again.");
  CHECK(error.reasons() == 0 && error.reason_names().empty() && error.faces() == 0);
}

/* what() ends at a NUL, behind which a reason of the stated length would be looked for. */
static void a_reason_with_nuls_is_told_without_them()
{
  const liveness::Error broken(ErrorCode::internal, std::string_view("one\0two\0", 8));
  CHECK(broken.reason() == "onetwo");
  CHECK(std::string(broken.what()) == "005: Server internal error, please try again. (onetwo)");
  const liveness::Error empty(ErrorCode::internal, std::string_view("\0\0\0", 3));
  CHECK(empty.reason().empty());
  CHECK(std::string(empty.what()) == "005: Server internal error, please try again.");
}

static void an_invalid_configuration_is_004()
{
  liveness::Config config;
  config.threshold = 2;
  const auto outcome = Engine::try_create(config);
  CHECK(!outcome.has_value() && outcome.error().kind() == ErrorCode::bad_request);
  CHECK(outcome.error().reason().find("threshold") != std::string_view::npos);
  config = liveness::Config();
  config.models_dir = std::string("models\0other", 12);
  CHECK(Engine::try_create(config).error().kind() == ErrorCode::bad_request);
  config.models_dir = "/nonexistent";
  CHECK(Engine::try_create(config).error().kind() == ErrorCode::internal);
}

static void nothing_is_unreadable_and_not_null(const Engine &engine)
{
  CHECK(engine.try_check({nullptr, 0}).error().kind() == ErrorCode::unreadable_image);
  CHECK(engine.try_check(std::vector<std::uint8_t>()).error().kind() == ErrorCode::unreadable_image);
  CHECK(engine.try_check_base64({}).error().kind() == ErrorCode::unreadable_image);
  CHECK(engine.try_check({nullptr, 1}).error().kind() == ErrorCode::bad_request);
  const std::string path("portrait\0.png", 13);
  CHECK(engine.try_check_file(path).error().kind() == ErrorCode::unreadable_image);
  const liveness::Json json = engine.check_file_json(path);
  CHECK(json.status == LIVENESS_ERROR_UNREADABLE_IMAGE);
  CHECK(json.text == engine.check_json({nullptr, 0}).text);
  const std::string with_details = engine.check_file_json(path, liveness::Details::yes).text;
  CHECK(with_details == json.text.substr(0, json.text.size() - 1) +
                            ",\"details\":{\"reason\":\"the path holds a NUL, so no file can have it\"}}");
}

static void a_moved_engine_refuses(const std::string &portrait)
{
  Engine engine = make_engine_elsewhere();
  CHECK(is_live_elsewhere(engine, portrait));
  Engine other = std::move(engine);
  CHECK(is_live_elsewhere(other, portrait));
  CHECK(engine.c_handle() == nullptr); // NOLINT: what a moved engine does is the question.
  CHECK(!is_live_elsewhere(engine, portrait));
  CHECK(engine.try_check_file(portrait).error().kind() == ErrorCode::bad_request);
  CHECK(engine.check_file_json(portrait).status == LIVENESS_ERROR_BAD_REQUEST);
  engine = std::move(other);
  CHECK(is_live_elsewhere(engine, portrait));
}

static void every_way_in_says_the_same(const Engine &engine, const std::string &inputs)
{
  const std::string file = read_file(inputs + "/png-rgb.png");
  const auto verdict = engine.try_check(file).value();
  CHECK(verdict.is_live() && verdict.verdict == liveness::Verdict::live);
  CHECK(verdict.score == verdict.live_probability && verdict.score >= verdict.threshold);
  CHECK(verdict.faces == 1 && verdict.face.width > 50 && verdict.face.landmarks[0].x < verdict.face.landmarks[1].x);
  CHECK(verdict.timings.total.count() > 0);
  CHECK(verdict.reason_names().empty());
  const std::vector<unsigned char> bytes(file.begin(), file.end());
  CHECK(engine.try_check(bytes).value().score == verdict.score);
  CHECK(engine.try_check({bytes.data(), bytes.size()}).value().score == verdict.score);
  CHECK(engine.try_check_base64(read_file(inputs + "/standard.base64")).value().score == verdict.score);
  const std::string samples = read_file(inputs + "/pixels.bgr");
  const liveness::Pixels pixels{liveness::PixelFormat::bgr, samples, 512, 512};
  CHECK(engine.try_check_pixels(pixels).value().score == verdict.score);
}

/* A call between two results, so that the second one finds the stack as the first one left it. */
static void results_held_by_reference_live_on(const Engine &engine, const std::string &inputs)
{
  const liveness::Result &attack = engine.try_check_file(inputs + "/print-attack.jpg").value();
  const liveness::Result &live = engine.try_check_file(inputs + "/png-rgb.png").value();
  const liveness::Error &error = engine.try_check_file("/nonexistent.jpg").error();
  CHECK(!attack.is_live() && live.is_live() && attack.score > 0.5);
  CHECK(error.kind() == ErrorCode::unreadable_image && !error.reason().empty());
}

static void an_attack_is_a_value_and_not_live(const Engine &engine, const std::string &inputs)
{
  const auto outcome = engine.try_check_file(inputs + "/print-attack.jpg");
  CHECK(outcome.has_value());
  CHECK(!outcome.is_live());
  CHECK(outcome.value().verdict == liveness::Verdict::attack);
  CHECK(outcome.value().score > 0.5);
}

static void quality_has_reasons(const Engine &engine, const std::string &inputs)
{
  const auto result = engine.try_check_file(inputs + "/small-face.png").value();
  CHECK((result.reasons & LIVENESS_REASON_FACE_TOO_SMALL) != 0);
  bool named = false;
  for (const std::string_view name : result.reason_names())
    named = named || name == "face_too_small";
  CHECK(named);
}

static void a_refused_image_says_why(const Engine &engine, const std::string &inputs)
{
  const auto refused = [&](const char *name, ErrorCode kind, std::uint64_t reasons, std::uint32_t faces) {
    const liveness::Error error = engine.try_check_file(inputs + "/" + name).error();
    CHECK(error.kind() == kind && error.reasons() == reasons && error.faces() == faces);
    CHECK(error.reason_names() == std::vector<std::string_view>{liveness_reason_name(reasons)});
  };
  refused("no-face.jpg", ErrorCode::face_count, LIVENESS_REASON_NO_FACE, 0);
  refused("two-faces.jpg", ErrorCode::face_count, LIVENESS_REASON_SEVERAL_FACES, 2);
  refused("mask.png", ErrorCode::mask_detected, LIVENESS_REASON_FACE_MASK, 1);
}

static void log_lines_arrive_while_the_logger_lives(const Engine &engine)
{
  std::vector<std::string> lines;
  const auto note = [&lines](liveness::LogLevel, std::string_view line) { lines.emplace_back(line); };
  {
    const auto logger = liveness::Logger::try_create(liveness::LogLevel::debug, note);
    CHECK(logger.has_value());
    CHECK(liveness::Logger::try_create(liveness::LogLevel::debug, note).error().kind() == ErrorCode::bad_request);
    CHECK(!engine.try_check(std::string_view("no image")).has_value());
    CHECK(lines.size() == 1);
  }
  CHECK(!engine.try_check(std::string_view("no image")).has_value());
  CHECK(lines.size() == 1);
  CHECK(liveness::Logger::try_create(liveness::LogLevel::debug, {}).error().kind() == ErrorCode::bad_request);
  CHECK(liveness::Logger::try_create(liveness::LogLevel::debug, note).has_value());
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return 2;
  const std::string portrait = argv[1], inputs = argv[2];
  const Engine engine = make_engine_elsewhere();
  CHECK(engine.try_info().value().find("\"models\":") != std::string::npos);
  CHECK(liveness::version() == EXPECTED_VERSION);
  errors_are_outcomes(engine);
  a_reason_with_nuls_is_told_without_them();
  an_invalid_configuration_is_004();
  nothing_is_unreadable_and_not_null(engine);
  a_moved_engine_refuses(portrait);
  every_way_in_says_the_same(engine, inputs);
  results_held_by_reference_live_on(engine, inputs);
  an_attack_is_a_value_and_not_live(engine, inputs);
  quality_has_reasons(engine, inputs);
  a_refused_image_says_why(engine, inputs);
  log_lines_arrive_while_the_logger_lives(engine);
  return finish("no_exceptions");
}
