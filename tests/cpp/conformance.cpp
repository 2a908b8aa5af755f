// Sends the requests of tests/conformance/cases.json through liveness.hpp and demands the answers of
// the reference. Arguments: cases.json, the folder that `cargo test --test conformance` has written.
#include "liveness.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "test.hpp"

using nlohmann::json;

static bool is_for_us(const json &table, const json &request)
{
  const json &surfaces =
      request.contains("surfaces") ? request["surfaces"] : table["surfaces"][request["send"].get<std::string>()];
  return std::find(surfaces.begin(), surfaces.end(), "cpp") != surfaces.end();
}

static liveness::Config config_of(const json &request)
{
  static const std::set<std::string> known{"threshold",      "mask_threshold", "second_face_ratio", "strict_quality",
                                           "max_file_bytes", "max_pixels",     "max_side",          "time_limit_ms"};
  const json options = request.value("config", json::object());
  for (const auto &[name, value] : options.items())
    CHECK(known.count(name) == 1);
  liveness::Config config;
  config.threshold = options.value("threshold", config.threshold);
  config.mask_threshold = options.value("mask_threshold", config.mask_threshold);
  config.second_face_ratio = options.value("second_face_ratio", config.second_face_ratio);
  config.strict_quality = options.value("strict_quality", config.strict_quality);
  config.max_file_bytes = options.value("max_file_bytes", config.max_file_bytes);
  config.max_pixels = options.value("max_pixels", config.max_pixels);
  config.max_side = options.value("max_side", config.max_side);
  config.time_limit = std::chrono::milliseconds(options.value("time_limit_ms", std::int64_t{0}));
  return config;
}

static liveness::Pixels pixels_of(const json &layout, const std::string &samples)
{
  using liveness::PixelFormat;
  static const std::map<std::string, PixelFormat> formats{
      {"rgb", PixelFormat::rgb},   {"bgr", PixelFormat::bgr},   {"rgba", PixelFormat::rgba},
      {"bgra", PixelFormat::bgra}, {"gray", PixelFormat::gray}, {"nv12", PixelFormat::nv12},
      {"nv21", PixelFormat::nv21}, {"i420", PixelFormat::i420}};
  return {formats.at(layout["format"]), samples, layout["width"], layout["height"], layout["stride"],
          layout["orientation"]};
}

static std::string without_timings(std::string text)
{
  const std::size_t begin = text.find(",\"timings_ms\":{");
  if (begin != std::string::npos)
    text.erase(begin, text.find('}', begin) + 1 - begin);
  return text;
}

static liveness::Json answer(const liveness::Engine &engine, const json &request, const std::string &path)
{
  const std::string send = request["send"];
  const auto details = request.value("details", false) ? liveness::Details::yes : liveness::Details::no;
  if (send == "path")
    return engine.check_file_json(path, details);
  const std::string input = read_file(path);
  if (send == "encoded")
    return engine.check_json(input, details);
  if (send == "base64")
    return engine.check_base64_json(input, details);
  return engine.check_pixels_json(pixels_of(request["pixels"], input), details);
}

/** The verdict without JSON says the same. */
static std::string outcome(const liveness::Engine &engine, const json &request, const std::string &path)
{
  const std::string send = request["send"];
  const std::string input = send == "path" ? "" : read_file(path);
  const auto result = send == "path"      ? engine.try_check_file(path)
                      : send == "encoded" ? engine.try_check(input)
                      : send == "base64"  ? engine.try_check_base64(input)
                                          : engine.try_check_pixels(pixels_of(request["pixels"], input));
  if (!result.has_value())
    return std::string(result.error().code());
  return result.is_live() ? "live" : "attack";
}

int main(int argc, char **argv)
{
  if (argc != 3)
    return 2;
  const std::string folder = argv[2];
  const json table = json::parse(read_file(argv[1]));
  std::map<std::string, json> expected;
  // ONNX Runtime rounds otherwise than the embedded engine.
  const char *onnxruntime = std::getenv("LIVENESS_ONNXRUNTIME");
  const bool embedded = onnxruntime == nullptr || *onnxruntime == '\0';
  const std::string name = folder + (embedded ? "/expected" : "/expected-onnxruntime");
  std::ifstream lines(name + ".jsonl");
  for (std::string line; std::getline(lines, line);) {
    json entry = json::parse(line);
    expected.emplace(entry["name"], entry);
  }
  const json reference = json::parse(read_file(name + ".about.json"));
  const json ours = json::parse(liveness::Engine().info());
  if (ours["models"] != reference["models"] || ours["engine"] != reference["engine"]) {
    std::fprintf(stderr, "the library has other models or another engine than the reference: build it again\n");
    return 2;
  }
  std::map<std::string, liveness::Engine> engines;
  int count = 0;
  for (const json &request : table["cases"]) {
    if (!is_for_us(table, request))
      continue;
    count++;
    const json &want = expected.at(request["name"]);
    const auto config = config_of(request);
    const auto &engine = engines.try_emplace(request.value("config", json::object()).dump(), config).first->second;
    const std::string path = folder + "/inputs/" + request["input"].get<std::string>();
    const std::string text = without_timings(answer(engine, request, path).text);
    const bool same = text == want["json"];
    CHECK(same);
    if (!same)
      std::fprintf(stderr, "%s:\n  %s\n", request.dump().c_str(), text.c_str());
    CHECK(outcome(engine, request, path) == want["outcome"]);
  }
  CHECK(count > 0);
  std::printf("cpp: %d answers compared\n", count);
  return finish("conformance");
}
