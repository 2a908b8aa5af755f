/*
 * liveness for C++17: a header over liveness.h that frees what it takes and cannot mistake an attack
 * for a live person.
 *
 *     liveness::Engine engine;
 *     try {
 *       liveness::Result result = engine.check_file("selfie.jpg");
 *       std::cout << (result.is_live() ? "live" : "attack") << ", confidence " << result.score << '\n';
 *     } catch (const liveness::Error &error) {
 *       std::cout << error.code() << ": " << error.message() << '\n';
 *     }
 *
 * - Errors: the members check, check_base64, check_file, check_pixels, info and the constructors
 *   throw liveness::Error. Those with try_ return an Outcome instead, those with json a Json, whose
 *   status says how it ended. With -fno-exceptions, or where LIVENESS_NO_EXCEPTIONS is defined before
 *   the header is included, only the latter two exist.
 * - An attack is a Result, not an error. Neither Result nor Outcome converts to bool: a check that
 *   came to an end is not a live person. Ask is_live(), which is false for whatever failed.
 * - Threads: an Engine serves many threads at once through its const members. Moving, assigning and
 *   destroying it is for one thread alone, while no other uses it.
 * - What is passed in is borrowed for the call. Nothing here is thrown through, and nothing needs
 *   more than the C library: link with -lliveness.
 */

#ifndef LIVENESS_HPP
#define LIVENESS_HPP

#include "liveness.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define LIVENESS_LIFETIMEBOUND [[clang::lifetimebound]]
#endif
#endif
#ifndef LIVENESS_LIFETIMEBOUND
#define LIVENESS_LIFETIMEBOUND
#endif

#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND) && !defined(LIVENESS_NO_EXCEPTIONS)
#define LIVENESS_NO_EXCEPTIONS
#endif

