// A second translation unit with the header in it: what it defines must not be defined twice.
#include "liveness.hpp"

liveness::Engine make_engine_elsewhere();
bool is_live_elsewhere(const liveness::Engine &engine, const std::string &path);

liveness::Engine make_engine_elsewhere()
{
  return liveness::Engine::try_create().value();
}

bool is_live_elsewhere(const liveness::Engine &engine, const std::string &path)
{
  return engine.try_check_file(path).is_live();
}
