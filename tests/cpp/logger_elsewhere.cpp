// A translation unit without exceptions in a program with them: both have the one Logger.
#ifndef LIVENESS_NO_EXCEPTIONS
#define LIVENESS_NO_EXCEPTIONS
#endif
#include "liveness.hpp"

bool can_make_a_logger_elsewhere();

bool can_make_a_logger_elsewhere()
{
  return liveness::Logger::try_create(liveness::LogLevel::debug, [](liveness::LogLevel, std::string_view) {}).has_value();
}
