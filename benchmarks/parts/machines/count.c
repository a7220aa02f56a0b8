/* PDE steps, so that a simulator can count their instructions. */
#include "pisnn.h"

int run(void)
{
    int step, violated = 0;

    pisnn_reset();
    for (step = 0; step < STEPS; step++) {
        pisnn_step();
#if PISNN_AUDIT
        violated |= pisnn_audit(0);
#endif
    }
    return violated;
}
