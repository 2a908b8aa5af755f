#include "liveness.hpp"
bool admitted(const liveness::Engine &engine)
{
#ifdef MISUSE
  return engine.try_check("selfie.jpg").is_live();
#else
  return engine.try_check_file("selfie.jpg").is_live();
#endif
}
