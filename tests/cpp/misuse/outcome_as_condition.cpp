#include "liveness.hpp"
#ifdef MISUSE
// An attack is a value of the Outcome, so this would open the door to it.
bool admitted(const liveness::Engine &engine)
{
  if (engine.try_check_file("selfie.jpg"))
    return true;
  return false;
}
#else
bool admitted(const liveness::Engine &engine)
{
  return engine.try_check_file("selfie.jpg").is_live();
}
#endif
