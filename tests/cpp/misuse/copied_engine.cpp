#include "liveness.hpp"
liveness::Engine other(liveness::Engine &engine)
{
#ifdef MISUSE
  return engine;
#else
  return std::move(engine);
#endif
}
