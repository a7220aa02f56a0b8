#ifndef START_H
#define START_H

#include <stdint.h>

void write_text(const char *text);
void write_number(int64_t number);
/* Stop the machine: 0 is fine. */
void end(int code);

#endif
