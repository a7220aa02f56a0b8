/* PDE steps with audit, and their hash as text. */
#include "pisnn.h"

void write_text(const char *text);

int run(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char text[18];
    int step, digit;

    pisnn_reset();
    for (step = 0; step < STEPS; step++) {
        pisnn_step();
        if (pisnn_audit(0)) {
            write_text("violated\n");
            return 1;
        }
        hash = pisnn_hash(hash);
    }
    for (digit = 0; digit < 16; digit++) {
        text[digit] = "0123456789abcdef"[(hash >> (60 - 4 * digit)) & 15u];
    }
    text[16] = '\n';
    text[17] = '\0';
    write_text(text);
    return 0;
}
