/* Must not compile under -Werror: a status is thrown away. */
#include "liveness.h"

void careless(const liveness_engine *engine, liveness_result *result);

void careless(const liveness_engine *engine, liveness_result *result)
{
  liveness_check_file(engine, "selfie.jpg", result);
}