namespace liveness {
// One for the whole program: its files share it, whether they were compiled with exceptions or not.
namespace shared {
inline std::atomic<bool> logger_exists{false};
}

// Classes of a program's files that were compiled with exceptions, and without, are not the same.
#ifdef LIVENESS_NO_EXCEPTIONS
inline namespace v1_no_exceptions {
#else
inline namespace v1 {
#endif

/** The error codes of the contract; the number of each is its code, which code() of Error spells. */
enum class ErrorCode : std::int32_t {
  unauthorized = LIVENESS_ERROR_UNAUTHORIZED, /**< 001: HTTP servers only, never thrown. */
  unreadable_image = LIVENESS_ERROR_UNREADABLE_IMAGE, /**< 002 */
  image_too_large = LIVENESS_ERROR_IMAGE_TOO_LARGE, /**< 003 */
  bad_request = LIVENESS_ERROR_BAD_REQUEST, /**< 004 */
  internal = LIVENESS_ERROR_INTERNAL, /**< 005 */
  face_count = LIVENESS_ERROR_FACE_COUNT, /**< 051: no face, or more than one, or one under 40 pixels; or, with strict_quality, of poor quality. */
  mask_detected = LIVENESS_ERROR_MASK_DETECTED, /**< 052 */
};

namespace detail {
inline std::vector<std::string_view> reason_names(std::uint64_t reasons)
{
  std::vector<std::string_view> names;
  for (std::uint64_t left = reasons; left != 0; left &= left - 1) {
    const std::string_view name = liveness_reason_name(left & (~left + 1));
    if (!name.empty())
      names.push_back(name);
  }
  return names;
}
} // namespace detail

/** Why there is no verdict. Copies share one text, so that copying never throws. */
class Error : public std::runtime_error {
public:
  /** NULs are left out of the reason, as the library leaves them out of its own: what() ends at one. */
  Error(ErrorCode kind, std::string_view reason, std::uint64_t reasons = 0, std::uint32_t faces = 0)
      : std::runtime_error(text(kind, reason)), kind_(kind), faces_(faces), reasons_(reasons)
  {
  }

  /** The code, for a switch. */
  ErrorCode kind() const noexcept { return kind_; }

  /** The three digits of the contract, such as "051". */
  std::string_view code() const noexcept { return code(kind_); }

  /** The contract's sentence for the code. */
  std::string_view message() const noexcept { return message(kind_); }

  /** Cause and cure in English, for a person and not to be parsed. Good as long as this object. */
  std::string_view reason() const noexcept LIVENESS_LIFETIMEBOUND
  {
    // what() is "CODE: MESSAGE (REASON)", or "CODE: MESSAGE" where there is no reason.
    const std::string_view all = what();
    const std::size_t before = code().size() + 2 + message().size() + 2;
    return all.size() <= before ? std::string_view() : all.substr(before, all.size() - before - 1);
  }

  /** LIVENESS_REASON_ bits: what is to be seen in an image that is refused (051, 052); 0 for all other errors. */
  std::uint64_t reasons() const noexcept { return reasons_; }

  /** The machine-readable names of the reasons, such as "no_face". */
  std::vector<std::string_view> reason_names() const { return detail::reason_names(reasons_); }

  /** Number of faces that count in an image that is refused (051, 052); 0 for all other errors. */
  std::uint32_t faces() const noexcept { return faces_; }

private:
  static std::string_view code(ErrorCode kind) noexcept
  {
    return liveness_error_code_string(static_cast<std::int32_t>(kind));
  }

  static std::string_view message(ErrorCode kind) noexcept
  {
    return liveness_error_message(static_cast<std::int32_t>(kind));
  }

  static std::string text(ErrorCode kind, std::string_view reason)
  {
    std::string told(reason);
    told.erase(std::remove(told.begin(), told.end(), '\0'), told.end());
    std::string all(code(kind));
    all.append(": ").append(message(kind));
    if (!told.empty())
      all.append(" (").append(told).append(")");
    return all;
  }

  ErrorCode kind_;
  std::uint32_t faces_;
  std::uint64_t reasons_;
};

/** Either a value or an Error; like std::expected, but it does not convert to bool. */
template <class T> class Outcome {
public:
  Outcome(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Outcome(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return content_.index() == 0; }

  /** Ask has_value() or, of a Result, is_live(): an attack is a value. */
  operator bool() const = delete;

  /** Whether there is a Result that says live. */
  template <class U = T, class = decltype(std::declval<const U &>().is_live())>
  bool is_live() const noexcept
  {
    const U *value = std::get_if<0>(&content_);
    return value != nullptr && value->is_live();
  }

  /** The value. Where there is none, the error is thrown; without exceptions, the process ends. */
  const T &value() const &
  {
    demand_value();
    return *std::get_if<0>(&content_);
  }

  /** By value: a reference to a part of what is gone would read what comes after it. */
  T value() &&
  {
    demand_value();
    return std::move(*std::get_if<0>(&content_));
  }

  /** The error. Where there is none, the process ends. */
  const Error &error() const & noexcept
  {
    const Error *error = std::get_if<1>(&content_);
    if (error == nullptr)
      std::abort();
    return *error;
  }

  Error error() && noexcept { return static_cast<const Outcome &>(*this).error(); }

private:
  void demand_value() const
  {
    if (has_value())
      return;
#ifdef LIVENESS_NO_EXCEPTIONS
    std::abort();
#else
    throw Error(error());
#endif
  }

  std::variant<T, Error> content_;
};

/** Choices for an Engine. Zero and empty mean the default, which liveness_config documents. */
struct Config {
  float threshold = 0;
  float mask_threshold = 0;
  float second_face_ratio = 0;
  bool strict_quality = false;
  std::uint64_t max_file_bytes = 0;
  std::uint64_t max_pixels = 0;
  std::uint32_t max_side = 0;
  std::chrono::milliseconds time_limit{0};
  std::string onnxruntime = {};
  std::string models_dir = {};
};

/**
 * Bytes of somebody else: a pointer and a length, or any container of bytes or char with them, which
 * must outlive it. An argument may be a temporary, as in check(read_file()): it lasts for the call.
 */
class Bytes {
public:
  Bytes(const std::uint8_t *data LIVENESS_LIFETIMEBOUND, std::size_t size) noexcept : data_(data), size_(size) {}

  template <class Container, class Element = std::remove_pointer_t<decltype(std::declval<const Container &>().data())>,
            class = std::enable_if_t<sizeof(Element) == 1 && std::is_convertible_v<decltype(std::declval<const Container &>().size()), std::size_t>>>
  Bytes(const Container &container LIVENESS_LIFETIMEBOUND) noexcept
      : data_(reinterpret_cast<const std::uint8_t *>(container.data())), size_(container.size())
  {
  }

  /** Never null for no bytes: null is a mistake of the caller, an empty file is unreadable. */
  const std::uint8_t *data() const noexcept
  {
    static constexpr std::uint8_t nothing = 0;
    return data_ == nullptr && size_ == 0 ? &nothing : data_;
  }

  std::size_t size() const noexcept { return size_; }

private:
  const std::uint8_t *data_;
  std::size_t size_;
};

namespace detail {
template <class Container, class = void> struct IsView : std::false_type {};
// A container owns its elements where a constant one shows them as constants.
template <class Container>
struct IsView<Container, std::void_t<decltype(std::declval<const Container &>().data())>>
    : std::is_same<decltype(std::declval<Container &>().data()), decltype(std::declval<const Container &>().data())> {};
} // namespace detail

/** Bytes that are kept for longer than a call: not those of a temporary container, which is gone by then. */
class KeptBytes : public Bytes {
public:
  using Bytes::Bytes;
  KeptBytes(const Bytes &bytes LIVENESS_LIFETIMEBOUND) noexcept : Bytes(bytes) {}

  template <class Container,
            class = std::enable_if_t<!std::is_lvalue_reference_v<Container> && !detail::IsView<std::remove_const_t<Container>>::value &&
                                     std::is_constructible_v<Bytes, const Container &>>>
  KeptBytes(Container &&container) = delete;
};

/**
 * Order and layout of samples; liveness_pixels describes the planes of the YUV formats. In rgba and
 * bgra the fourth byte is alpha on white: it must be 255 where there is none (RGBX, BGRX).
 */
enum class PixelFormat : std::int32_t {
  rgb = LIVENESS_PIXELS_RGB,
  bgr = LIVENESS_PIXELS_BGR,
  rgba = LIVENESS_PIXELS_RGBA,
  bgra = LIVENESS_PIXELS_BGRA,
  gray = LIVENESS_PIXELS_GRAY,
  nv12 = LIVENESS_PIXELS_NV12,
  nv21 = LIVENESS_PIXELS_NV21,
  i420 = LIVENESS_PIXELS_I420,
};

/** Decoded pixels, 8 bits per sample, rows from top to bottom. */
struct Pixels {
  PixelFormat format;
  /** Samples of somebody else, which must outlive this. */
  KeptBytes data;
  /** In pixels, as stored (before orientation is applied). */
  std::uint32_t width;
  std::uint32_t height;
  /** Bytes from one row to the next, of the first plane; 0: rows without gaps. */
  std::size_t stride = 0;
  /** EXIF orientation, 1 to 8. 0 and 1: upright. */
  std::uint32_t orientation = 1;
};

/** What is before the camera. The value of whatever was not filled in is attack. */
enum class Verdict { attack = 0, live = 1 };

struct Point {
  double x = 0;
  double y = 0;
};

/** A face, in pixels of the upright full-resolution image. The box may reach beyond the image. */
struct Face {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
  /** Right eye, left eye, nose, right and left corner of the mouth; right is the subject's. */
  std::array<Point, 5> landmarks{};
  /** Confidence of the detector, 0..1. */
  double score = 0;
};

/** Measured on the image of the face; units and signs as in liveness_result. */
struct Quality {
  double face_size = 0;
  double face_share = 0;
  double outside = 0;
  double yaw = 0;
  double pitch = 0;
  double roll = 0;
  double brightness = 0;
  double contrast = 0;
  double clipped = 0;
  double sharpness = 0;
};

using Milliseconds = std::chrono::duration<double, std::milli>;

struct Timings {
  Milliseconds decode{};
  Milliseconds detect{};
  Milliseconds mask{};
  Milliseconds spoof{};
  Milliseconds total{};
};

/** The verdict on an image with exactly one bare face. */
struct Result {
  Verdict verdict = Verdict::attack;
  /** How confident the verdict is, 0..1: near 1 for a sure live person and for a sure attack. */
  double score = 0;
  /** Calibrated probability of a bona fide presentation, 0..1; from threshold on it is live. */
  double live_probability = 0;
  double threshold = 0;
  /** Of a printed photo, and of a photo or video on a screen, 0..1. */
  double print_probability = 0;
  double replay_probability = 0;
  /** That a mask covers mouth or nose, 0..1. */
  double mask_probability = 0;
  Face face;
  /** Number of faces that count: 1. */
  std::uint32_t faces = 0;
  Quality quality;
  /** LIVENESS_REASON_ bits: what is wrong with the quality; 0 for a good selfie. */
  std::uint64_t reasons = 0;
  Timings timings;

  constexpr bool is_live() const noexcept { return verdict == Verdict::live; }

  /** Ask is_live(). */
  operator bool() const = delete;

  /** The machine-readable names of the reasons, such as "too_dark". */
  std::vector<std::string_view> reason_names() const { return detail::reason_names(reasons); }
};

/** Whether JSON gets the member "details". */
enum class Details : std::uint32_t { no = 0, yes = LIVENESS_JSON_DETAILS };

/** The contract's JSON, which says itself whether it is a verdict or an error. */
struct Json {
  std::string text;
  /** 0 (LIVENESS_OK) for a verdict, an attack included; otherwise the number of the error code. */
  std::int32_t status = LIVENESS_ERROR_INTERNAL;
};

namespace detail {

struct Free {
  void operator()(liveness_engine *engine) const noexcept { liveness_free(engine); }
  void operator()(char *string) const noexcept { liveness_string_free(string); }
};

using Handle = std::unique_ptr<liveness_engine, Free>;

/** The failure of the call of the library that this thread made last. */
inline Error last_error(std::int32_t status)
{
  return Error(static_cast<ErrorCode>(status), liveness_last_error(), liveness_last_reasons(), liveness_last_faces());
}

/** C would read a part of the text only. */
inline bool holds_nul(const std::string &text) noexcept
{
  return text.find('\0') != std::string::npos;
}

/** Why a path with a NUL is refused; it fits into JSON as it is. */
inline constexpr std::string_view path_with_nul = "the path holds a NUL, so no file can have it";

/** What calls that store a string for the caller have in common. */
template <class Call> Json json(Call call)
{
  char *text = nullptr;
  Json answer;
  answer.status = call(&text);
  const std::unique_ptr<char, Free> owner(text);
  if (text != nullptr)
    answer.text = text;
  return answer;
}

/** As the library answers to what is not handed to it. */
inline Json refuse_path_with_nul(Details details)
{
  const std::int32_t status = LIVENESS_ERROR_UNREADABLE_IMAGE;
  std::string text = "{\"success\":false,\"error_code\":\"";
  text.append(liveness_error_code_string(status)).append("\",\"error_message\":\"");
  text.append(liveness_error_message(status)).append("\"");
  if (details == Details::yes)
    text.append(",\"details\":{\"reason\":\"").append(path_with_nul).append("\"}");
  return {text.append("}"), status};
}

inline liveness_pixels to_c(const Pixels &pixels) noexcept
{
  liveness_pixels c = LIVENESS_PIXELS_INIT;
  c.format = static_cast<std::int32_t>(pixels.format);
  c.data = pixels.data.data();
  c.len = pixels.data.size();
  c.stride = pixels.stride;
  c.width = pixels.width;
  c.height = pixels.height;
  c.orientation = pixels.orientation;
  return c;
}

inline Result from_c(const liveness_result &c) noexcept
{
  Result result;
  result.verdict = c.liveness == 1 ? Verdict::live : Verdict::attack;
  result.score = c.score;
  result.live_probability = c.live_probability;
  result.threshold = c.threshold;
  result.print_probability = c.print_probability;
  result.replay_probability = c.replay_probability;
  result.mask_probability = static_cast<double>(c.mask_probability);
  result.face.x = static_cast<double>(c.face_x);
  result.face.y = static_cast<double>(c.face_y);
  result.face.width = static_cast<double>(c.face_width);
  result.face.height = static_cast<double>(c.face_height);
  for (std::size_t i = 0; i < result.face.landmarks.size(); i++)
    result.face.landmarks[i] = {static_cast<double>(c.landmarks[i].x), static_cast<double>(c.landmarks[i].y)};
  result.face.score = static_cast<double>(c.face_score);
  result.faces = c.faces;
  result.quality.face_size = static_cast<double>(c.quality_face_size);
  result.quality.face_share = static_cast<double>(c.quality_face_share);
  result.quality.outside = static_cast<double>(c.quality_outside);
  result.quality.yaw = static_cast<double>(c.quality_yaw);
  result.quality.pitch = static_cast<double>(c.quality_pitch);
  result.quality.roll = static_cast<double>(c.quality_roll);
  result.quality.brightness = static_cast<double>(c.quality_brightness);
  result.quality.contrast = static_cast<double>(c.quality_contrast);
  result.quality.clipped = static_cast<double>(c.quality_clipped);
  result.quality.sharpness = static_cast<double>(c.quality_sharpness);
  result.reasons = c.reasons;
  result.timings.decode = Milliseconds(static_cast<double>(c.decode_ms));
  result.timings.detect = Milliseconds(static_cast<double>(c.detect_ms));
  result.timings.mask = Milliseconds(static_cast<double>(c.mask_ms));
  result.timings.spoof = Milliseconds(static_cast<double>(c.spoof_ms));
  result.timings.total = Milliseconds(static_cast<double>(c.total_ms));
  return result;
}

/** What calls that fill in a result have in common. */
template <class Call> Outcome<Result> check(Call call)
{
  liveness_result result = LIVENESS_RESULT_INIT;
  const std::int32_t status = call(&result);
  if (status != LIVENESS_OK)
    return last_error(status);
  return from_c(result);
}

} // namespace detail

/**
 * Checks images. Make one and share it: its const members may be called by many threads at once.
 * An Engine that was moved from answers every check with 004.
 */
class Engine {
public:
  /** Loads the networks; 004 for an invalid option, 005 for what cannot be loaded. */
  static Outcome<Engine> try_create(const Config &config = Config())
  {
    if (detail::holds_nul(config.onnxruntime) || detail::holds_nul(config.models_dir))
      return Error(ErrorCode::bad_request, "a path of the configuration holds a NUL");
    const auto time_limit = config.time_limit.count();
    if (time_limit < 0)
      return Error(ErrorCode::bad_request, "time_limit is negative; give a positive time, or 0 for the default");
    liveness_config c = LIVENESS_CONFIG_INIT;
    c.threshold = config.threshold;
    c.mask_threshold = config.mask_threshold;
    c.second_face_ratio = config.second_face_ratio;
    c.strict_quality = config.strict_quality ? 1 : 0;
    c.max_file_bytes = config.max_file_bytes;
    c.max_pixels = config.max_pixels;
    c.max_side = config.max_side;
    c.time_limit_ms = time_limit < UINT32_MAX ? static_cast<std::uint32_t>(time_limit) : UINT32_MAX;
    c.onnxruntime = config.onnxruntime.empty() ? nullptr : config.onnxruntime.c_str();
    c.models_dir = config.models_dir.empty() ? nullptr : config.models_dir.c_str();
    liveness_engine *engine = nullptr;
    const std::int32_t status = liveness_init(&c, &engine);
    if (status != LIVENESS_OK)
      return detail::last_error(status);
    return Engine(detail::Handle(engine));
  }

  /** An image file in memory: JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF. */
  Outcome<Result> try_check(Bytes image) const
  {
    return detail::check([&](liveness_result *result) {
      return liveness_check(handle_.get(), image.data(), image.size(), result);
    });
  }

  /** The same as base64: either alphabet, padding, white space and a data: prefix are optional. */
  Outcome<Result> try_check_base64(std::string_view text) const
  {
    return detail::check([&](liveness_result *result) {
      return liveness_check_base64(handle_.get(), chars(text), text.size(), result);
    });
  }

  /** The same on disk; 002 where it cannot be read. */
  Outcome<Result> try_check_file(const std::string &path) const
  {
    if (detail::holds_nul(path))
      return Error(ErrorCode::unreadable_image, detail::path_with_nul);
    return detail::check([&](liveness_result *result) {
      return liveness_check_file(handle_.get(), path.c_str(), result);
    });
  }

  /** Decoded pixels; 004 where the layout does not fit into the bytes. */
  Outcome<Result> try_check_pixels(const Pixels &pixels) const
  {
    const liveness_pixels c = detail::to_c(pixels);
    return detail::check([&](liveness_result *result) {
      return liveness_check_pixels(handle_.get(), &c, result);
    });
  }

  /** try_check with the contract's JSON as its answer; the others likewise. */
  Json check_json(Bytes image, Details details = Details::no) const
  {
    return detail::json([&](char **json) {
      return liveness_check_json(handle_.get(), image.data(), image.size(), flags(details), json);
    });
  }

  Json check_base64_json(std::string_view text, Details details = Details::no) const
  {
    return detail::json([&](char **json) {
      return liveness_check_base64_json(handle_.get(), chars(text), text.size(), flags(details), json);
    });
  }

  Json check_file_json(const std::string &path, Details details = Details::no) const
  {
    if (detail::holds_nul(path))
      return detail::refuse_path_with_nul(details);
    return detail::json([&](char **json) {
      return liveness_check_file_json(handle_.get(), path.c_str(), flags(details), json);
    });
  }

  Json check_pixels_json(const Pixels &pixels, Details details = Details::no) const
  {
    const liveness_pixels c = detail::to_c(pixels);
    return detail::json([&](char **json) {
      return liveness_check_pixels_json(handle_.get(), &c, flags(details), json);
    });
  }

  /** Names version, inference engine and models, as JSON; see liveness_info_json. */
  Outcome<std::string> try_info() const
  {
    Json answer = detail::json([&](char **json) { return liveness_info_json(handle_.get(), json); });
    if (answer.status != LIVENESS_OK)
      return detail::last_error(answer.status);
    return std::move(answer.text);
  }

#ifndef LIVENESS_NO_EXCEPTIONS
  /** As the members with try_, but what fails is thrown as an Error. */
  explicit Engine(const Config &config = Config()) : Engine(try_create(config).value()) {}

  Result check(Bytes image) const { return try_check(image).value(); }
  Result check_base64(std::string_view text) const { return try_check_base64(text).value(); }
  Result check_file(const std::string &path) const { return try_check_file(path).value(); }
  Result check_pixels(const Pixels &pixels) const { return try_check_pixels(pixels).value(); }
  std::string info() const { return try_info().value(); }
#endif

  /** The handle, for functions of liveness.h; it stays the Engine's. Null where moved from. */
  const liveness_engine *c_handle() const noexcept { return handle_.get(); }

private:
  explicit Engine(detail::Handle handle) noexcept : handle_(std::move(handle)) {}

  static std::uint32_t flags(Details details) noexcept { return static_cast<std::uint32_t>(details); }

  /** Never null; see Bytes. */
  static const char *chars(std::string_view text) noexcept
  {
    return text.data() == nullptr ? "" : text.data();
  }

  detail::Handle handle_;
};

enum class LogLevel : std::int32_t {
  error = LIVENESS_LOG_ERROR,
  warn = LIVENESS_LOG_WARN,
  info = LIVENESS_LOG_INFO,
  debug = LIVENESS_LOG_DEBUG,
};

/**
 * While it lives, the library's log lines go to its function, for all engines of the process. The
 * function is called by every thread that calls the library, by several at once. What it throws is
 * swallowed, for it must not unwind through the library. It must not make or destroy a Logger.
 *
 * A program has one Logger at a time; a second one is 004. A shared object that hides its symbols
 * counts for itself: of two such parts of a process, only one may make Loggers.
 */
class Logger {
public:
  using Function = std::function<void(LogLevel level, std::string_view line)>;

  static Outcome<Logger> try_create(LogLevel level, Function function)
  {
    if (!function)
      return Error(ErrorCode::bad_request, "the function of the Logger is empty");
    auto owned = std::make_unique<Function>(std::move(function));
    if (shared::logger_exists.exchange(true))
      return Error(ErrorCode::bad_request, "there is a Logger already; destroy it first");
    const std::int32_t status =
        liveness_set_log_callback(&Logger::call, owned.get(), static_cast<std::int32_t>(level));
    if (status != LIVENESS_OK) {
      shared::logger_exists.store(false);
      return detail::last_error(status);
    }
    return Logger(Content(owned.release()));
  }

#ifndef LIVENESS_NO_EXCEPTIONS
  Logger(LogLevel level, Function function) : Logger(try_create(level, std::move(function)).value()) {}
#endif

private:
  /** Makes the library silent, which waits for calls under way, before the function goes. */
  struct Stop {
    void operator()(Function *function) const noexcept
    {
      // Refused only to a Logger that destroys itself from inside its function: no way is left to
      // go on, since the function that runs would be freed.
      if (liveness_set_log_callback(nullptr, nullptr, LIVENESS_LOG_OFF) != LIVENESS_OK)
        std::abort();
      delete function;
      shared::logger_exists.store(false);
    }
  };
  using Content = std::unique_ptr<Function, Stop>;

  explicit Logger(Content content) noexcept : content_(std::move(content)) {}

  static void call(void *user, std::int32_t level, const char *line) noexcept
  {
    const Function &function = *static_cast<const Function *>(user);
#ifdef LIVENESS_NO_EXCEPTIONS
    function(static_cast<LogLevel>(level), line);
#else
    try {
      function(static_cast<LogLevel>(level), line);
    } catch (...) {
    }
#endif
  }

  Content content_;
};

/** Version of the library, such as "0.1.0". */
inline std::string_view version() noexcept
{
  return liveness_version();
}

} // namespace v1 or v1_no_exceptions
} // namespace liveness

#undef LIVENESS_LIFETIMEBOUND

#endif // LIVENESS_HPP
