#include "liveness.hpp"
bool admitted(const liveness::Result &result)
{
#ifdef MISUSE
  return static_cast<bool>(result);
#else
  return result.is_live();
#endif
}
