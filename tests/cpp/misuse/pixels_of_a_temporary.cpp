#include "liveness.hpp"
std::vector<std::uint8_t> frame();
bool admitted(const liveness::Engine &engine)
{
#ifdef MISUSE
  const liveness::Pixels pixels{liveness::PixelFormat::rgb, frame(), 640, 480};
#else
  const std::vector<std::uint8_t> samples = frame();
  const liveness::Pixels pixels{liveness::PixelFormat::rgb, samples, 640, 480};
#endif
  return engine.try_check_pixels(pixels).is_live();
}
