#include "liveness.hpp"
bool admitted(const liveness::Result &result)
{
#ifdef MISUSE
  return result.verdict;
#else
  return result.verdict == liveness::Verdict::live;
#endif
}
