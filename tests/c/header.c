/* The header alone, as C99 and as C++11, with each of its initialisers. */
#include "liveness.h"

liveness_config a_config = LIVENESS_CONFIG_INIT;
liveness_pixels a_pixels = LIVENESS_PIXELS_INIT;
liveness_result a_result = LIVENESS_RESULT_INIT;
